//! ◆ From tokens to bodies: attributes and blocks. The first thing that makes no sense ends the reading, because what
//! follows it would be guesswork.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::ast::{Attribute, Block, Body, Name};
use super::literal;
use super::scan::Input;
use super::token::{Kind, Token};
use crate::jobspec::error::Complaints;
use crate::jobspec::source::Span;

/// Deepest nesting of blocks and of expressions in the text.
pub(super) const MAX_DEPTH: usize = 64;

/// Reading stopped; a complaint says why.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopped;

pub(super) type Read<T> = Result<T, Stopped>;

/// Names of attributes that a body has, and where.
type Names = BTreeMap<Rc<str>, Span>;

/// A place in the tokens. Line breaks are tokens or nothing, depending on what is being read.
pub(super) struct Parser<'a, 'c> {
    pub(super) input: Input<'a>,
    tokens: &'a [Token],
    at: usize,
    newlines: Vec<bool>,
    pub(super) depth: usize,
    pub(super) complaints: &'c mut Complaints,
}

impl<'a, 'c> Parser<'a, 'c> {
    pub(super) fn new(
        input: Input<'a>,
        tokens: &'a [Token],
        complaints: &'c mut Complaints,
    ) -> Self {
        Self { input, tokens, at: 0, newlines: vec![true], depth: 0, complaints }
    }

    fn next_index(&self) -> usize {
        let mut at = self.at;
        if !self.newlines.last().copied().unwrap_or(true) {
            while self.tokens.get(at).is_some_and(|token| token.kind == Kind::Newline) {
                at += 1;
            }
        }
        at.min(self.tokens.len().saturating_sub(1))
    }

    pub(super) fn peek(&self) -> Token {
        let end = self.input.text.len();
        let end = Token { kind: Kind::End, span: self.input.span(end, end) };
        self.tokens.get(self.next_index()).copied().unwrap_or(end)
    }

    pub(super) fn read(&mut self) -> Token {
        let token = self.peek();
        self.at = self.next_index() + usize::from(token.kind != Kind::End);
        token
    }

    /// Reads the sign if it is next.
    pub(super) fn accept(&mut self, sign: &str) -> bool {
        let found = self.peek().is(sign);
        if found {
            self.read();
        }
        found
    }

    /// Runs `inner` with line breaks as tokens, or as nothing.
    pub(super) fn with_newlines<T>(
        &mut self,
        newlines: bool,
        inner: impl FnOnce(&mut Self) -> Read<T>,
    ) -> Read<T> {
        self.newlines.push(newlines);
        let result = inner(self);
        self.newlines.pop();
        result
    }

    /// Runs `inner` one level deeper.
    pub(super) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= MAX_DEPTH {
            let span = self.peek().span;
            let detail = format!("Nothing may be nested more than {MAX_DEPTH} levels deep.");
            return self.stop(span, "Nested too deeply", detail);
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    pub(super) fn stop<T>(
        &mut self,
        span: Span,
        summary: &str,
        detail: impl Into<String>,
    ) -> Read<T> {
        self.complaints.add(span, summary, detail);
        Err(Stopped)
    }

    pub(super) fn text(&self, token: Token) -> &str {
        self.input.slice(token.span)
    }

    pub(super) fn name(&self, token: Token) -> Name {
        Name { text: self.text(token).into(), span: token.span }
    }

    /// A whole file.
    pub(super) fn file(&mut self) -> Read<Body> {
        let missing = self.input.span(0, 0);
        let body = self.body(missing)?;
        let next = self.peek();
        if next.kind != Kind::End {
            let detail = "An argument or block definition is required here.";
            return self.stop(next.span, "Argument or block definition required", detail);
        }
        Ok(body)
    }

    fn body(&mut self, missing: Span) -> Read<Body> {
        let mut body = Body::empty(missing);
        let mut names = BTreeMap::new();
        loop {
            let next = self.peek();
            match next.kind {
                Kind::Newline => {
                    self.read();
                }
                Kind::Identifier => self.item(&mut body, &mut names)?,
                Kind::OpenQuote => {
                    let detail = "Argument names must not be quoted.";
                    return self.stop(next.span, "Invalid argument name", detail);
                }
                Kind::End | Kind::Sign("}") => return Ok(body),
                _ => {
                    let detail = "An argument or block definition is required here.";
                    return self.stop(next.span, "Argument or block definition required", detail);
                }
            }
        }
    }

    fn item(&mut self, body: &mut Body, names: &mut Names) -> Read<()> {
        let token = self.read();
        let name = self.name(token);
        match self.peek().kind {
            Kind::Sign("=") => {
                self.read();
                let value = self.expression()?;
                self.end_of_line(
                    "Missing newline after argument",
                    "An argument definition must end with a newline.",
                )?;
                self.add_attribute(body, names, Attribute { name, value });
                Ok(())
            }
            Kind::OpenQuote | Kind::Identifier | Kind::Sign("{") => {
                let block = self.deeper(|parser| parser.block(name))?;
                body.blocks.push(block);
                Ok(())
            }
            _ => {
                let detail = "An argument or block definition is required here. To set an argument, use \
                              the equals sign \"=\" to introduce the argument value.";
                self.stop(name.span, "Argument or block definition required", detail)
            }
        }
    }

    fn add_attribute(&mut self, body: &mut Body, names: &mut Names, attribute: Attribute) {
        let Attribute { name, .. } = &attribute;
        if let Some(earlier) = names.insert(Rc::clone(&name.text), name.span) {
            let detail = format!(
                "The argument \"{}\" was already set in line {}. Each argument may be set only once.",
                name.text,
                self.line_of(earlier),
            );
            self.complaints.add(name.span, "Attribute redefined", detail);
        } else {
            body.attributes.push(attribute);
        }
    }

    pub(super) fn line_of(&self, span: Span) -> usize {
        let start = span.start.saturating_sub(self.input.base) as usize;
        if self.complaints.is_full() {
            return 0;
        }
        self.input.text.get(..start).map_or(0, |before| before.matches('\n').count()) + 1
    }

    fn end_of_line(&mut self, summary: &str, detail: &str) -> Read<()> {
        let next = self.peek();
        match next.kind {
            Kind::Newline => {
                self.read();
                Ok(())
            }
            Kind::End => Ok(()),
            _ => self.stop(next.span, summary, detail),
        }
    }

    fn block(&mut self, kind: Name) -> Read<Block> {
        let mut labels = Vec::new();
        let open = loop {
            let next = self.peek();
            match next.kind {
                Kind::Sign("{") => break self.read().span,
                Kind::OpenQuote => labels.push(self.label()?),
                Kind::Identifier => {
                    let token = self.read();
                    labels.push(self.name(token));
                }
                kind => return self.stop(next.span, "Invalid block definition", bad_header(kind)),
            }
        };
        let body = self.block_body(open, open.at_start())?;
        Ok(Block { kind, labels, open, body })
    }

    fn block_body(&mut self, open: Span, missing: Span) -> Read<Body> {
        let one_line = self.peek().kind == Kind::Identifier;
        let body = if one_line { self.one_line_body(missing)? } else { self.body(missing)? };
        if !self.accept("}") {
            let detail = "There is no closing brace for this block before the end of the file. This may be \
                          caused by incorrect brace nesting elsewhere in this file.";
            return self.stop(open, "Unclosed configuration block", detail);
        }
        self.end_of_line(
            "Missing newline after block definition",
            "A block definition must end with a newline.",
        )?;
        Ok(body)
    }

    /// `{ name = value }`
    fn one_line_body(&mut self, missing: Span) -> Read<Body> {
        let token = self.read();
        let name = self.name(token);
        if !self.accept("=") {
            let detail = format!(
                "A single-line block definition can contain only a single argument. If you meant to define \
                 argument \"{0}\", use an equals sign to assign it a value. To define a nested block, place \
                 it on a line of its own within its parent block.",
                name.text
            );
            return self.stop(name.span, "Argument definition required", detail);
        }
        let value = self.expression()?;
        let next = self.peek();
        if !next.is("}") {
            let detail = "A single-line block definition must end with a closing brace immediately after \
                          its single argument definition.";
            return self.stop(next.span, "Invalid single-argument block definition", detail);
        }
        Ok(Body { attributes: vec![Attribute { name, value }], ..Body::empty(missing) })
    }

    /// A quoted label, in which templates have no meaning.
    fn label(&mut self) -> Read<Name> {
        let open = self.read();
        let mut text = String::new();
        loop {
            let token = self.read();
            match token.kind {
                Kind::QuotedText => {
                    text.push_str(&literal::quoted(self.input, token.span, self.complaints));
                }
                Kind::CloseQuote => {
                    return Ok(Name { text: text.into(), span: open.span.to(token.span) });
                }
                Kind::OpenValue | Kind::OpenControl => {
                    let sign = &self.text(token)[..1];
                    let detail = format!(
                        "Template sequences are not allowed in this string. To include a literal {sign:?}, \
                         double it (as \"{sign}{sign}\") to escape it.",
                    );
                    return self.stop(token.span, "Invalid string literal", detail);
                }
                _ => {
                    let detail =
                        "Unable to find the closing quote mark before the end of the file.";
                    return self.stop(open.span, "Unterminated string literal", detail);
                }
            }
        }
    }
}

fn bad_header(kind: Kind) -> &'static str {
    match kind {
        Kind::Sign("=") => {
            "The equals sign \"=\" indicates an argument definition, and must not be used when defining a \
             block."
        }
        Kind::Newline => {
            "A block definition must have block content delimited by \"{\" and \"}\", starting on the same \
             line as the block header."
        }
        _ => "Either a quoted string block label or an opening brace (\"{\") is expected here.",
    }
}
