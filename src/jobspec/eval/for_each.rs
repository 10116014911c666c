//! ◆ `for` expressions.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use super::{Evaluator, Failed, Scope};
use crate::jobspec::source::Span;
use crate::jobspec::syntax::Expression;
use crate::jobspec::syntax::ast::For;
use crate::jobspec::value::convert::convert;
use crate::jobspec::value::{Type, Value};

impl Evaluator<'_> {
    /// Keys and values of what a `for` walks.
    pub(super) fn collection(
        &mut self,
        collection: &Expression,
        scope: &Scope<'_>,
    ) -> Result<Vec<(Value, Value)>, Failed> {
        let value = self.evaluate(collection, scope)?;
        if value.is_null() {
            return self.fail(
                collection.span,
                "Iteration over null value",
                "A null value cannot be used as the collection in a 'for' expression.",
            );
        }
        if let Some(pairs) = value.pairs() {
            Ok(pairs)
        } else {
            let detail = format!(
                "A value of type {} cannot be used as the collection in a 'for' expression.",
                value.kind_name()
            );
            self.fail(collection.span, "Iteration over non-iterable value", detail)
        }
    }

    pub(super) fn for_each(
        &mut self,
        parts: &For,
        span: Span,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        let pairs = self.collection(&parts.collection, scope)?;
        let mut built = Built::default();
        let mut failed = false;
        for (key, value) in pairs {
            self.spend(1, span)?;
            let mut inner = scope.child();
            if let Some(name) = &parts.key {
                inner.set(Rc::clone(&name.text), key);
            }
            inner.set(Rc::clone(&parts.value.text), value);
            failed |= self.for_one(parts, &inner, &mut built).is_err();
        }
        if failed {
            return Err(Failed);
        }
        if parts.result_key.is_none() {
            return self.sized(Value::tuple(built.items), span);
        }
        let mut entries = built.entries;
        for (name, items) in built.groups {
            let items = self.sized(Value::tuple(items), span)?;
            entries.insert(name, items);
        }
        self.sized(Value::object(entries), span)
    }

    fn for_one(&mut self, parts: &For, scope: &Scope<'_>, built: &mut Built) -> Result<(), Failed> {
        if let Some(condition) = &parts.condition
            && !self.for_condition(condition, scope)?
        {
            return Ok(());
        }
        let Some(key) = &parts.result_key else {
            built.items.push(self.evaluate(&parts.result, scope)?);
            return Ok(());
        };
        let name = self.for_key(key, scope);
        let value = self.evaluate(&parts.result, scope)?;
        let name = name?;
        if parts.group {
            built.groups.entry(name).or_default().push(value);
            return Ok(());
        }
        match built.entries.entry(name) {
            Entry::Vacant(place) => {
                place.insert(value);
                Ok(())
            }
            Entry::Occupied(place) => {
                let detail = format!(
                    "Two different items produced the key \"{}\" in this 'for' expression. If duplicates are \
                     expected, use the ellipsis (...) after the value expression to enable grouping by key.",
                    place.key()
                );
                self.fail(key.span, "Duplicate object key", detail)
            }
        }
    }

    fn for_condition(&mut self, condition: &Expression, scope: &Scope<'_>) -> Result<bool, Failed> {
        const SUMMARY: &str = "Invalid 'for' condition";
        let value = self.evaluate(condition, scope)?;
        match convert(&value, &Type::Bool) {
            Ok(Value::Bool(truth)) => Ok(truth),
            Ok(_) => {
                self.fail(condition.span, SUMMARY, "The value of the 'if' clause must not be null.")
            }
            Err(why) => self.fail(
                condition.span,
                SUMMARY,
                format!("The 'if' clause value is invalid: {why}."),
            ),
        }
    }

    fn for_key(&mut self, key: &Expression, scope: &Scope<'_>) -> Result<Rc<str>, Failed> {
        const SUMMARY: &str = "Invalid object key";
        let value = self.evaluate(key, scope)?;
        self.spend(value.nodes(), key.span)?;
        match convert(&value, &Type::String) {
            Ok(Value::String(name)) => Ok(name),
            Ok(_) => {
                let detail = "Key expression in 'for' expression must not produce a null value.";
                self.fail(key.span, SUMMARY, detail)
            }
            Err(why) => {
                let detail = format!("The key expression produced an invalid result: {why}.");
                self.fail(key.span, SUMMARY, detail)
            }
        }
    }
}

#[derive(Default)]
struct Built {
    items: Vec<Value>,
    entries: BTreeMap<Rc<str>, Value>,
    groups: BTreeMap<Rc<str>, Vec<Value>>,
}
