//! ◆ Values to JSON text and back. Numbers keep all their digits both ways.

use std::collections::BTreeMap;

use super::{Problem, check_length};
use crate::jobspec::json::{self, Json, JsonNode};
use crate::jobspec::value::Value;

/// JSON text as Go writes it: `<`, `>` and `&` escaped, keys in order.
pub(crate) fn encode(value: &Value) -> Result<String, Problem> {
    let mut out = String::new();
    write(value, &mut out)?;
    check_length(out.len())?;
    Ok(out)
}

fn write(value: &Value, out: &mut String) -> Result<(), Problem> {
    match value {
        Value::Null(_) => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) if number.is_finite() => out.push_str(&number.to_string()),
        Value::Number(_) => return Err(Problem::whole("cannot serialize infinity as JSON")),
        Value::String(text) => write_string(text, out),
        Value::List(..) | Value::Set(..) | Value::Tuple(_) => {
            out.push('[');
            for (index, item) in value.items().unwrap_or_default().iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Value::Map(..) | Value::Object(_) => {
            out.push('{');
            for (index, (name, item)) in value.entries().into_iter().flatten().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(name, out);
                out.push(':');
                write(item, out)?;
            }
            out.push('}');
        }
    }
    check_length(out.len())
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let escaped = format!("\\u{:04x}", u32::from(c));
                out.push_str(&escaped);
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// The value of a JSON text.
pub(crate) fn decode(text: &str) -> Result<Value, Problem> {
    let json = json::parse(text).map_err(|error| Problem::Whole(error.summary()))?;
    value(&json)
}

fn value(json: &Json) -> Result<Value, Problem> {
    Ok(match &json.node {
        JsonNode::Null => Value::NULL,
        JsonNode::Bool(truth) => Value::Bool(*truth),
        JsonNode::Number(number) => Value::Number(number.clone()),
        JsonNode::String(text) => Value::string(text.as_str()),
        JsonNode::Array(items) => {
            let items: Result<Vec<Value>, Problem> = items.iter().map(value).collect();
            Value::tuple(items?)?
        }
        JsonNode::Object(members) => {
            let mut entries = BTreeMap::new();
            for member in members {
                entries.insert(member.name.as_str().into(), value(&member.value)?);
            }
            Value::object(entries)?
        }
    })
}
