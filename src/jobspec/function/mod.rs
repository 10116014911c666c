//! ◆ The functions of a job file, one file per subject.
//!
//! A function says what arguments it takes in a table; they arrive converted. Files, randomness and paths come from the
//! [`Host`]. No function makes more than a few megabytes or takes longer than its arguments are large.

mod collection;
mod crypto;
mod date;
mod encoding;
mod file;
mod format;
pub(super) mod json;
mod network;
mod number;
mod set;
mod string;
mod yaml;

use std::rc::Rc;

use super::host::Host;
use super::value::convert::convert;
use super::value::{Number, TooLarge, Type, Value};

/// Longest text that a function may make.
const MAX_TEXT: usize = 4 << 20;

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// The argument with this index is wrong.
    Argument(usize, String),
    /// The call as a whole failed.
    Whole(String),
}

impl Problem {
    fn whole(text: impl Into<String>) -> Self {
        Self::Whole(text.into())
    }
}

impl From<TooLarge> for Problem {
    fn from(too_large: TooLarge) -> Self {
        Self::Whole(too_large.to_string())
    }
}

type Outcome = Result<Value, Problem>;

/// A call on its way: arguments as the table demands them.
pub(super) struct Call<'a> {
    /// The arguments.
    pub arguments: &'a [Value],
    /// Files, randomness, paths.
    pub host: &'a dyn Host,
}

impl std::fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("arguments", &self.arguments).finish_non_exhaustive()
    }
}

impl Call<'_> {
    fn value(&self, index: usize) -> &Value {
        self.arguments.get(index).unwrap_or(&Value::NULL)
    }

    fn text(&self, index: usize) -> &str {
        self.value(index).as_str().unwrap_or("")
    }

    fn number(&self, index: usize) -> Number {
        self.value(index).as_number().cloned().unwrap_or_else(Number::zero)
    }

    /// A whole number that fits.
    fn whole(&self, index: usize) -> Result<i64, Problem> {
        self.number(index).to_i64().ok_or_else(|| {
            Problem::Whole(format!(
                "value must be a whole number, between {} and {}",
                i64::MIN,
                i64::MAX
            ))
        })
    }

    fn items(&self, index: usize) -> &[Value] {
        self.value(index).items().unwrap_or_default()
    }
}

/// What a parameter accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    /// Any value; null only where the parameter says so.
    Any,
    /// Text, or what can become text.
    Text,
    /// A number, or text that is one.
    Number,
    /// A sequence of values with a common type.
    List,
    /// A sequence of texts.
    Texts,
    /// A set of values with a common type.
    Set,
}

/// A parameter of a function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    /// Its name in errors.
    pub name: &'static str,
    accepts: Accepts,
    null: bool,
}

const fn parameter(name: &'static str, accepts: Accepts) -> Parameter {
    Parameter { name, accepts, null: false }
}

const fn any(name: &'static str) -> Parameter {
    parameter(name, Accepts::Any)
}

const fn nullable(name: &'static str) -> Parameter {
    Parameter { name, accepts: Accepts::Any, null: true }
}

const fn text(name: &'static str) -> Parameter {
    parameter(name, Accepts::Text)
}

const fn number(name: &'static str) -> Parameter {
    parameter(name, Accepts::Number)
}

const fn list(name: &'static str) -> Parameter {
    parameter(name, Accepts::List)
}

const fn texts(name: &'static str) -> Parameter {
    parameter(name, Accepts::Texts)
}

const fn set_of(name: &'static str) -> Parameter {
    parameter(name, Accepts::Set)
}

/// A function: its name, what it takes, what it does.
#[derive(Debug)]
pub(super) struct Function {
    /// What it is called by.
    pub name: &'static str,
    /// Arguments that every call needs.
    pub parameters: &'static [Parameter],
    /// What any number of further arguments must be.
    pub rest: Option<Parameter>,
    /// Computes the result.
    pub run: fn(&Call<'_>) -> Outcome,
    /// What a call costs besides the size of its arguments and its result.
    pub cost: fn(&Call<'_>) -> usize,
}

const fn fixed(
    name: &'static str,
    parameters: &'static [Parameter],
    run: fn(&Call<'_>) -> Outcome,
) -> Function {
    Function { name, parameters, rest: None, run, cost: |_| 1 }
}

const fn open(
    name: &'static str,
    parameters: &'static [Parameter],
    rest: Parameter,
    run: fn(&Call<'_>) -> Outcome,
) -> Function {
    Function { name, parameters, rest: Some(rest), run, cost: |_| 1 }
}

impl Function {
    /// The same function at a price.
    const fn costs(mut self, cost: fn(&Call<'_>) -> usize) -> Self {
        self.cost = cost;
        self
    }

    /// The parameter that an argument belongs to.
    pub(super) fn parameter(&self, index: usize) -> Option<&Parameter> {
        self.parameters.get(index).or(self.rest.as_ref())
    }

    /// An argument as the parameter demands it, or why it cannot be that.
    pub(super) fn prepare(&self, index: usize, value: &Value) -> Result<Value, String> {
        let Some(parameter) = self.parameter(index) else { return Ok(value.clone()) };
        if value.is_null() {
            return if parameter.null {
                Ok(value.clone())
            } else {
                Err("argument must not be null".to_owned())
            };
        }
        let demand = match parameter.accepts {
            Accepts::Any => return Ok(value.clone()),
            Accepts::Text => Type::String,
            Accepts::Number => Type::Number,
            Accepts::List => Type::List(Rc::new(Type::Any)),
            Accepts::Texts => Type::string_list(),
            Accepts::Set => Type::Set(Rc::new(Type::Any)),
        };
        convert(value, &demand)
    }
}

/// The tables of all subjects.
const SUBJECTS: &[&[Function]] = &[
    number::FUNCTIONS,
    string::FUNCTIONS,
    format::FUNCTIONS,
    collection::FUNCTIONS,
    set::FUNCTIONS,
    encoding::FUNCTIONS,
    crypto::FUNCTIONS,
    date::FUNCTIONS,
    network::FUNCTIONS,
    file::FUNCTIONS,
];

/// The function with this name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    SUBJECTS.iter().flat_map(|subject| subject.iter()).find(|function| function.name == name)
}

/// All names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SUBJECTS.iter().flat_map(|subject| subject.iter()).map(|function| function.name)
}

/// A text as a result, if it is not too long.
fn made(text: String) -> Outcome {
    check_length(text.len())?;
    Ok(Value::string(text))
}

fn check_length(length: usize) -> Result<(), Problem> {
    if length > MAX_TEXT {
        return Err(Problem::Whole(format!("the result would be longer than {MAX_TEXT} bytes")));
    }
    Ok(())
}
