//! ◆ Whether an object matches an expression.

use std::collections::HashMap;

use serde_json::Value;

use super::shape::{Member, Shape};
use super::{Collection, Expression, Match, Operator, Selector};
use crate::api::{number, regexp};

/// Why an expression cannot be asked of an object. The texts are those of the library that Nomad uses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A path leads nowhere.
    #[error("error finding value in datum: {0}")]
    Path(String),
    /// The literal is not of the kind of what it is compared with.
    #[error("error getting match value in expression: {0}")]
    Literal(String),
    /// The operator does not apply.
    #[error("{0}")]
    Operator(String),
}

/// Whether `object` matches.
pub(super) fn matches(
    expression: &Expression,
    object: &Value,
    shape: &Shape,
) -> Result<bool, EvalError> {
    Scope { object, shape, names: HashMap::new() }.ask(expression)
}

/// What a name inside `any … { }` stands for.
#[derive(Clone)]
enum Bound {
    /// A place in the object.
    Path(Vec<String>),
    /// A key of a map.
    Key(String),
    /// A position in a list.
    Index(usize),
}

struct Scope<'v> {
    object: &'v Value,
    shape: &'v Shape,
    names: HashMap<String, Bound>,
}

/// What a selector leads to.
enum Found<'v> {
    Value(&'v Value, &'v Shape),
    Key(String),
    Index(usize),
    /// A map's key that is not there.
    Missing,
    /// A field whose value is zero.
    LeftOut,
}

impl<'v> Scope<'v> {
    fn ask(&self, expression: &Expression) -> Result<bool, EvalError> {
        match expression {
            Expression::Or(terms) => self.any_is(terms, true),
            Expression::And(terms) => self.any_is(terms, false).map(|found| !found),
            Expression::Not(inner) => Ok(!self.ask(inner)?),
            Expression::Match(one) => self.compare(one),
            Expression::Collection(collection) => self.collection(collection),
        }
    }

    /// Whether one of the terms is `wanted`; those behind it are not asked.
    fn any_is(&self, terms: &[Expression], wanted: bool) -> Result<bool, EvalError> {
        for term in terms {
            if self.ask(term)? == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The path of a selector, with bound names put in; or what a name alone stands for.
    fn resolve(&self, selector: &Selector) -> Result<Vec<String>, Found<'v>> {
        let (Some(first), false) = (selector.parts.first(), selector.pointer) else {
            return Ok(selector.parts.clone());
        };
        match self.names.get(first) {
            None => Ok(selector.parts.clone()),
            Some(Bound::Path(path)) => Ok([path, &selector.parts[1..]].concat()),
            Some(Bound::Key(key)) => Err(Found::Key(key.clone())),
            Some(Bound::Index(index)) => Err(Found::Index(*index)),
        }
    }

    fn find(&self, path: &[String]) -> Result<Found<'v>, EvalError> {
        let (mut value, mut shape) = (self.object, self.shape);
        let place = || format!("/{}", path.join("/"));
        for (at, part) in path.iter().enumerate() {
            let wrong = |why: &str| EvalError::Path(format!("{} at part {at}: {why}", place()));
            let kind = shape.kind(value);
            match kind {
                "slice" => {
                    let items = value.as_array().map_or(&[][..], Vec::as_slice);
                    let index: usize = part.parse().map_err(|_| {
                        wrong(&format!("couldn't convert value \"{part}\" to type int"))
                    })?;
                    value = items.get(index).ok_or_else(|| {
                        let length = items.len();
                        wrong(&format!("index {index} is out of range (length = {length})"))
                    })?;
                    shape = shape.element();
                }
                "map" | "struct" => match shape.member(value, part) {
                    Member::Found(inner, of) => (value, shape) = (inner, of),
                    Member::NoKey if at + 1 == path.len() => return Ok(Found::Missing),
                    Member::NoKey => return Err(wrong(&format!("couldn't find key \"{part}\""))),
                    Member::LeftOut => return Ok(Found::LeftOut),
                    Member::NoField => {
                        let why = format!("couldn't find key: struct field with name \"{part}\"");
                        return Err(wrong(&why));
                    }
                },
                _ => {
                    let why = format!("{}: at part {at}, invalid value kind: {kind}", place());
                    return Err(EvalError::Path(why));
                }
            }
        }
        Ok(Found::Value(value, shape))
    }

    fn compare(&self, one: &Match) -> Result<bool, EvalError> {
        let found = match self.resolve(&one.selector) {
            Ok(path) => self.find(&path)?,
            Err(found) => found,
        };
        match found {
            Found::Missing => Ok(one.operator.of_nothing()),
            Found::LeftOut => left_out(one),
            Found::Value(value, shape) => apply(one, value, shape),
            Found::Key(key) => apply(one, &Value::String(key), &Shape::Text),
            Found::Index(index) => apply(one, &Value::from(index), &Shape::Int),
        }
    }

    fn collection(&self, collection: &Collection) -> Result<bool, EvalError> {
        let Ok(path) = self.resolve(&collection.selector) else {
            return Err(not_a_collection(collection));
        };
        let (value, shape) = match self.find(&path)? {
            Found::Value(value, shape) => (value, shape),
            Found::Missing | Found::LeftOut => return Ok(collection.all),
            Found::Key(_) | Found::Index(_) => return Err(not_a_collection(collection)),
        };
        let below = |part: String| Bound::Path([path.clone(), vec![part]].concat());
        let elements: Vec<(Bound, Bound)> = match value {
            Value::Array(items) => {
                let pair = |at: usize| (Bound::Index(at), below(at.to_string()));
                (0..items.len()).map(pair).collect()
            }
            Value::Object(map) if shape.is_map() => {
                map.keys().map(|key| (Bound::Key(key.clone()), below(key.clone()))).collect()
            }
            Value::Null => Vec::new(),
            _ => return Err(not_a_collection(collection)),
        };
        let is_map = value.is_object();
        for (key, element) in elements {
            let mut names = self.names.clone();
            if let Some(second) = &collection.second {
                names.insert(collection.first.clone(), key);
                names.insert(second.clone(), element);
            } else {
                let bound = if is_map { key } else { element };
                names.insert(collection.first.clone(), bound);
            }
            let inner = Scope { object: self.object, shape: self.shape, names };
            if inner.ask(&collection.inner)? != collection.all {
                return Ok(!collection.all);
            }
        }
        Ok(collection.all)
    }
}

fn not_a_collection(collection: &Collection) -> EvalError {
    EvalError::Operator(format!("{} is not a list or a map", collection.selector.text()))
}

/// Of a field that JSON leaves out because it is zero.
fn left_out(one: &Match) -> Result<bool, EvalError> {
    let zero = ["", "0", "false"].contains(&one.value.as_str());
    Ok(match one.operator {
        Operator::Equal => zero,
        Operator::NotEqual => !zero,
        Operator::Matches => compile(&one.value)?.is_match(""),
        Operator::NotMatches => !compile(&one.value)?.is_match(""),
        Operator::In
        | Operator::NotIn
        | Operator::IsEmpty
        | Operator::IsNotEmpty
        | Operator::IsNil
        | Operator::IsNotNil => one.operator.of_nothing(),
    })
}

fn apply(one: &Match, value: &Value, shape: &Shape) -> Result<bool, EvalError> {
    match one.operator {
        Operator::Equal => equal(one, value, shape),
        Operator::NotEqual => equal(one, value, shape).map(|is| !is),
        Operator::In => contains(one, value, shape),
        Operator::NotIn => contains(one, value, shape).map(|is| !is),
        Operator::Matches => matches_pattern(one, value, shape),
        Operator::NotMatches => matches_pattern(one, value, shape).map(|is| !is),
        Operator::IsEmpty => is_empty(one, value, shape),
        Operator::IsNotEmpty => is_empty(one, value, shape).map(|is| !is),
        Operator::IsNil => is_nil(one, value, shape),
        Operator::IsNotNil => is_nil(one, value, shape).map(|is| !is),
    }
}

/// Whether a primitive equals a literal; none for what is no primitive.
#[expect(clippy::float_cmp, reason = "the literal says exactly which number is meant")]
fn primitive(literal: &str, value: &Value, shape: &Shape) -> Option<Result<bool, EvalError>> {
    let wrong = |error: number::ParseError| EvalError::Literal(error.to_string());
    Some(match shape.kind(value) {
        "bool" => number::parse_bool(literal)
            .map(|literal| value.as_bool().unwrap_or_default() == literal)
            .map_err(wrong),
        "int" => number::parse_int(literal)
            .map(|literal| value.as_i64().unwrap_or_default() == literal)
            .map_err(wrong),
        "uint64" => number::parse_uint(literal)
            .map(|literal| value.as_u64().unwrap_or_default() == literal)
            .map_err(wrong),
        "float64" => {
            if let Ok(literal) = literal.parse::<f64>() {
                Ok(value.as_f64().unwrap_or_default() == literal)
            } else {
                let literal = number::quote(literal);
                let why = format!("strconv.ParseFloat: parsing {literal}: invalid syntax");
                Err(EvalError::Literal(why))
            }
        }
        "string" => Ok(value.as_str().unwrap_or_default() == literal),
        _ => return None,
    })
}

fn equal(one: &Match, value: &Value, shape: &Shape) -> Result<bool, EvalError> {
    primitive(&one.value, value, shape).unwrap_or_else(|| {
        let why = "unable to find suitable primitive comparison function for matching";
        Err(EvalError::Operator(why.to_owned()))
    })
}

fn contains(one: &Match, value: &Value, shape: &Shape) -> Result<bool, EvalError> {
    let kind = shape.kind(value);
    match (kind, value) {
        ("string", _) => Ok(value.as_str().unwrap_or_default().contains(&one.value)),
        ("slice", Value::Array(items)) => {
            for item in items {
                let found = primitive(&one.value, item, shape.element()).unwrap_or_else(|| {
                    let why = "unable to find suitable primitive comparison function for \"in\" comparison";
                    Err(EvalError::Operator(why.to_owned()))
                });
                if found? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        ("map" | "struct", Value::Object(map)) if shape.is_map() => {
            Ok(map.contains_key(&one.value))
        }
        ("slice" | "map", _) => Ok(false),
        ("invalid", _) if *shape == Shape::Noun || *shape == Shape::Free => Ok(false),
        _ => {
            primitive(&one.value, value, shape).transpose()?;
            let selector = one.selector.text();
            Err(EvalError::Operator(format!(
                "cannot perform in/contains operations on type {kind} for selector: \"{selector}\""
            )))
        }
    }
}

fn compile(pattern: &str) -> Result<regex::Regex, EvalError> {
    regexp::compile(pattern).map_err(|why| {
        let pattern = number::quote(pattern);
        EvalError::Operator(format!("failed to compile regular expression {pattern}: {why}"))
    })
}

fn matches_pattern(one: &Match, value: &Value, shape: &Shape) -> Result<bool, EvalError> {
    let pattern = compile(&one.value)?;
    if shape.kind(value) != "string" {
        let name = shape.type_name(value);
        let why = format!("value of type {name} is not convertible to []byte");
        return Err(EvalError::Operator(why));
    }
    Ok(pattern.is_match(value.as_str().unwrap_or_default()))
}

fn is_empty(one: &Match, value: &Value, shape: &Shape) -> Result<bool, EvalError> {
    let kind = shape.kind(value);
    match kind {
        "string" => Ok(value.as_str().unwrap_or_default().is_empty()),
        "slice" => Ok(value.as_array().is_none_or(Vec::is_empty)),
        "map" => Ok(value.as_object().is_none_or(serde_json::Map::is_empty)),
        "invalid" if *shape == Shape::Noun || *shape == Shape::Free => Ok(true),
        _ => {
            let selector = one.selector.text();
            Err(EvalError::Operator(format!(
                "cannot perform is-empty operations on type {kind} for selector: \"{selector}\""
            )))
        }
    }
}

fn is_nil(one: &Match, value: &Value, shape: &Shape) -> Result<bool, EvalError> {
    let kind = shape.kind(value);
    match kind {
        "slice" | "map" | "struct" | "invalid" => Ok(value.is_null()),
        _ => {
            let selector = one.selector.text();
            Err(EvalError::Operator(format!(
                "cannot perform is-nil operations on type {kind} for selector: \"{selector}\""
            )))
        }
    }
}
