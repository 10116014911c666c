//! ◆ From a value of one type to a value of another, or why not.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::kind::unify;
use super::{Number, Type, Value};

/// Why a value cannot become another type. The text fits behind a colon.
pub(crate) type Mismatch = String;

/// The value as the type demands it. Strings and numbers, strings and bools turn into each other where the text allows;
/// tuples into lists and sets, objects into maps; a demand of `Any` changes nothing.
pub(crate) fn convert(value: &Value, to: &Type) -> Result<Value, Mismatch> {
    if let Value::Null(_) = value {
        return Ok(Value::Null(to.clone()));
    }
    match (value, to) {
        (_, Type::Any) => Ok(value.clone()),
        (Value::String(_), Type::String)
        | (Value::Number(_), Type::Number)
        | (Value::Bool(_), Type::Bool) => Ok(value.clone()),
        (Value::Number(number), Type::String) => Ok(Value::string(number.to_string())),
        (Value::Bool(truth), Type::String) => Ok(Value::string(truth.to_string())),
        (Value::String(text), Type::Number) => Number::parse(text)
            .filter(|_| !text.starts_with('+'))
            .map(Value::Number)
            .ok_or_else(|| "a number is required".to_owned()),
        (Value::String(text), Type::Bool) => to_bool(text),
        (_, Type::List(of)) => to_sequence(value, of, to, false),
        (_, Type::Set(of)) => to_sequence(value, of, to, true),
        (_, Type::Map(of)) => to_map(value, of, to),
        (_, Type::Tuple(places)) => to_tuple(value, places),
        (_, Type::Object(shape)) => to_object(value, shape),
        (_, Type::String | Type::Number | Type::Bool) => Err(required(to, value)),
    }
}

fn to_bool(text: &str) -> Result<Value, Mismatch> {
    match text {
        "true" | "1" => Ok(Value::Bool(true)),
        "false" | "0" => Ok(Value::Bool(false)),
        "True" | "TRUE" => {
            Err("a bool is required; to convert from string, use lowercase \"true\"".to_owned())
        }
        "False" | "FALSE" => {
            Err("a bool is required; to convert from string, use lowercase \"false\"".to_owned())
        }
        _ => Err("a bool is required".to_owned()),
    }
}

fn required(to: &Type, value: &Value) -> Mismatch {
    format!("{} required, but have {}", to.name(), value.kind_name())
}

fn to_sequence(value: &Value, of: &Type, to: &Type, set: bool) -> Result<Value, Mismatch> {
    let Some(items) = value.items() else { return Err(required(to, value)) };
    let of = element_type(items, of)?;
    let items: Result<Vec<Value>, Mismatch> = items
        .iter()
        .enumerate()
        .map(|(index, item)| convert(item, &of).map_err(|why| format!("element {index}: {why}")))
        .collect();
    let made = if set { Value::set(of, items?) } else { Value::list(of, items?) };
    made.map_err(|too_large| too_large.to_string())
}

/// The element type demanded, or for `Any` the one that the elements have in common.
fn element_type(items: &[Value], of: &Type) -> Result<Type, Mismatch> {
    if *of != Type::Any || items.is_empty() {
        return Ok(of.clone());
    }
    let kinds: Vec<Type> = items.iter().map(Value::kind).collect();
    unify(&kinds).ok_or_else(|| "all list elements must have the same type".to_owned())
}

fn to_map(value: &Value, of: &Type, to: &Type) -> Result<Value, Mismatch> {
    let Some(entries) = value.entries() else {
        return Err(if value.items().is_some() {
            format!("{} required", to.name())
        } else {
            required(to, value)
        });
    };
    let of = if *of == Type::Any && !entries.is_empty() {
        let kinds: Vec<Type> = entries.values().map(Value::kind).collect();
        unify(&kinds).ok_or_else(|| "all map elements must have the same type".to_owned())?
    } else {
        of.clone()
    };
    let mut out = BTreeMap::new();
    for (name, item) in entries {
        let item = convert(item, &of).map_err(|why| format!("element \"{name}\": {why}"))?;
        out.insert(Rc::clone(name), item);
    }
    Value::map(of, out).map_err(|too_large| too_large.to_string())
}

fn to_tuple(value: &Value, places: &[Type]) -> Result<Value, Mismatch> {
    let items = value.items().filter(|items| items.len() == places.len());
    let Some(items) = items else { return Err("tuple required".to_owned()) };
    let items: Result<Vec<Value>, Mismatch> = items
        .iter()
        .zip(places)
        .enumerate()
        .map(|(index, (item, kind))| {
            convert(item, kind).map_err(|why| format!("element {index}: {why}"))
        })
        .collect();
    Value::tuple(items?).map_err(|too_large| too_large.to_string())
}

fn to_object(value: &Value, shape: &BTreeMap<Rc<str>, Type>) -> Result<Value, Mismatch> {
    let Some(entries) = value.entries() else {
        return Err(format!("object required, but have {}", value.kind_name()));
    };
    let missing: Vec<&str> =
        shape.keys().filter(|name| !entries.contains_key(*name)).map(AsRef::as_ref).collect();
    match missing.as_slice() {
        [] => {}
        [one] => return Err(format!("attribute \"{one}\" is required")),
        [some @ .., last] => {
            let some: Vec<String> = some.iter().map(|name| format!("\"{name}\"")).collect();
            return Err(format!("attributes {} and \"{last}\" are required", some.join(", ")));
        }
    }
    let mut out = BTreeMap::new();
    for (name, kind) in shape {
        let item = entries.get(name).unwrap_or(&Value::NULL);
        let item = convert(item, kind).map_err(|why| format!("attribute \"{name}\": {why}"))?;
        out.insert(Rc::clone(name), item);
    }
    Value::object(out).map_err(|too_large| too_large.to_string())
}
