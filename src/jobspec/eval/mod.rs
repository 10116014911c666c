//! ◆ Computing expressions.
//!
//! A name that nobody declared is no error: it comes out as the text `${name}`, which the client fills in at run time. An
//! error is added to the complaints, and the evaluation goes on beside it where that can find more.
//!
//! Every step costs fuel, so that no file can keep the process busy: nested `for` expressions over ranges multiply.

mod access;
mod call;
mod for_each;
mod operation;
pub(super) mod scope;
mod template;

use std::collections::BTreeMap;
use std::rc::Rc;

use super::error::Complaints;
use super::host::Host;
use super::source::Span;
use super::syntax::{Expression, Node, ObjectKey};
use super::value::convert::convert;
use super::value::kind::unify;
use super::value::{TooLarge, Type, Value};
pub(super) use access::did_you_mean;
pub(super) use scope::Scope;

/// Steps that one job file may take.
const FUEL: usize = 3_000_000;

/// An expression has no value; the complaints say why.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failed;

/// What is needed to compute expressions, and what has been found wrong.
pub(super) struct Evaluator<'h> {
    /// Files, random numbers.
    pub host: &'h dyn Host,
    /// Everything found wrong so far.
    pub complaints: Complaints,
    fuel: usize,
    out_of_fuel: bool,
    /// What names may stand for, besides what the scope declares.
    names: Names,
}

impl std::fmt::Debug for Evaluator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluator").field("fuel", &self.fuel).finish_non_exhaustive()
    }
}

/// What becomes of undeclared names and of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Undeclared names stay as text, functions may be called: a job.
    Open,
    /// Neither names nor functions: the value of a variable.
    Closed,
}

impl<'h> Evaluator<'h> {
    /// With a full tank.
    pub(super) fn new(host: &'h dyn Host, complaints: Complaints) -> Self {
        Self { host, complaints, fuel: FUEL, out_of_fuel: false, names: Names::Open }
    }

    /// The value of an expression with other rules for names.
    pub(super) fn evaluate_with(
        &mut self,
        names: Names,
        expression: &Expression,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        let before = std::mem::replace(&mut self.names, names);
        let value = self.evaluate(expression, scope);
        self.names = before;
        value
    }

    /// The value of an expression.
    pub(super) fn evaluate(
        &mut self,
        expression: &Expression,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        self.spend(1, expression.span)?;
        match &expression.node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Template(parts) => self.template(parts, expression.span, scope),
            Node::Wrapped(inner) | Node::Parenthesis(inner) => self.evaluate(inner, scope),
            Node::Traversal { root, steps, text } => self.traversal(root, steps, text, scope),
            Node::Relative { source, steps } => {
                let source = self.evaluate(source, scope)?;
                self.walk(source, steps)
            }
            Node::Index { collection, key, brackets } => {
                let collection = self.evaluate(collection, scope);
                let key = self.evaluate(key, scope)?;
                self.index(&collection?, &key, *brackets)
            }
            Node::Splat { source, each, marker } => self.splat(source, each, *marker, scope),
            Node::Element => scope.element().cloned().ok_or(Failed),
            Node::Call { name, arguments, expand, close, .. } => {
                let arguments = call::Arguments { list: arguments, expand: *expand, close: *close };
                self.call(name, &arguments, expression, scope)
            }
            Node::Negate(operand, _) => self.negate(operand, scope),
            Node::Not(operand, _) => self.not(operand, scope),
            Node::Binary(left, operator, right) => {
                self.binary(left, *operator, right, expression.span, scope)
            }
            Node::Conditional(condition, yes, no) => self.conditional(condition, yes, no, scope),
            Node::Tuple(items) => {
                let items: Vec<_> = items.iter().map(|item| self.evaluate(item, scope)).collect();
                let items: Result<Vec<Value>, Failed> = items.into_iter().collect();
                self.sized(Value::tuple(items?), expression.span)
            }
            Node::Object(items) => self.object(items, expression.span, scope),
            Node::For(parts) => self.for_each(parts, expression.span, scope),
        }
    }

    /// Complains; the expression has no value.
    pub(super) fn fail<T>(
        &mut self,
        span: Span,
        summary: &str,
        detail: impl Into<String>,
    ) -> Result<T, Failed> {
        self.complaints.add(span, summary, detail);
        Err(Failed)
    }

    /// Pays for work; fails when the tank is empty.
    pub(super) fn spend(&mut self, steps: usize, span: Span) -> Result<(), Failed> {
        if let Some(rest) = self.fuel.checked_sub(steps) {
            self.fuel = rest;
            Ok(())
        } else {
            self.fuel = 0;
            if !std::mem::replace(&mut self.out_of_fuel, true) {
                let detail = format!(
                    "Computing this file takes more than {FUEL} steps. Make its loops smaller."
                );
                self.complaints.add(span, "Evaluation takes too long", detail);
            }
            Err(Failed)
        }
    }

    /// Turns a refusal to build a huge value into a complaint.
    pub(super) fn sized(
        &mut self,
        value: Result<Value, TooLarge>,
        span: Span,
    ) -> Result<Value, Failed> {
        match value {
            Ok(value) => Ok(value),
            Err(too_large) => self.fail(span, "Value too large", format!("{too_large}.")),
        }
    }

    fn object(
        &mut self,
        items: &[(ObjectKey, Expression)],
        span: Span,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        let mut entries = BTreeMap::new();
        let mut failed = false;
        for (key, value) in items {
            let key = self.object_key(key, value.span, scope);
            match (key, self.evaluate(value, scope)) {
                (Ok(key), Ok(value)) => {
                    entries.insert(key, value);
                }
                _ => failed = true,
            }
        }
        if failed { Err(Failed) } else { self.sized(Value::object(entries), span) }
    }

    fn object_key(
        &mut self,
        key: &ObjectKey,
        value: Span,
        scope: &Scope<'_>,
    ) -> Result<Rc<str>, Failed> {
        match key {
            ObjectKey::Name(name) => Ok(Rc::clone(&name.text)),
            ObjectKey::Ambiguous(span) => self.fail(
                *span,
                "Ambiguous attribute key",
                "If this expression is intended to be a reference, wrap it in parentheses. If it's instead \
                 intended as a literal name containing periods, wrap it in quotes to create a string literal.",
            ),
            ObjectKey::Expression(expression) => {
                let name = self.evaluate(expression, scope)?;
                if name.is_null() {
                    // Nomad: points at the value, not at the key.
                    return self.fail(value, "Null value as key", "Can't use a null value as a key.");
                }
                match convert(&name, &Type::String) {
                    Ok(Value::String(text)) => Ok(text),
                    Ok(_) => Err(Failed),
                    Err(why) => self.fail(
                        expression.span,
                        "Incorrect key type",
                        format!("Can't use this value as a key: {why}."),
                    ),
                }
            }
        }
    }

    fn conditional(
        &mut self,
        condition: &Expression,
        yes: &Expression,
        no: &Expression,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        let chosen = self.condition(condition, scope);
        // Both sides are computed, because the type of the result depends on both.
        let mark = self.complaints.len();
        let (yes_value, no_value) = (self.evaluate(yes, scope), self.evaluate(no, scope));
        let chosen = chosen?;
        let (mine, other) = if chosen { (yes_value, no_value) } else { (no_value, yes_value) };
        let Ok(other) = other else {
            // An error on the side not taken does not count.
            if mine.is_ok() && !self.out_of_fuel {
                self.complaints.split_off(mark);
            }
            return mine;
        };
        let mine = mine?;
        self.spend(mine.nodes() + other.nodes(), condition.span)?;
        let (mine_type, other_type) = (mine.kind(), other.kind());
        if mine_type == other_type {
            return Ok(mine);
        }
        let common = if other.is_null() && other_type == Type::Any {
            Some(mine_type)
        } else {
            unify([&mine_type, &other_type])
        };
        if let Some(Ok(value)) = common.map(|common| convert(&mine, &common)) {
            Ok(value)
        } else {
            let (t, f) = if chosen { (&mine, &other) } else { (&other, &mine) };
            let detail = format!(
                "The true and false result expressions must have consistent types. The 'true' value is {}, \
                 but the 'false' value is {}.",
                t.kind_name(),
                f.kind_name()
            );
            let span = yes.span.to(no.span);
            self.fail(span, "Inconsistent conditional result types", detail)
        }
    }

    fn condition(&mut self, condition: &Expression, scope: &Scope<'_>) -> Result<bool, Failed> {
        let value = self.evaluate(condition, scope)?;
        if value.is_null() {
            return self.fail(
                condition.span,
                "Null condition",
                "The condition value is null. Conditions must either be true or false.",
            );
        }
        match convert(&value, &Type::Bool) {
            Ok(Value::Bool(truth)) => Ok(truth),
            _ => self.fail(
                condition.span,
                "Incorrect condition type",
                "The condition expression must be of type bool.",
            ),
        }
    }
}
