//! ◆ Functions of lists, maps and objects.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{
    Call, Function, Outcome, Problem, any, fixed, list, nullable, number, open, text, texts,
};
use crate::jobspec::value::convert::convert;
use crate::jobspec::value::kind::unify;
use crate::jobspec::value::{Number, Type, Value, order};

/// Most numbers that `range` makes.
const MAX_RANGE: usize = 1024;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("chunklist", &[list("list"), number("size")], chunk_list),
    open("coalesce", &[], nullable("vals"), coalesce),
    open("coalescelist", &[], nullable("vals"), coalesce_list),
    fixed("compact", &[texts("list")], |call| {
        let filled = call.items(0).iter().filter(|item| !item.as_str().unwrap_or("").is_empty());
        Ok(Value::list(Type::String, filled.cloned().collect())?)
    }),
    open("concat", &[], any("seqs"), concat),
    fixed("contains", &[any("list"), any("value")], |call| match call.value(0).items() {
        Some(items) => Ok(Value::Bool(items.iter().any(|item| item.equals(call.value(1))))),
        None => Err(Problem::whole("argument must be list, tuple, or set")),
    }),
    fixed("distinct", &[list("list")], distinct),
    fixed("element", &[any("list"), number("index")], element),
    fixed("flatten", &[any("list")], flatten),
    fixed("index", &[any("collection"), any("key")], index),
    fixed("keys", &[any("inputMap")], keys),
    fixed("length", &[any("collection")], |call| match (call.value(0), call.value(0).items()) {
        (_, Some(items)) => Ok(Value::count(items.len())),
        (map @ Value::Map(..), _) => Ok(Value::count(map.entries().map_or(0, BTreeMap::len))),
        // Nomad: an object has no length, though a map has.
        _ => Err(Problem::whole("collection must be a list, a map or a tuple")),
    }),
    fixed("lookup", &[any("inputMap"), text("key"), nullable("default")], lookup),
    open("merge", &[], nullable("maps"), merge),
    open("range", &[], number("params"), range),
    fixed("slice", &[any("list"), number("start_index"), number("end_index")], slice),
    fixed("sort", &[texts("list")], sort),
    fixed("values", &[any("mapping")], values),
    fixed("zipmap", &[texts("keys"), any("values")], zip_map),
];

/// A sequence of the same sort as the one it came from.
fn like(original: &Value, items: Vec<Value>) -> Outcome {
    Ok(match original {
        Value::List(of, _) | Value::Set(of, _) => Value::list(of.as_ref().clone(), items)?,
        _ => Value::tuple(items)?,
    })
}

fn chunk_list(call: &Call<'_>) -> Outcome {
    let size = usize::try_from(call.whole(1)?)
        .map_err(|_| Problem::whole("the size argument must be positive"))?;
    let items = call.items(0);
    // Nomad: a size of zero means one chunk.
    let size = if size == 0 { items.len().max(1) } else { size };
    let kind = call.value(0).kind();
    let chunks: Result<Vec<Value>, Problem> =
        items.chunks(size).map(|chunk| like(call.value(0), chunk.to_vec())).collect();
    Ok(Value::list(kind, chunks?)?)
}

fn coalesce(call: &Call<'_>) -> Outcome {
    let kinds: Vec<Type> = call.arguments.iter().map(Value::kind).collect();
    let common =
        unify(&kinds).ok_or_else(|| Problem::whole("all arguments must have the same type"))?;
    match call.arguments.iter().find(|value| !value.is_null()) {
        Some(value) => convert(value, &common).map_err(Problem::Whole),
        None => Err(Problem::whole("no non-null arguments")),
    }
}

fn coalesce_list(call: &Call<'_>) -> Outcome {
    if call.arguments.is_empty() {
        return Err(Problem::whole("at least one argument is required"));
    }
    for (index, value) in call.arguments.iter().enumerate() {
        match value.items() {
            Some(items) if !items.is_empty() => return Ok(value.clone()),
            Some(_) => {}
            None if value.is_null() => {}
            None => return Err(Problem::Argument(index, "must be list or tuple".to_owned())),
        }
    }
    Err(Problem::whole("no non-null arguments"))
}

fn concat(call: &Call<'_>) -> Outcome {
    if call.arguments.is_empty() {
        return Err(Problem::whole("at least one argument is required"));
    }
    let mut items = Vec::new();
    for (index, value) in call.arguments.iter().enumerate() {
        match value {
            Value::List(..) | Value::Tuple(_) => {
                items.extend_from_slice(value.items().unwrap_or_default());
            }
            _ => {
                let kind = value.kind_name();
                let why = format!("all arguments must be lists or tuples; got {kind}");
                return Err(Problem::Argument(index, why));
            }
        }
    }
    match call.value(0) {
        first @ Value::List(..)
            if call
                .arguments
                .iter()
                .all(|value| matches!(value, Value::List(..)) && value.kind() == first.kind()) =>
        {
            like(first, items)
        }
        _ => Ok(Value::tuple(items)?),
    }
}

fn distinct(call: &Call<'_>) -> Outcome {
    let mut sorted: Vec<&Value> = Vec::new();
    let mut kept = Vec::new();
    for item in call.items(0) {
        if let Err(at) = sorted.binary_search_by(|earlier| order(earlier, item)) {
            sorted.insert(at, item);
            kept.push(item.clone());
        }
    }
    like(call.value(0), kept)
}

fn element(call: &Call<'_>) -> Outcome {
    let items = match call.value(0) {
        Value::List(..) | Value::Tuple(_) => call.items(0),
        other => {
            let why = format!("cannot read elements from {}", other.kind_name());
            return Err(Problem::Whole(why));
        }
    };
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    if length == 0 {
        return Err(Problem::whole("cannot use element function with an empty list"));
    }
    let index = usize::try_from(call.whole(1)?.rem_euclid(length)).unwrap_or(0);
    Ok(items.get(index).cloned().unwrap_or(Value::NULL))
}

fn flatten(call: &Call<'_>) -> Outcome {
    fn into(items: &[Value], out: &mut Vec<Value>) {
        for item in items {
            match item.items() {
                Some(inner) => into(inner, out),
                None => out.push(item.clone()),
            }
        }
    }
    let Some(items) = call.value(0).items() else {
        return Err(Problem::whole("can only flatten lists, sets and tuples"));
    };
    let mut out = Vec::new();
    into(items, &mut out);
    Ok(Value::tuple(out)?)
}

/// Nomad: this is the index operator as a function, not a search.
fn index(call: &Call<'_>) -> Outcome {
    let (collection, key) = (call.value(0), call.value(1));
    match collection {
        Value::List(..) | Value::Tuple(_) => {
            let items = call.items(0);
            let sort = if matches!(collection, Value::Tuple(_)) { "tuple" } else { "list" };
            let Some(number) = key.as_number() else {
                return Err(Problem::Whole(format!("key for {sort} must be number")));
            };
            let found = number.to_usize().and_then(|index| items.get(index)).cloned();
            found.ok_or_else(|| {
                Problem::Whole(format!("key must be between 0 and {} inclusive", items.len()))
            })
        }
        Value::Map(..) => {
            let Some(name) = key.as_str() else {
                return Err(Problem::whole("key for map must be string"));
            };
            let found = collection.entries().and_then(|entries| entries.get(name)).cloned();
            found.ok_or_else(|| Problem::whole("invalid index"))
        }
        _ => Err(Problem::whole("collection must be a list, a map or a tuple")),
    }
}

fn keys(call: &Call<'_>) -> Outcome {
    let Some(entries) = call.value(0).entries() else {
        return Err(Problem::Argument(0, "must have map or object type".to_owned()));
    };
    let names = entries.keys().map(|name| Value::String(Rc::clone(name))).collect();
    match call.value(0) {
        Value::Map(..) => Ok(Value::list(Type::String, names)?),
        _ => Ok(Value::tuple(names)?),
    }
}

fn values(call: &Call<'_>) -> Outcome {
    let Some(entries) = call.value(0).entries() else {
        return Err(Problem::whole("values() requires a map as the first argument"));
    };
    let items = entries.values().cloned().collect();
    match call.value(0) {
        Value::Map(of, _) => Ok(Value::list(of.as_ref().clone(), items)?),
        _ => Ok(Value::tuple(items)?),
    }
}

fn lookup(call: &Call<'_>) -> Outcome {
    let Some(entries) = call.value(0).entries() else {
        let why = "lookup() requires a map as the first argument";
        return Err(Problem::Argument(0, why.to_owned()));
    };
    if let Some(found) = entries.get(call.text(1)) {
        return Ok(found.clone());
    }
    match call.value(0) {
        Value::Map(of, _) => convert(call.value(2), of).map_err(|why| Problem::Argument(2, why)),
        _ => Ok(call.value(2).clone()),
    }
}

fn merge(call: &Call<'_>) -> Outcome {
    let mut out: BTreeMap<Rc<str>, Value> = BTreeMap::new();
    let mut kinds = Vec::new();
    for value in call.arguments.iter().filter(|value| !value.is_null()) {
        let Some(entries) = value.entries() else {
            let why = format!("arguments must be maps or objects, got {:?}", value.kind_name());
            return Err(Problem::Whole(why));
        };
        out.extend(entries.iter().map(|(name, value)| (Rc::clone(name), value.clone())));
        kinds.push(value);
    }
    match kinds.as_slice() {
        [Value::Map(of, _), rest @ ..]
            if rest.iter().all(|value| matches!(value, Value::Map(other, _) if other == of)) =>
        {
            Ok(Value::map(of.as_ref().clone(), out)?)
        }
        _ => Ok(Value::object(out)?),
    }
}

fn range(call: &Call<'_>) -> Outcome {
    let zero = Number::zero();
    let (start, end, step) = match call.arguments.len() {
        1 => (zero, call.number(0), None),
        2 => (call.number(0), call.number(1), None),
        3 => (call.number(0), call.number(1), Some(call.number(2))),
        _ => return Err(Problem::whole("must have one, two, or three arguments")),
    };
    let step = step.unwrap_or_else(|| Number::from(if end < start { -1i64 } else { 1 }));
    let down = step.is_negative();
    if down && end > start {
        let why = "end must be less than start when step is negative";
        return Err(Problem::Argument(1, why.to_owned()));
    }
    if !down && end < start {
        let why = "end must be greater than start when step is positive";
        return Err(Problem::Argument(1, why.to_owned()));
    }
    let mut items = Vec::new();
    let mut at = start;
    while if down { at > end } else { at < end } {
        if items.len() >= MAX_RANGE {
            return Err(Problem::Whole(format!(
                "more than {MAX_RANGE} values were generated; either decrease the difference between start and \
                 end or use a smaller step"
            )));
        }
        items.push(Value::Number(at.clone()));
        at = at.add(&step).ok_or_else(|| Problem::whole("range over infinity"))?;
    }
    Ok(Value::list(Type::Number, items)?)
}

fn slice(call: &Call<'_>) -> Outcome {
    let items = match call.value(0) {
        Value::List(..) | Value::Tuple(_) => call.items(0),
        _ => return Err(Problem::Argument(0, "must be a list or tuple value".to_owned())),
    };
    let (start, end) = (call.whole(1)?, call.whole(2)?);
    let why = |index: usize, text: &str| Err(Problem::Argument(index, text.to_owned()));
    let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else {
        return if start < 0 {
            why(1, "start index must not be less than zero")
        } else {
            why(2, "end index must not be less than zero")
        };
    };
    if start > items.len() {
        return why(1, "start index must not be greater than the length of the list");
    }
    if end > items.len() {
        return why(2, "end index must not be greater than the length of the list");
    }
    if start > end {
        return why(1, "start index must not be greater than end index");
    }
    like(call.value(0), items[start..end].to_vec())
}

fn sort(call: &Call<'_>) -> Outcome {
    let mut items = call.items(0).to_vec();
    if items.iter().any(Value::is_null) {
        return Err(Problem::Argument(
            0,
            "given list element is null; a null string cannot be sorted".to_owned(),
        ));
    }
    items.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    Ok(Value::list(Type::String, items)?)
}

fn zip_map(call: &Call<'_>) -> Outcome {
    let keys = call.items(0);
    let values = match call.value(1) {
        Value::List(..) | Value::Tuple(_) => call.items(1),
        _ => return Err(Problem::whole("values argument must be a list or tuple value")),
    };
    if keys.len() != values.len() {
        return Err(Problem::Whole(format!(
            "number of keys ({}) does not match number of values ({})",
            keys.len(),
            values.len()
        )));
    }
    let mut out = BTreeMap::new();
    for (key, value) in keys.iter().zip(values) {
        let Value::String(key) = key else {
            return Err(Problem::Argument(0, "keys must not be null".to_owned()));
        };
        out.insert(Rc::clone(key), value.clone());
    }
    match call.value(1) {
        Value::List(of, _) => Ok(Value::map(of.as_ref().clone(), out)?),
        _ => Ok(Value::object(out)?),
    }
}
