//! ◆ Strings, heredocs and the templates in them.
//!
//! Whitespace is cut one token at a time, as the original does it: `~` reaches to the end of a line in a heredoc and no
//! further, because each line is a token of its own.

use std::rc::Rc;

use super::ast::{Expression, Name, Node, Part};
use super::literal;
use super::parser::{Parser, Read};
use super::token::{Kind, Token};
use crate::jobspec::source::Span;
use crate::jobspec::value::Value;

/// A template before its directives are put together.
enum Piece {
    Text { text: String, span: Span },
    Value(Expression, Rc<str>),
    If(Expression, Span),
    Else(Span),
    EndIf(Span),
    For(Option<Name>, Name, Expression, Span),
    EndFor(Span),
}

/// What ended a list of parts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Else,
    EndIf,
    EndFor,
    Template,
}

impl Parser<'_, '_> {
    /// A quoted string or a heredoc.
    pub(super) fn string(&mut self) -> Read<Expression> {
        let open = self.read();
        let (end, flush) = match open.kind {
            Kind::OpenHeredoc => (Kind::CloseHeredoc, self.text(open).starts_with("<<-")),
            _ => (Kind::CloseQuote, false),
        };
        let (mut pieces, close) = self.pieces(end)?;
        if flush {
            dedent(&mut pieces);
        }
        self.assemble_expression(pieces, open.span.to(close.span), close)
    }

    /// The content of a string without quotes, to the end of the text.
    pub(super) fn bare_template(&mut self) -> Read<Expression> {
        let start = self.peek().span.at_start();
        let (pieces, close) = self.pieces(Kind::End)?;
        self.assemble_expression(pieces, start.to(close.span), close)
    }

    fn assemble_expression(
        &mut self,
        pieces: Vec<Piece>,
        span: Span,
        close: Token,
    ) -> Read<Expression> {
        let only_text = pieces.iter().all(|piece| matches!(piece, Piece::Text { .. }));
        if only_text {
            let text: String = pieces
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text { text, .. } => text,
                    _ => String::new(),
                })
                .collect();
            return self.node(span, Node::Literal(Value::string(text)));
        }
        let mut pieces = pieces.into_iter();
        let mut parts = Vec::new();
        let mut opener = None;
        self.assemble(&mut pieces, &mut parts, &mut opener, close)?;
        match <[Part; 1]>::try_from(parts) {
            Ok([Part::Value(inner, text)]) => {
                // A name left to the client keeps the spaces around it.
                let inner = match inner.node {
                    Node::Traversal { root, steps, .. } => {
                        Expression { node: Node::Traversal { root, steps, text }, ..inner }
                    }
                    _ => inner,
                };
                self.node(span, Node::Wrapped(Box::new(inner)))
            }
            Ok([part]) => self.node(span, Node::Template(vec![part])),
            Err(parts) => self.node(span, Node::Template(parts)),
        }
    }

    fn pieces(&mut self, end: Kind) -> Read<(Vec<Piece>, Token)> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut cut_next = false;
        loop {
            let token = self.with_newlines(true, |parser| Ok(parser.read()))?;
            if token.kind == end {
                return Ok((pieces, token));
            }
            match token.kind {
                Kind::QuotedText | Kind::HeredocText => {
                    let mut text = if token.kind == Kind::QuotedText {
                        literal::quoted(self.input, token.span, self.complaints)
                    } else {
                        literal::plain(self.text(token))
                    };
                    if std::mem::take(&mut cut_next) {
                        text.drain(..text.len() - text.trim_start().len());
                    }
                    pieces.push(Piece::Text { text, span: token.span });
                }
                Kind::OpenValue | Kind::OpenControl => {
                    if self.text(token).ends_with('~')
                        && let Some(Piece::Text { text, .. }) = pieces.last_mut()
                    {
                        text.truncate(text.trim_end().len());
                    }
                    let (piece, close) =
                        self.with_newlines(false, |parser| parser.sequence(token))?;
                    pieces.push(piece);
                    cut_next = self.text(close).starts_with('~');
                }
                _ => {
                    let detail = "No closing marker was found for the string.";
                    return self.stop(token.span, "Unterminated template string", detail);
                }
            }
        }
    }

    /// `${ … }` or `%{ … }` behind its opening.
    fn sequence(&mut self, open: Token) -> Read<(Piece, Token)> {
        if open.kind == Kind::OpenControl {
            return self.control(open);
        }
        let value = self.expression()?;
        let close = self.peek();
        if close.kind != Kind::CloseTemplate {
            let detail = "Expected a closing brace to end the interpolation expression, but found extra \
                          characters.\n\nThis can happen when you include interpolation syntax for another \
                          language, such as shell scripting, but forget to escape the interpolation start \
                          token. If this is an embedded sequence for another language, escape it by starting \
                          with \"$${\" instead of just \"${\".";
            return self.stop(
                close.span,
                "Extra characters after interpolation expression",
                detail,
            );
        }
        self.read();
        let inside = Span { start: open.span.end, end: close.span.start, ..open.span };
        let text = self.input.slice(inside).into();
        Ok((Piece::Value(value, text), close))
    }

    fn control(&mut self, open: Token) -> Read<(Piece, Token)> {
        let keyword = self.read();
        if keyword.kind != Kind::Identifier {
            let detail = "A template keyword (\"if\", \"for\", etc) is expected at the beginning of a %{ \
                          sequence.";
            return self.stop(keyword.span, "Invalid template directive", detail);
        }
        let word = self.text(keyword).to_owned();
        let whole = |close: Token| open.span.to(close.span);
        let piece = match word.as_str() {
            "if" => {
                let condition = self.expression()?;
                Piece::If(condition, open.span)
            }
            "for" => {
                let (key, value) = self.for_names()?;
                let collection = self.expression()?;
                Piece::For(key, value, collection, open.span)
            }
            "else" => Piece::Else(open.span),
            "endif" => Piece::EndIf(open.span),
            "endfor" => Piece::EndFor(open.span),
            _ => {
                let detail = format!("\"{word}\" is not a valid template control keyword.");
                return self.stop(keyword.span, "Invalid template control keyword", detail);
            }
        };
        let close = self.peek();
        if close.kind != Kind::CloseTemplate {
            let detail = format!("Expected a closing brace to end the %{{ {word} }} directive.");
            return self.stop(close.span, "Extra characters in template directive", detail);
        }
        self.read();
        let span = whole(close);
        let piece = match piece {
            Piece::If(condition, _) => Piece::If(condition, span),
            Piece::For(key, value, collection, _) => Piece::For(key, value, collection, span),
            Piece::Else(_) => Piece::Else(span),
            Piece::EndIf(_) => Piece::EndIf(span),
            Piece::EndFor(_) => Piece::EndFor(span),
            other @ (Piece::Text { .. } | Piece::Value(..)) => other,
        };
        Ok((piece, close))
    }

    /// Puts directives together with what stands between them and their ends. `opener` is the directive being
    /// filled: its name and place.
    fn assemble(
        &mut self,
        pieces: &mut std::vec::IntoIter<Piece>,
        parts: &mut Vec<Part>,
        opener: &mut Option<(&'static str, Span)>,
        close: Token,
    ) -> Read<Ending> {
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Text { text, span } => parts.push(Part::Text(text.into(), span)),
                Piece::Value(value, text) => parts.push(Part::Value(value, text)),
                Piece::If(condition, span) => {
                    let part =
                        self.deeper(|parser| parser.if_part(pieces, condition, span, close))?;
                    parts.push(part);
                }
                Piece::For(key, value, collection, span) => {
                    let mut body = Vec::new();
                    let mut inner = Some(("for", span));
                    let ending =
                        self.deeper(|p| p.assemble(pieces, &mut body, &mut inner, close))?;
                    self.expect(ending, Ending::EndFor, span, close)?;
                    parts.push(Part::For { key, value, collection, body });
                }
                Piece::Else(span) => return self.ending(Ending::Else, "else", span, *opener),
                Piece::EndIf(span) => return self.ending(Ending::EndIf, "endif", span, *opener),
                Piece::EndFor(span) => return self.ending(Ending::EndFor, "endfor", span, *opener),
            }
        }
        Ok(Ending::Template)
    }

    fn ending(
        &mut self,
        ending: Ending,
        word: &str,
        span: Span,
        opener: Option<(&'static str, Span)>,
    ) -> Read<Ending> {
        let fits = match opener {
            Some(("if", _)) => ending != Ending::EndFor,
            Some(("else", _)) => ending == Ending::EndIf,
            Some(("for", _)) => ending == Ending::EndFor,
            _ => false,
        };
        if fits {
            return Ok(ending);
        }
        let detail = match opener {
            Some((directive, at)) => format!(
                "Expecting the end of the {directive} directive in line {}.",
                self.line_of(at)
            ),
            None => "The control directives within this template are unbalanced.".to_owned(),
        };
        self.stop(span, &format!("Unexpected {word} directive"), detail)
    }

    fn if_part(
        &mut self,
        pieces: &mut std::vec::IntoIter<Piece>,
        condition: Expression,
        span: Span,
        close: Token,
    ) -> Read<Part> {
        let (mut yes, mut no) = (Vec::new(), Vec::new());
        let mut ending = self.assemble(pieces, &mut yes, &mut Some(("if", span)), close)?;
        if ending == Ending::Else {
            ending = self.assemble(pieces, &mut no, &mut Some(("else", span)), close)?;
        }
        self.expect(ending, Ending::EndIf, span, close)?;
        Ok(Part::If { condition, yes, no })
    }

    fn expect(&mut self, found: Ending, want: Ending, opener: Span, close: Token) -> Read<()> {
        if found == want {
            return Ok(());
        }
        let word = if want == Ending::EndFor { "for" } else { "if" };
        let line = self.line_of(opener);
        let detail = format!(
            "The {word} directive in line {line} is missing its corresponding end{word} directive."
        );
        self.stop(close.span, "Unexpected end of template", detail)
    }
}

/// `<<-`: takes away the indentation that all lines share. Blank lines neither count nor change.
fn dedent(pieces: &mut [Piece]) {
    let indent = |text: &str| text.len() - text.trim_start().len();
    let mut shared = usize::MAX;
    let mut lines = Vec::new();
    let mut starts_line = true;
    for (index, piece) in pieces.iter().enumerate() {
        let text = match piece {
            Piece::Text { text, .. } => Some(text.as_str()),
            _ => None,
        };
        if std::mem::take(&mut starts_line) {
            match text {
                Some(text) if text.ends_with('\n') && text.trim().is_empty() => {}
                Some(text) => {
                    lines.push(index);
                    shared = shared.min(indent(text));
                }
                None => shared = 0,
            }
        }
        starts_line = text.is_some_and(|text| text.ends_with('\n'));
    }
    for index in lines {
        if let Some(Piece::Text { text, .. }) = pieces.get_mut(index) {
            let cut = shared.min(indent(text));
            if text.is_char_boundary(cut) {
                text.drain(..cut);
            }
        }
    }
}
