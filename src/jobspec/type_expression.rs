//! ◆ Types as they are written: `list(string)`, `object({ a = number })`.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::error::Complaints;
use super::syntax::{Expression, Node, ObjectKey};
use super::value::{Type, Value};

const SUMMARY: &str = "Invalid type specification";

/// The type that an expression spells. `any` is a type only where the caller says so (Nomad: not for variables).
/// `None` if something was complained about.
pub(super) fn read_type(
    expression: &Expression,
    any: bool,
    complaints: &mut Complaints,
) -> Option<Type> {
    match &expression.node {
        Node::Traversal { root, steps, .. } if steps.is_empty() => match root.text.as_ref() {
            "string" => Some(Type::String),
            "number" => Some(Type::Number),
            "bool" => Some(Type::Bool),
            "any" if any => Some(Type::Any),
            "any" => {
                let detail = "The keyword \"any\" cannot be used in this type specification: an exact type is \
                              required.";
                refuse(expression, detail, complaints)
            }
            name @ ("list" | "map" | "set") => {
                let detail = format!(
                    "The {name} type constructor requires one argument specifying the element type."
                );
                refuse(expression, detail, complaints)
            }
            "object" => {
                let detail = "The object type constructor requires one argument specifying the attribute \
                              types and values as a map.";
                refuse(expression, detail, complaints)
            }
            "tuple" => {
                let detail = "The tuple type constructor requires one argument specifying the element types as a list.";
                refuse(expression, detail, complaints)
            }
            name => {
                let detail = format!("The keyword \"{name}\" is not a valid type specification.");
                refuse(expression, detail, complaints)
            }
        },
        Node::Call { name, arguments, .. } => {
            constructed(expression, &name.text, arguments, any, complaints)
        }
        // A quoted type of a JSON file.
        Node::Literal(Value::String(_) | _)
        | Node::Template(_)
        | Node::Wrapped(_)
        | Node::Traversal { .. }
        | Node::Relative { .. }
        | Node::Index { .. }
        | Node::Splat { .. }
        | Node::Element
        | Node::Negate(..)
        | Node::Not(..)
        | Node::Binary(..)
        | Node::Conditional(..)
        | Node::Tuple(_)
        | Node::Object(_)
        | Node::For(_)
        | Node::Parenthesis(_) => {
            let detail = "A type specification is either a primitive type keyword (bool, number, string) or a \
                          complex type constructor call, like list(string).";
            refuse(expression, detail, complaints)
        }
    }
}

fn refuse(at: &Expression, detail: impl Into<String>, complaints: &mut Complaints) -> Option<Type> {
    complaints.add(at.span, SUMMARY, detail);
    None
}

fn constructed(
    whole: &Expression,
    name: &str,
    arguments: &[Expression],
    any: bool,
    complaints: &mut Complaints,
) -> Option<Type> {
    match (name, arguments) {
        ("list", [of]) => Some(Type::List(Rc::new(read_type(of, any, complaints)?))),
        ("set", [of]) => Some(Type::Set(Rc::new(read_type(of, any, complaints)?))),
        ("map", [of]) => Some(Type::Map(Rc::new(read_type(of, any, complaints)?))),
        ("tuple", [of]) => match &of.node {
            Node::Tuple(places) => {
                let places: Option<Vec<Type>> =
                    places.iter().map(|place| read_type(place, any, complaints)).collect();
                Some(Type::Tuple(Rc::new(places?)))
            }
            _ => refuse(of, "Tuple type constructor requires a list of element types.", complaints),
        },
        ("object", [of]) => {
            if let Node::Object(items) = &of.node {
                shape(items, any, complaints)
            } else {
                let detail = "Object type constructor requires a map whose keys are attribute names and whose \
                          values are the corresponding attribute types.";
                refuse(of, detail, complaints)
            }
        }
        ("optional", _) => {
            let detail =
                "Optional attribute modifier is only for type constraints, not for exact types.";
            refuse(whole, detail, complaints)
        }
        ("list" | "set" | "map" | "tuple" | "object", _) => {
            let detail = format!("The {name} type constructor requires exactly one argument.");
            refuse(whole, detail, complaints)
        }
        ("string" | "number" | "bool" | "any", _) => {
            let detail = format!("Primitive type keyword \"{name}\" does not expect arguments.");
            refuse(whole, detail, complaints)
        }
        _ => {
            let detail = format!("Keyword \"{name}\" is not a valid type constructor.");
            refuse(whole, detail, complaints)
        }
    }
}

fn shape(
    items: &[(ObjectKey, Expression)],
    any: bool,
    complaints: &mut Complaints,
) -> Option<Type> {
    let mut shape = BTreeMap::new();
    for (key, kind) in items {
        let ObjectKey::Name(name) = key else {
            let detail = "Object constructor map keys must be attribute names.";
            return refuse(kind, detail, complaints);
        };
        // Nomad: points at the name of the attribute's type alone.
        if let Node::Call { name, .. } = &kind.node
            && name.text.as_ref() == "optional"
        {
            let detail =
                "Optional attribute modifier is only for type constraints, not for exact types.";
            complaints.add(name.span, SUMMARY, detail);
            return None;
        }
        shape.insert(Rc::clone(&name.text), read_type(kind, any, complaints)?);
    }
    Some(Type::Object(Rc::new(shape)))
}
