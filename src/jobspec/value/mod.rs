//! ◆ Values of HCL expressions.
//!
//! Sequences and maps are shared and immutable, so cloning is cheap. Each carries how many values lie in it and how
//! deep, and refuses to be built beyond a bound: `[x, x]` of `[y, y]` of … doubles with every line of a hostile file.

pub(super) mod convert;
pub(super) mod decimal;
pub(super) mod kind;
pub(super) mod number;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

pub(super) use kind::Type;
pub(super) use number::Number;

/// Most values inside one value.
const MAX_NODES: usize = 300_000;
/// Most bytes of text inside one value.
const MAX_BYTES: usize = 32 << 20;
/// Deepest nesting of lists and maps.
const MAX_DEPTH: usize = 100;

/// A value would be too large or too deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the value is too large: more than {MAX_NODES} elements, {MAX_BYTES} bytes or {MAX_DEPTH} levels"
)]
pub(super) struct TooLarge;

/// How much lies in a value.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

impl Size {
    fn of<'a>(values: impl Iterator<Item = &'a Value>) -> Result<Self, TooLarge> {
        let mut size = Self::default();
        for value in values {
            let inner = value.size();
            size.nodes += inner.nodes;
            size.bytes += inner.bytes;
            size.depth = size.depth.max(inner.depth);
        }
        size.nodes += 1;
        size.depth += 1;
        if size.nodes > MAX_NODES || size.bytes > MAX_BYTES || size.depth > MAX_DEPTH {
            return Err(TooLarge);
        }
        Ok(size)
    }
}

/// Elements of a list, set or tuple.
#[derive(Debug)]
pub(super) struct Sequence {
    items: Vec<Value>,
    size: Size,
}

/// Entries of a map or object, in the order of their names.
#[derive(Debug)]
pub(super) struct Table {
    entries: BTreeMap<Rc<str>, Value>,
    size: Size,
}

/// A value of an expression.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing, of a type.
    Null(Type),
    /// Text.
    String(Rc<str>),
    /// A number.
    Number(Number),
    /// True or false.
    Bool(bool),
    /// Elements of the one type given.
    List(Rc<Type>, Rc<Sequence>),
    /// Distinct elements of the one type given, in order.
    Set(Rc<Type>, Rc<Sequence>),
    /// Entries of the one type given.
    Map(Rc<Type>, Rc<Table>),
    /// Elements of any types.
    Tuple(Rc<Sequence>),
    /// Entries of any types.
    Object(Rc<Table>),
}

impl Value {
    /// An untyped null.
    pub(super) const NULL: Self = Self::Null(Type::Any);

    /// Text.
    pub(super) fn string(text: impl Into<Rc<str>>) -> Self {
        Self::String(text.into())
    }

    /// A number from a count or an index.
    pub(super) fn count(value: usize) -> Self {
        Self::Number(Number::from(value))
    }

    /// A tuple.
    pub(super) fn tuple(items: Vec<Self>) -> Result<Self, TooLarge> {
        Ok(Self::Tuple(sequence(items)?))
    }

    /// A list; the elements have the type already.
    pub(super) fn list(of: Type, items: Vec<Self>) -> Result<Self, TooLarge> {
        Ok(Self::List(Rc::new(of), sequence(items)?))
    }

    /// A set; the elements have the type already and are sorted and freed of repetitions here.
    pub(super) fn set(of: Type, mut items: Vec<Self>) -> Result<Self, TooLarge> {
        items.sort_by(order);
        items.dedup_by(|a, b| a.equals(b));
        Ok(Self::Set(Rc::new(of), sequence(items)?))
    }

    /// A map; the values have the type already.
    pub(super) fn map(of: Type, entries: BTreeMap<Rc<str>, Self>) -> Result<Self, TooLarge> {
        Ok(Self::Map(Rc::new(of), table(entries)?))
    }

    /// An object.
    pub(super) fn object(entries: BTreeMap<Rc<str>, Self>) -> Result<Self, TooLarge> {
        Ok(Self::Object(table(entries)?))
    }

    /// Its type.
    pub(super) fn kind(&self) -> Type {
        match self {
            Self::Null(kind) => kind.clone(),
            Self::String(_) => Type::String,
            Self::Number(_) => Type::Number,
            Self::Bool(_) => Type::Bool,
            Self::List(of, _) => Type::List(Rc::clone(of)),
            Self::Set(of, _) => Type::Set(Rc::clone(of)),
            Self::Map(of, _) => Type::Map(Rc::clone(of)),
            Self::Tuple(items) => {
                Type::Tuple(Rc::new(items.items.iter().map(Self::kind).collect()))
            }
            Self::Object(table) => Type::Object(Rc::new(
                table.entries.iter().map(|(name, v)| (Rc::clone(name), v.kind())).collect(),
            )),
        }
    }

    /// What errors call its type.
    pub(super) fn kind_name(&self) -> String {
        match self {
            Self::Tuple(_) => "tuple".to_owned(),
            Self::Object(_) => "object".to_owned(),
            Self::Null(_)
            | Self::String(_)
            | Self::Number(_)
            | Self::Bool(_)
            | Self::List(..)
            | Self::Set(..)
            | Self::Map(..) => self.kind().name(),
        }
    }

    /// Null of any type.
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null(_))
    }

    /// The text of a string.
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number of a number.
    pub(super) fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The truth of a bool.
    pub(super) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements of a list, set or tuple.
    pub(super) fn items(&self) -> Option<&[Self]> {
        match self {
            Self::List(_, items) | Self::Set(_, items) | Self::Tuple(items) => Some(&items.items),
            _ => None,
        }
    }

    /// The entries of a map or object.
    pub(super) fn entries(&self) -> Option<&BTreeMap<Rc<str>, Self>> {
        match self {
            Self::Map(_, table) | Self::Object(table) => Some(&table.entries),
            _ => None,
        }
    }

    /// Keys and values to walk: positions for lists and tuples, names for maps and objects, the elements themselves
    /// for sets. `None` for what cannot be walked.
    pub(super) fn pairs(&self) -> Option<Vec<(Self, Self)>> {
        match self {
            Self::List(_, items) | Self::Tuple(items) => Some(
                items.items.iter().enumerate().map(|(i, v)| (Self::count(i), v.clone())).collect(),
            ),
            Self::Set(_, items) => {
                Some(items.items.iter().map(|v| (v.clone(), v.clone())).collect())
            }
            Self::Map(_, table) | Self::Object(table) => Some(
                table
                    .entries
                    .iter()
                    .map(|(name, v)| (Self::String(Rc::clone(name)), v.clone()))
                    .collect(),
            ),
            Self::Null(_) | Self::String(_) | Self::Number(_) | Self::Bool(_) => None,
        }
    }

    /// How many values lie in it, itself included: what a walk over it costs.
    pub(super) fn nodes(&self) -> usize {
        let size = self.size();
        size.nodes + size.bytes / 64
    }

    fn size(&self) -> Size {
        match self {
            Self::List(_, items) | Self::Set(_, items) | Self::Tuple(items) => items.size,
            Self::Map(_, table) | Self::Object(table) => table.size,
            Self::String(text) => Size { nodes: 1, bytes: text.len(), depth: 0 },
            Self::Number(number) => Size { nodes: number.weight(), ..Size::default() },
            Self::Null(_) | Self::Bool(_) => Size { nodes: 1, ..Size::default() },
        }
    }

    /// Equal in type and content; nulls are equal to each other and to nothing else.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null(_), Self::Null(_)) => true,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Tuple(a), Self::Tuple(b)) => a.equals(b),
            (Self::Object(a), Self::Object(b)) => a.equals(b),
            (Self::List(t1, a), Self::List(t2, b)) | (Self::Set(t1, a), Self::Set(t2, b)) => {
                t1 == t2 && a.equals(b)
            }
            (Self::Map(t1, a), Self::Map(t2, b)) => t1 == t2 && a.equals(b),
            _ => false,
        }
    }
}

impl Sequence {
    fn equals(&self, other: &Self) -> bool {
        self.items.len() == other.items.len()
            && self.items.iter().zip(&other.items).all(|(a, b)| a.equals(b))
    }
}

impl Table {
    fn equals(&self, other: &Self) -> bool {
        self.entries.keys().eq(other.entries.keys())
            && self.entries.values().zip(other.entries.values()).all(|(a, b)| a.equals(b))
    }
}

fn sequence(items: Vec<Value>) -> Result<Rc<Sequence>, TooLarge> {
    let size = Size::of(items.iter())?;
    Ok(Rc::new(Sequence { items, size }))
}

fn table(entries: BTreeMap<Rc<str>, Value>) -> Result<Rc<Table>, TooLarge> {
    let mut size = Size::of(entries.values())?;
    size.bytes += entries.keys().map(|name| name.len()).sum::<usize>();
    if size.bytes > MAX_BYTES {
        return Err(TooLarge);
    }
    Ok(Rc::new(Table { entries, size }))
}

/// The order of elements in a set: strings by their bytes, numbers by size, everything else by content.
pub(crate) fn order(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Bool(_) => 0,
        Value::Number(_) => 1,
        Value::String(_) => 2,
        Value::List(..) | Value::Set(..) | Value::Tuple(_) => 3,
        Value::Map(..) | Value::Object(_) => 4,
        Value::Null(_) => 5,
    };
    rank(a).cmp(&rank(b)).then_with(|| match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => order_inside(a, b),
    })
}

fn order_inside(a: &Value, b: &Value) -> Ordering {
    if let (Some(a), Some(b)) = (a.items(), b.items()) {
        let first = a.iter().zip(b).map(|(a, b)| order(a, b)).find(|o| o.is_ne());
        return first.unwrap_or_else(|| a.len().cmp(&b.len()));
    }
    if let (Some(a), Some(b)) = (a.entries(), b.entries()) {
        let first = a
            .iter()
            .zip(b)
            .map(|((k1, v1), (k2, v2))| k1.cmp(k2).then_with(|| order(v1, v2)))
            .find(|o| o.is_ne());
        return first.unwrap_or_else(|| a.len().cmp(&b.len()));
    }
    Ordering::Equal
}
