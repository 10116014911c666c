//! ◆ Names, attributes, indexes and splats.

use std::rc::Rc;

use super::{Evaluator, Failed, Names, Scope};
use crate::jobspec::source::Span;
use crate::jobspec::syntax::{Expression, Name, Step};
use crate::jobspec::value::convert::convert;
use crate::jobspec::value::{Type, Value};

impl Evaluator<'_> {
    pub(super) fn traversal(
        &mut self,
        root: &Name,
        steps: &[Step],
        text: &Rc<str>,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        if self.names == Names::Closed {
            let detail = "Variables may not be used here.";
            return self.fail(root.span, "Variables not allowed", detail);
        }
        match scope.get(&root.text) {
            Some(value) => self.walk(value.clone(), steps),
            // Nomad: a name that nobody declared is the client's business.
            None => Ok(Value::string(format!("${{{text}}}"))),
        }
    }

    pub(super) fn walk(&mut self, mut value: Value, steps: &[Step]) -> Result<Value, Failed> {
        for step in steps {
            value = match step {
                Step::Attribute(name) => self.attribute(&value, name)?,
                Step::Index(key, span) => self.index(&value, key, *span)?,
            };
        }
        Ok(value)
    }

    fn attribute(&mut self, value: &Value, name: &Name) -> Result<Value, Failed> {
        const UNSUPPORTED: &str = "Unsupported attribute";
        let found = match value {
            Value::Null(_) => {
                return self.fail(
                    name.span,
                    "Attempt to get attribute from null value",
                    "This value is null, so it does not have any attributes.",
                );
            }
            Value::Object(_) | Value::Map(..) => {
                value.entries().and_then(|all| all.get(&name.text))
            }
            Value::String(_) | Value::Number(_) | Value::Bool(_) => {
                let kind = value.kind_name();
                let detail =
                    format!("Can't access attributes on a primitive-typed value ({kind}).");
                return self.fail(name.span, UNSUPPORTED, detail);
            }
            Value::List(..) | Value::Set(..) | Value::Tuple(_) => {
                let detail = "This value does not have any attributes.";
                return self.fail(name.span, UNSUPPORTED, detail);
            }
        };
        match (found, value) {
            (Some(found), _) => Ok(found.clone()),
            (None, Value::Map(..)) => {
                let detail =
                    format!("This map does not have an element with the key \"{}\".", name.text);
                self.fail(name.span, "Missing map element", detail)
            }
            (None, _) => {
                let mut detail =
                    format!("This object does not have an attribute named \"{}\".", name.text);
                let known = value.entries().into_iter().flatten().map(|(name, _)| name.as_ref());
                detail += &did_you_mean(&name.text, known);
                self.fail(name.span, UNSUPPORTED, detail)
            }
        }
    }

    pub(super) fn index(
        &mut self,
        value: &Value,
        key: &Value,
        span: Span,
    ) -> Result<Value, Failed> {
        match lookup(value, key) {
            Ok(found) => Ok(found),
            Err(detail) => self.fail(span, "Invalid index", detail),
        }
    }

    pub(super) fn splat(
        &mut self,
        source: &Expression,
        each: &Expression,
        marker: Span,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        let source = self.evaluate(source, scope)?;
        let items = match (&source, source.items()) {
            // Nomad: a splat of null is empty, of anything but a sequence it is a sequence of one.
            (Value::Null(_), _) => Vec::new(),
            (_, Some(items)) => items.to_vec(),
            (_, None) => vec![source.clone()],
        };
        let mut results = Vec::with_capacity(items.len());
        let mut failed = false;
        for item in items {
            let mut inner = scope.child();
            inner.set_element(item);
            match self.evaluate(each, &inner) {
                Ok(value) => results.push(value),
                Err(Failed) => failed = true,
            }
        }
        if failed { Err(Failed) } else { self.sized(Value::tuple(results), marker) }
    }
}

/// The element at a key, or what is wrong with the key.
fn lookup(value: &Value, key: &Value) -> Result<Value, String> {
    const UNKNOWN: &str = "The given key does not identify an element in this collection value";
    if value.is_null() {
        return Err("This value is null, so it does not have any indices.".to_owned());
    }
    if key.is_null() {
        return Err("Can't use a null value as an indexing key.".to_owned());
    }
    match value {
        Value::List(_, _) | Value::Tuple(_) => {
            let items = value.items().unwrap_or_default();
            let number = match convert(key, &Type::Number) {
                Ok(Value::Number(number)) => number,
                Ok(_) => return Err(UNKNOWN.to_owned()),
                Err(why) => return Err(format!("{UNKNOWN}: {why}.")),
            };
            if !number.is_whole() {
                return Err(format!(
                    "{UNKNOWN}: indexing a sequence requires a whole number, but the given index has a \
                     fractional part."
                ));
            }
            if number.is_negative() {
                return Err(format!("{UNKNOWN}: a negative number is not a valid index for a sequence."));
            }
            let found = number.to_usize().and_then(|index| items.get(index));
            found.cloned().ok_or_else(|| {
                format!(
                    "{UNKNOWN}: the given index is greater than or equal to the length of the collection."
                )
            })
        }
        Value::Map(..) | Value::Object(_) => {
            let name = match convert(key, &Type::String) {
                Ok(Value::String(name)) => name,
                Ok(_) => return Err(UNKNOWN.to_owned()),
                Err(why) => return Err(format!("{UNKNOWN}: {why}.")),
            };
            let found = value.entries().and_then(|entries| entries.get(&name));
            found.cloned().ok_or_else(|| format!("{UNKNOWN}."))
        }
        Value::Set(..) => Err("Elements of a set are identified only by their value and don't have any separate \
                               index or key to select with, so it's only possible to perform operations across \
                               all elements of the set."
            .to_owned()),
        Value::Null(_) | Value::String(_) | Value::Number(_) | Value::Bool(_) => {
            Err("This value does not have any indices.".to_owned())
        }
    }
}

/// ` Did you mean "…"?` if a known name is close, else nothing.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    closest(name, known).map_or_else(String::new, |close| format!(" Did you mean \"{close}\"?"))
}

/// The known name that a slip of the fingers could have meant.
fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .filter(|candidate| name.len() < 64 && candidate.len() < 64)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance < 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, dropped or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
