//! ◆ Functions of sets.

use super::{Call, Function, Outcome, Problem, any, open, set_of};
use crate::jobspec::value::convert::convert;
use crate::jobspec::value::kind::unify;
use crate::jobspec::value::{Type, Value, order};

/// Most combinations that `setproduct` makes.
const MAX_PRODUCT: usize = 20_000;

pub(super) const FUNCTIONS: &[Function] = &[
    open("setintersection", &[set_of("first_set")], set_of("other_sets"), |call| {
        combine(call, |mut sets| {
            let mut kept = sets.next().unwrap_or_default();
            for set in sets {
                let mut set = set;
                set.sort_by(order);
                kept.retain(|item| set.binary_search_by(|other| order(other, item)).is_ok());
            }
            kept
        })
    }),
    open("setproduct", &[], any("sets"), product),
    open("setunion", &[set_of("first_set")], set_of("other_sets"), |call| {
        combine(call, |sets| sets.flatten().collect())
    }),
];

fn combine(call: &Call<'_>, join: fn(std::vec::IntoIter<Vec<Value>>) -> Vec<Value>) -> Outcome {
    let kinds: Vec<Type> = call
        .arguments
        .iter()
        .filter_map(|set| match set {
            Value::Set(of, _) if **of != Type::Any => Some(of.as_ref().clone()),
            _ => None,
        })
        .collect();
    let of = if kinds.is_empty() {
        Type::Any
    } else {
        unify(&kinds)
            .ok_or_else(|| Problem::whole("given sets must all have compatible element types"))?
    };
    let mut sets = Vec::new();
    for (index, set) in call.arguments.iter().enumerate() {
        let items: Result<Vec<Value>, String> =
            set.items().unwrap_or_default().iter().map(|item| convert(item, &of)).collect();
        sets.push(items.map_err(|why| Problem::Argument(index, why))?);
    }
    Ok(Value::set(of, join(sets.into_iter()))?)
}

fn product(call: &Call<'_>) -> Outcome {
    if call.arguments.len() < 2 {
        return Err(Problem::whole("at least two arguments are required"));
    }
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for (index, set) in call.arguments.iter().enumerate() {
        let Some(items) = set.items() else {
            return Err(Problem::Argument(index, "a set or a list is required".to_owned()));
        };
        if rows.len().saturating_mul(items.len()) > MAX_PRODUCT {
            return Err(Problem::Whole(format!("more than {MAX_PRODUCT} combinations")));
        }
        rows = rows
            .iter()
            .flat_map(|row| {
                items.iter().map(|item| [row.as_slice(), std::slice::from_ref(item)].concat())
            })
            .collect();
    }
    let rows: Result<Vec<Value>, _> = rows.into_iter().map(Value::tuple).collect();
    let rows = rows?;
    let kind = rows.first().map_or(Type::Any, Value::kind);
    if call.arguments.iter().all(|set| matches!(set, Value::Set(..))) {
        Ok(Value::set(kind, rows)?)
    } else {
        Ok(Value::tuple(rows)?)
    }
}
