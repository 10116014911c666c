//! ◆ Types of values, their names in errors, and the type that several have in common.

use std::collections::BTreeMap;
use std::rc::Rc;

/// The type of a value or the type that a value must have. `Any` is the type of an untyped null and, as a demand,
/// lets everything through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    /// Nothing is known or demanded.
    Any,
    /// Text.
    String,
    /// A number of any size.
    Number,
    /// True or false.
    Bool,
    /// A sequence whose elements have one type.
    List(Rc<Type>),
    /// Distinct elements of one type, in the order of their values.
    Set(Rc<Type>),
    /// Names to values of one type.
    Map(Rc<Type>),
    /// A sequence in which each place has its own type.
    Tuple(Rc<Vec<Type>>),
    /// Names to values, each name with its own type.
    Object(Rc<BTreeMap<Rc<str>, Type>>),
}

impl Type {
    /// `list(string)`.
    pub(crate) fn string_list() -> Self {
        Self::List(Rc::new(Self::String))
    }

    /// `map(string)`.
    pub(crate) fn string_map() -> Self {
        Self::Map(Rc::new(Self::String))
    }

    /// How errors call it: `list of string`, `object`.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Any => "dynamic".to_owned(),
            Self::String => "string".to_owned(),
            Self::Number => "number".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::List(of) => format!("list of {}", of.name()),
            Self::Set(of) => format!("set of {}", of.name()),
            Self::Map(of) => format!("map of {}", of.name()),
            Self::Tuple(_) => "tuple".to_owned(),
            Self::Object(_) => "object".to_owned(),
        }
    }
}

/// The type that values of all these types can be converted to, if there is one: `string` for a number and a string,
/// a list for tuples, a map for objects of different shape.
pub(crate) fn unify<'a>(types: impl IntoIterator<Item = &'a Type>) -> Option<Type> {
    let mut types = types.into_iter();
    let mut common = types.next()?.clone();
    for next in types {
        common = unify_two(&common, next)?;
    }
    Some(common)
}

fn unify_two(a: &Type, b: &Type) -> Option<Type> {
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (Type::Any, other) | (other, Type::Any) => Some(other.clone()),
        (Type::List(a), Type::List(b)) => Some(Type::List(Rc::new(unify_two(a, b)?))),
        (Type::Set(a), Type::Set(b)) => Some(Type::Set(Rc::new(unify_two(a, b)?))),
        (Type::Map(a), Type::Map(b)) => Some(Type::Map(Rc::new(unify_two(a, b)?))),
        (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => {
            let places: Option<Vec<Type>> =
                a.iter().zip(b.iter()).map(|(a, b)| unify_two(a, b)).collect();
            match places {
                Some(places) => Some(Type::Tuple(Rc::new(places))),
                None => Some(Type::List(Rc::new(unify(a.iter().chain(b.iter()))?))),
            }
        }
        (Type::Tuple(a), Type::Tuple(b)) => {
            Some(Type::List(Rc::new(unify(a.iter().chain(b.iter())).unwrap_or(Type::Any))))
        }
        (Type::Tuple(places), Type::List(of)) | (Type::List(of), Type::Tuple(places)) => {
            let of = unify(places.iter().chain([of.as_ref()]))?;
            Some(Type::List(Rc::new(of)))
        }
        (Type::Tuple(_) | Type::List(_), Type::Set(of))
        | (Type::Set(of), Type::Tuple(_) | Type::List(_)) => Some(Type::List(Rc::clone(of))),
        (Type::Object(a), Type::Object(b)) if a.keys().eq(b.keys()) => {
            let mut shape = BTreeMap::new();
            for (name, kind) in a.iter() {
                shape.insert(Rc::clone(name), unify_two(kind, b.get(name)?)?);
            }
            Some(Type::Object(Rc::new(shape)))
        }
        (Type::Object(a), Type::Object(b)) => {
            Some(Type::Map(Rc::new(unify(a.values().chain(b.values()))?)))
        }
        (Type::Object(shape), Type::Map(of)) | (Type::Map(of), Type::Object(shape)) => {
            Some(Type::Map(Rc::new(unify(shape.values().chain([of.as_ref()]))?)))
        }
        (Type::String, Type::Number | Type::Bool) | (Type::Number | Type::Bool, Type::String) => {
            Some(Type::String)
        }
        _ => None,
    }
}
