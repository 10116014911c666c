//! ◆ Templates: pieces of text and values put together.

use std::rc::Rc;

use super::{Evaluator, Failed, Scope};
use crate::jobspec::source::Span;
use crate::jobspec::syntax::{Expression, Name, Node, Part};
use crate::jobspec::value::convert::convert;
use crate::jobspec::value::{Type, Value};

/// Longest text that a template may make.
const MAX_BYTES: usize = 4 << 20;

impl Evaluator<'_> {
    pub(super) fn template(
        &mut self,
        parts: &[Part],
        span: Span,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        let mut out = String::new();
        let done = self.parts(parts, &mut out, scope);
        if out.len() > MAX_BYTES {
            return self.fail(
                span,
                "Value too large",
                format!("A template may make {MAX_BYTES} bytes."),
            );
        }
        done?;
        Ok(Value::string(out))
    }

    fn parts(&mut self, parts: &[Part], out: &mut String, scope: &Scope<'_>) -> Result<(), Failed> {
        let mut failed = false;
        for (index, part) in parts.iter().enumerate() {
            if out.len() > MAX_BYTES {
                return Err(Failed);
            }
            let done = match part {
                Part::Text(text, span) => {
                    out.push_str(text);
                    self.spend(1 + text.len() / 64, *span)
                }
                Part::Value(value, text) => {
                    self.part(value, text, parts.get(index + 1), out, scope)
                }
                Part::If { condition, yes, no } => self
                    .condition(condition, scope)
                    .and_then(|truth| self.parts(if truth { yes } else { no }, out, scope)),
                Part::For { key, value, collection, body } => {
                    self.template_for((key.as_ref(), value), collection, body, out, scope)
                }
            };
            failed |= done.is_err();
        }
        if failed { Err(Failed) } else { Ok(()) }
    }

    fn part(
        &mut self,
        expression: &Expression,
        text: &Rc<str>,
        next: Option<&Part>,
        out: &mut String,
        scope: &Scope<'_>,
    ) -> Result<(), Failed> {
        const SUMMARY: &str = "Invalid template interpolation value";
        if let Node::Traversal { root, .. } = &expression.node
            && scope.get(&root.text).is_none()
            && self.names == super::Names::Open
        {
            out.push_str("${");
            out.push_str(text);
            out.push('}');
            out.push_str(doubled_brace(next));
            return Ok(());
        }
        let value = self.evaluate(expression, scope)?;
        if value.is_null() {
            let detail =
                "The expression result is null. Cannot include a null value in a string template.";
            return self.fail(expression.span, SUMMARY, detail);
        }
        self.spend(value.nodes(), expression.span)?;
        match convert(&value, &Type::String) {
            Ok(Value::String(text)) => {
                out.push_str(&text);
                self.spend(text.len() / 64, expression.span)
            }
            Ok(_) => Err(Failed),
            Err(why) => {
                let detail = format!("Cannot include the given value in a string template: {why}.");
                self.fail(expression.span, SUMMARY, detail)
            }
        }
    }

    fn template_for(
        &mut self,
        (key, value): (Option<&Name>, &Name),
        collection: &Expression,
        body: &[Part],
        out: &mut String,
        scope: &Scope<'_>,
    ) -> Result<(), Failed> {
        let pairs = self.collection(collection, scope)?;
        for (k, v) in pairs {
            self.spend(1, collection.span)?;
            let mut inner = scope.child();
            if let Some(key) = key {
                inner.set(Rc::clone(&key.text), k);
            }
            inner.set(Rc::clone(&value.text), v);
            self.parts(body, out, &inner)?;
        }
        Ok(())
    }
}

/// Nomad: when nothing but spaces and a brace follow a name left to the client, they come out twice, as in
/// `{${a} }` → `{${a} } }`.
fn doubled_brace(next: Option<&Part>) -> &str {
    let Some(Part::Text(text, _)) = next else { return "" };
    let brace = text.find('}').unwrap_or(0);
    let (before, after) = text.split_at(brace);
    if after.starts_with('}') && before.trim().is_empty() { &text[..=brace] } else { "" }
}
