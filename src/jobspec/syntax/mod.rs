//! ◆ HCL's native syntax: text to tree. It knows no names of jobs and computes nothing.
//!
//! It is our own and not a crate's because errors must name the same place as Nomad's, numbers must keep all their digits,
//! and strings of JSON files are the same templates.

pub(super) mod ast;
mod expression;
mod literal;
mod parser;
pub(super) mod scan;
mod template;
mod token;
pub(super) mod walk;

pub(super) use ast::{
    Attribute, Block, Body, Expression, Name, Node, ObjectKey, Operator, Part, Step,
};
pub(super) use scan::Input;

use super::error::Complaints;
use parser::Parser;

/// A whole file of attributes and blocks. `None` if something was complained about that leaves no tree.
pub(super) fn file(input: Input<'_>, complaints: &mut Complaints) -> Option<Body> {
    let tokens = scan::code(input, complaints)?;
    Parser::new(input, &tokens, complaints).file().ok()
}

/// A single expression.
pub(super) fn expression(input: Input<'_>, complaints: &mut Complaints) -> Option<Expression> {
    let tokens = scan::code(input, complaints)?;
    Parser::new(input, &tokens, complaints).whole_expression().ok()
}

/// The content of a string without its quotes.
pub(super) fn template(input: Input<'_>, complaints: &mut Complaints) -> Option<Expression> {
    let tokens = scan::template(input, complaints)?;
    Parser::new(input, &tokens, complaints).bare_template().ok()
}

/// Whether a text is a name of the language.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(scan::starts_name) && text.chars().all(scan::continues_name)
}
