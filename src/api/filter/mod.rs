//! ◆ Filter expressions of list queries: `Status == "running" and "ops" in Meta`, as go-bexpr reads them.
//!
//! [`Filter::parse`] reads an expression once; [`Filter::matches`] asks it of each object. An object is JSON;
//! its [`Shape`] tells what JSON does not: whether something is a struct (an unknown field is an error)
//! or a map (a missing key is not), and of what kind `null` is.

mod eval;
mod parse;
mod shape;

pub use eval::EvalError;
pub use parse::ParseError;
pub use shape::Shape;

use serde_json::Value;

/// A filter expression that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(Expression);

impl Filter {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::parse(text).map(Self)
    }

    /// Whether an object matches.
    pub fn matches(&self, object: &Value, shape: &Shape) -> Result<bool, EvalError> {
        eval::matches(&self.0, object, shape)
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    Or(Vec<Expression>),
    And(Vec<Expression>),
    Not(Box<Expression>),
    Match(Match),
    Collection(Collection),
}

/// `selector operator value`; operators on a selector alone have no value.
#[derive(Debug, Clone, PartialEq)]
struct Match {
    selector: Selector,
    operator: Operator,
    value: String,
}

/// `any selector as key, value { … }`.
#[derive(Debug, Clone, PartialEq)]
struct Collection {
    all: bool,
    selector: Selector,
    /// One name stands for the element of a list and for the key of a map.
    first: String,
    second: Option<String>,
    inner: Box<Expression>,
}

/// `Meta.owner`, `Meta["owner"]` or `"/Meta/owner"`.
#[derive(Debug, Clone, Default, PartialEq)]
struct Selector {
    parts: Vec<String>,
    pointer: bool,
}

impl Selector {
    /// As error texts show it.
    fn text(&self) -> String {
        if self.pointer { format!("/{}", self.parts.join("/")) } else { self.parts.join(".") }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    In,
    NotIn,
    Matches,
    NotMatches,
    IsEmpty,
    IsNotEmpty,
    IsNil,
    IsNotNil,
}

impl Operator {
    /// What it says of something that is not there.
    fn of_nothing(self) -> bool {
        match self {
            Self::NotEqual | Self::NotIn | Self::NotMatches | Self::IsEmpty | Self::IsNil => true,
            Self::Equal | Self::In | Self::Matches | Self::IsNotEmpty | Self::IsNotNil => false,
        }
    }
}
