//! ◆ Operators.

use super::{Evaluator, Failed, Scope};
use crate::jobspec::source::Span;
use crate::jobspec::syntax::{Expression, Operator};
use crate::jobspec::value::convert::convert;
use crate::jobspec::value::{Number, Type, Value};

impl Evaluator<'_> {
    pub(super) fn negate(
        &mut self,
        operand: &Expression,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        let value = self.evaluate(operand, scope)?;
        let value = self.operand(&value, &Type::Number, "unary", operand.span)?;
        match value {
            Value::Number(number) => Ok(Value::Number(number.neg())),
            _ => self.null_operand(operand.span),
        }
    }

    pub(super) fn not(&mut self, operand: &Expression, scope: &Scope<'_>) -> Result<Value, Failed> {
        let value = self.evaluate(operand, scope)?;
        let value = self.operand(&value, &Type::Bool, "unary", operand.span)?;
        match value {
            Value::Bool(truth) => Ok(Value::Bool(!truth)),
            _ => self.null_operand(operand.span),
        }
    }

    fn operand(
        &mut self,
        value: &Value,
        kind: &Type,
        side: &str,
        span: Span,
    ) -> Result<Value, Failed> {
        convert(value, kind).or_else(|why| {
            let detail = format!("Unsuitable value for {side} operand: {why}.");
            self.fail(span, "Invalid operand", detail)
        })
    }

    fn null_operand<T>(&mut self, span: Span) -> Result<T, Failed> {
        self.fail(span, "Operation failed", "Error during operation: argument must not be null.")
    }

    pub(super) fn binary(
        &mut self,
        left: &Expression,
        operator: Operator,
        right: &Expression,
        span: Span,
        scope: &Scope<'_>,
    ) -> Result<Value, Failed> {
        let a = self.evaluate(left, scope);
        let b = self.evaluate(right, scope);
        let (a, b) = (a?, b?);
        let kind = match operator {
            Operator::Equal | Operator::NotEqual => {
                self.spend(a.nodes().min(b.nodes()), span)?;
                return Ok(Value::Bool(a.equals(&b) == (operator == Operator::Equal)));
            }
            Operator::Or | Operator::And => Type::Bool,
            Operator::Greater
            | Operator::GreaterOrEqual
            | Operator::Less
            | Operator::LessOrEqual
            | Operator::Add
            | Operator::Subtract
            | Operator::Multiply
            | Operator::Divide
            | Operator::Remainder => Type::Number,
        };
        let a = self.operand(&a, &kind, "left", left.span);
        let b = self.operand(&b, &kind, "right", right.span);
        match (a?, b?) {
            (Value::Bool(a), Value::Bool(b)) => {
                Ok(Value::Bool(if operator == Operator::Or { a || b } else { a && b }))
            }
            (Value::Number(a), Value::Number(b)) => {
                if let Some(value) = arithmetic(&a, operator, &b) {
                    self.spend(value.nodes(), span)?;
                    Ok(value)
                } else {
                    let detail =
                        "Error during operation: can't do this with these infinite or zero values.";
                    self.fail(span, "Operation failed", detail)
                }
            }
            _ => self.null_operand(span),
        }
    }
}

fn arithmetic(a: &Number, operator: Operator, b: &Number) -> Option<Value> {
    Some(match operator {
        Operator::Greater => Value::Bool(a > b),
        Operator::GreaterOrEqual => Value::Bool(a >= b),
        Operator::Less => Value::Bool(a < b),
        Operator::LessOrEqual => Value::Bool(a <= b),
        Operator::Add => Value::Number(a.add(b)?),
        Operator::Subtract => Value::Number(a.sub(b)?),
        Operator::Multiply => Value::Number(a.mul(b)?),
        Operator::Divide => Value::Number(a.div(b)?),
        Operator::Remainder => Value::Number(a.rem(b)?),
        Operator::Or | Operator::And | Operator::Equal | Operator::NotEqual => return None,
    })
}
