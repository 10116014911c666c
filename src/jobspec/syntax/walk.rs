//! ◆ Which names an expression uses.

use super::ast::{Expression, Name, Node, ObjectKey, Part, Step};

/// A use of a name: its root and the steps behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference<'e> {
    /// The first name.
    pub root: &'e Name,
    /// What follows.
    pub steps: &'e [Step],
    /// The whole of it.
    pub whole: &'e Expression,
}

/// All names that an expression uses, those that its own `for` declares included.
pub(crate) fn references(expression: &Expression) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    visit(expression, &mut found);
    found
}

fn visit<'e>(expression: &'e Expression, found: &mut Vec<Reference<'e>>) {
    match &expression.node {
        Node::Literal(_) | Node::Element => {}
        Node::Traversal { root, steps, .. } => {
            found.push(Reference { root, steps, whole: expression });
        }
        Node::Template(parts) => visit_parts(parts, found),
        Node::Wrapped(inner)
        | Node::Parenthesis(inner)
        | Node::Negate(inner, _)
        | Node::Not(inner, _)
        | Node::Relative { source: inner, .. } => visit(inner, found),
        Node::Index { collection, key, .. } => visit_all([collection.as_ref(), key], found),
        Node::Splat { source, each, .. } => visit_all([source.as_ref(), each], found),
        Node::Call { arguments, .. } | Node::Tuple(arguments) => visit_all(arguments, found),
        Node::Binary(left, _, right) => visit_all([left.as_ref(), right], found),
        Node::Conditional(condition, yes, no) => {
            visit_all([condition.as_ref(), yes, no], found);
        }
        Node::Object(items) => {
            for (key, value) in items {
                if let ObjectKey::Expression(key) = key {
                    visit(key, found);
                }
                visit(value, found);
            }
        }
        Node::For(parts) => {
            visit_all([&parts.collection, &parts.result], found);
            visit_all(&parts.result_key, found);
            visit_all(&parts.condition, found);
        }
    }
}

fn visit_all<'e>(
    expressions: impl IntoIterator<Item = &'e Expression>,
    found: &mut Vec<Reference<'e>>,
) {
    for expression in expressions {
        visit(expression, found);
    }
}

fn visit_parts<'e>(parts: &'e [Part], found: &mut Vec<Reference<'e>>) {
    for part in parts {
        match part {
            Part::Text(..) => {}
            Part::Value(value, _) => visit(value, found),
            Part::If { condition, yes, no } => {
                visit(condition, found);
                visit_parts(yes, found);
                visit_parts(no, found);
            }
            Part::For { collection, body, .. } => {
                visit(collection, found);
                visit_parts(body, found);
            }
        }
    }
}
