//! ◆ Names that expressions may use.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::jobspec::value::Value;

/// Names visible in an expression. An inner scope hides names of the outer ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope<'p> {
    parent: Option<&'p Scope<'p>>,
    names: BTreeMap<Rc<str>, Value>,
    element: Option<Value>,
}

impl<'p> Scope<'p> {
    /// A scope inside this one, with nothing in it yet.
    pub(crate) fn child(&'p self) -> Self {
        Scope { parent: Some(self), names: BTreeMap::new(), element: None }
    }

    /// Adds or replaces a name.
    pub(crate) fn set(&mut self, name: impl Into<Rc<str>>, value: Value) {
        self.names.insert(name.into(), value);
    }

    /// Sets what the innermost splat walks.
    pub(crate) fn set_element(&mut self, value: Value) {
        self.element = Some(value);
    }

    /// The value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.names.get(name).or_else(|| self.parent.and_then(|parent| parent.get(name)))
    }

    /// What the innermost splat walks.
    pub(crate) fn element(&self) -> Option<&Value> {
        self.element.as_ref().or_else(|| self.parent.and_then(Self::element))
    }
}
