//! ◆ Values of attributes: computed, converted to the kind that the table demands, and written as JSON.

use serde_json::Value as Out;

use super::Decoder;
use crate::jobspec::duration;
use crate::jobspec::eval::Scope;
use crate::jobspec::schema::{Field, Kind, Object, Range};
use crate::jobspec::syntax::{Body, Expression, Node};
use crate::jobspec::value::convert::convert;
use crate::jobspec::value::{Number, Type, Value};

const UNSUITABLE: &str = "Unsuitable value type";

impl Decoder<'_, '_> {
    /// The JSON of an attribute; `None` if something was complained about.
    pub(super) fn attribute_value(
        &mut self,
        field: &Field,
        expression: &Expression,
        scope: &Scope<'_>,
    ) -> Option<Out> {
        let value = self.evaluator.evaluate(expression, scope).ok()?;
        self.evaluator.spend(value.nodes(), expression.span).ok()?;
        match to_json(field.kind, &value) {
            Ok(json) => Some(json),
            Err(why) => {
                let (summary, detail) = match field.kind {
                    Kind::LooseText | Kind::LooseNumber | Kind::LooseBool => (
                        "Incorrect attribute value type",
                        format!("Inappropriate value for attribute \"{}\": {why}.", field.name),
                    ),
                    Kind::Duration | Kind::MaybeDuration if value.is_null() => {
                        ("Unsuitable value", format!("Unsuitable duration value: {why}"))
                    }
                    Kind::Duration | Kind::MaybeDuration if value.as_str().is_some() => {
                        (UNSUITABLE, format!("Unsuitable duration value: {why}"))
                    }
                    _ => (UNSUITABLE, format!("Unsuitable value: {why}")),
                };
                self.complain(expression.start(), summary, detail);
                None
            }
        }
    }

    /// `env { A = "b" }`
    pub(super) fn text_block(&mut self, body: &Body, scope: &Scope<'_>) -> Object {
        self.map_block(body, scope, Kind::Text)
    }

    /// `header { A = ["b"] }`
    pub(super) fn texts_block(&mut self, body: &Body, scope: &Scope<'_>) -> Object {
        self.map_block(body, scope, Kind::Texts)
    }

    fn map_block(&mut self, body: &Body, scope: &Scope<'_>, kind: Kind) -> Object {
        let mut object = Object::new();
        for attribute in &body.attributes {
            let field = Field { name: "", json: "", kind, required: false };
            if let Some(value) = self.attribute_value(&field, &attribute.value, scope) {
                object.insert(attribute.name.text.to_string(), value);
            }
        }
        for block in &body.blocks {
            let name = &block.kind.text;
            let detail =
                format!("Blocks are not allowed here. To set \"{name}\", use the equals sign.");
            self.complain(block.kind.span, format!("Unexpected \"{name}\" block"), detail);
        }
        object
    }
}

/// Whether an expression is an object written in place.
pub(super) fn is_object(expression: &Expression) -> bool {
    matches!(expression.node, Node::Object(_))
}

fn to_json(kind: Kind, value: &Value) -> Result<Out, String> {
    match kind {
        Kind::Text if value.is_null() => Err("null value is not allowed".to_owned()),
        Kind::Bool | Kind::Whole(_) if value.is_null() => Err("must not be null".to_owned()),
        Kind::LooseText if value.is_null() => Ok(Out::from("")),
        Kind::Text | Kind::MaybeText | Kind::LooseText => {
            Ok(free_json(&convert(value, &Type::String)?))
        }
        Kind::Bool | Kind::MaybeBool | Kind::LooseBool => {
            Ok(free_json(&convert(value, &Type::Bool)?))
        }
        Kind::Whole(range) | Kind::MaybeWhole(range) => {
            let number = convert(value, &Type::Number)?;
            number.as_number().map_or(Ok(Out::Null), |number| whole(number, range))
        }
        Kind::LooseNumber => {
            let number = convert(value, &Type::Number)?;
            Ok(number.as_number().map_or(Out::Null, eight_bits))
        }
        Kind::Duration | Kind::MaybeDuration => match value {
            Value::Null(_) => Err("nil".to_owned()),
            Value::String(text) => duration::parse(text).map(Out::from),
            Value::Number(number) => whole(number, Range(i64::MIN.into(), i64::MAX.into())),
            other => Err(format!("expected a string but found {}", other.kind_name())),
        },
        Kind::Texts => texts(&convert(value, &Type::string_list())?),
        Kind::Wholes(range) => {
            let list = convert(value, &Type::List(Type::Number.into()))?;
            let Some(items) = list.items() else { return Ok(Out::Null) };
            let numbers: Result<Vec<Out>, String> = items
                .iter()
                .map(|item| {
                    item.as_number().map_or(Err("must not be null".to_owned()), |n| whole(n, range))
                })
                .collect();
            Ok(Out::Array(numbers?))
        }
        Kind::TextMap | Kind::TextBlockOrMap => text_map(&convert(value, &Type::string_map())?),
        Kind::Label(_)
        | Kind::TextBlock
        | Kind::TextsBlock
        | Kind::Free
        | Kind::One(_)
        | Kind::Rare(_)
        | Kind::Many(_)
        | Kind::Named(_)
        | Kind::GroupScaling
        | Kind::TaskScaling
        | Kind::Bytes => Err("a block is required".to_owned()),
    }
}

fn texts(list: &Value) -> Result<Out, String> {
    let Some(items) = list.items() else { return Ok(Out::Null) };
    if items.iter().any(Value::is_null) {
        return Err("null value is not allowed".to_owned());
    }
    Ok(Out::Array(items.iter().map(free_json).collect()))
}

fn text_map(map: &Value) -> Result<Out, String> {
    let Some(entries) = map.entries() else { return Ok(Out::Object(Object::new())) };
    if entries.values().any(Value::is_null) {
        return Err("null value is not allowed".to_owned());
    }
    Ok(Out::Object(entries.iter().map(|(name, v)| (name.to_string(), free_json(v))).collect()))
}

fn whole(number: &Number, Range(low, high): Range) -> Result<Out, String> {
    let exact = number.to_i128().filter(|value| (low..=high).contains(value));
    let inclusive = if low == i128::from(i64::MIN) { "" } else { " inclusive" };
    let why = format!("value must be a whole number, between {low} and {high}{inclusive}");
    let value = exact.ok_or(why)?;
    Ok(i64::try_from(value)
        .map(Out::from)
        .or_else(|_| u64::try_from(value).map(Out::from))
        .unwrap_or(Out::Null))
}

/// Nomad: the fraction is cut off, then all bits but the lowest eight.
fn eight_bits(number: &Number) -> Out {
    let whole = number.trunc().to_i128().unwrap_or(0);
    let low = u8::try_from(whole.rem_euclid(256)).unwrap_or(0);
    Out::from(i8::from_ne_bytes([low]))
}

/// A value as JSON: whole numbers that fit stay whole, others become floats.
pub(crate) fn free_json(value: &Value) -> Out {
    match value {
        Value::Null(_) => Out::Null,
        Value::String(text) => Out::String(text.to_string()),
        Value::Bool(truth) => Out::Bool(*truth),
        Value::Number(number) => match number.to_i64() {
            Some(whole) => Out::from(whole),
            None => float(number.to_f64()),
        },
        Value::List(..) | Value::Set(..) | Value::Tuple(_) => {
            Out::Array(value.items().unwrap_or_default().iter().map(free_json).collect())
        }
        Value::Map(..) | Value::Object(_) => {
            let entries = value.entries().into_iter().flatten();
            Out::Object(entries.map(|(name, v)| (name.to_string(), free_json(v))).collect())
        }
    }
}

/// A float as Go prints it: below 10^21 without an exponent, so a whole one has no point.
pub(crate) fn float(value: f64) -> Out {
    let text = value.to_string();
    let whole = value.abs() < 1e21 && !text.contains('.');
    let number = if whole { text.parse::<u64>().ok().map(Out::from) } else { None };
    number.unwrap_or_else(|| Out::from(value))
}
