//! ◆ From text to tokens. Strings are taken apart here too, because a template inside a string contains tokens again.
//!
//! The scanner stands in one of three states, kept on a stack:
//!
//! Code —`"`→ Quoted —`${`→ Code (until its `}`) …
//! Code —`<<X`→ Heredoc —`${`→ Code …

use std::rc::Rc;

use super::token::{Kind, Token};
use crate::jobspec::error::Complaints;
use crate::jobspec::source::{FileId, Span};

/// Deepest nesting of strings in templates in strings.
const MAX_DEPTH: usize = 64;
/// Longest line that opens a heredoc.
const MAX_MARKER: usize = 256;
/// Most tokens of one text.
const MAX_TOKENS: usize = 2_000_000;

/// A text to read and where it lies in its file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    /// The text.
    pub text: &'a str,
    /// Its file.
    pub file: FileId,
    /// Where the text starts in the file.
    pub base: u32,
}

impl Input<'_> {
    /// The span of a stretch of the text.
    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        let at = |offset| self.base.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX));
        Span { file: self.file, start: at(start), end: at(end) }
    }

    /// The text of a span of it.
    pub(crate) fn slice(&self, span: Span) -> &str {
        let at = |offset: u32| offset.saturating_sub(self.base) as usize;
        self.text.get(at(span.start)..at(span.end)).unwrap_or("")
    }
}

/// The tokens of a file or an expression. `None` if something was complained about.
pub(crate) fn code(input: Input<'_>, complaints: &mut Complaints) -> Option<Vec<Token>> {
    Scanner::new(input, complaints, State::Code { braces: 0, nested: false }).run()
}

/// The tokens of a bare template: the content of a string without its quotes.
pub(crate) fn template(input: Input<'_>, complaints: &mut Complaints) -> Option<Vec<Token>> {
    Scanner::new(input, complaints, State::Bare).run()
}

#[derive(Debug, Clone)]
enum State {
    /// Expressions and blocks; `nested` inside a template sequence, which ends when the braces are even.
    Code { braces: usize, nested: bool },
    /// Inside quotes.
    Quoted,
    /// A template without quotes: a string of a JSON file.
    Bare,
    /// Inside a heredoc with this marker.
    Heredoc { marker: Rc<str> },
}

struct Scanner<'a, 'c> {
    input: Input<'a>,
    at: usize,
    tokens: Vec<Token>,
    states: Vec<State>,
    complaints: &'c mut Complaints,
    failed: bool,
    no_comment_ends: bool,
}

/// Longest first, so that `==` is not read as `=`.
const SIGNS: &[&str] = &[
    "...", "==", "!=", "<=", ">=", "=>", "&&", "||", "::", "{", "}", "[", "]", "(", ")", "=", "<",
    ">", "+", "-", "*", "/", "%", "!", ".", ",", "?", ":",
];

impl<'a, 'c> Scanner<'a, 'c> {
    fn new(input: Input<'a>, complaints: &'c mut Complaints, state: State) -> Self {
        Self {
            input,
            at: 0,
            tokens: Vec::new(),
            states: vec![state],
            complaints,
            failed: false,
            no_comment_ends: false,
        }
    }

    fn run(mut self) -> Option<Vec<Token>> {
        while self.at < self.input.text.len() && !self.failed {
            match self.states.last().cloned() {
                Some(State::Code { braces, nested }) => self.code(braces, nested),
                Some(State::Quoted) => self.quoted(),
                Some(State::Bare) => self.bare(),
                Some(State::Heredoc { marker }) => self.heredoc(&marker),
                None => break,
            }
            if self.tokens.len() > MAX_TOKENS || self.states.len() > MAX_DEPTH {
                let span = self.input.span(self.at, self.at);
                self.fail(span, "Too complex", "The text is nested too deeply or is too long.");
            }
        }
        let end = self.input.text.len();
        if !self.failed && self.states.iter().any(|state| matches!(state, State::Heredoc { .. })) {
            let span = self.input.span(end, end);
            let detail = "No closing marker was found for the string.";
            self.fail(span, "Unterminated template string", detail);
        }
        self.push(Kind::End, end);
        (!self.failed).then_some(self.tokens)
    }

    fn fail(&mut self, span: Span, summary: &str, detail: &str) {
        self.complaints.add(span, summary, detail);
        self.failed = true;
    }

    fn rest(&self) -> &'a str {
        &self.input.text[self.at..]
    }

    fn push(&mut self, kind: Kind, end: usize) {
        let span = self.input.span(self.at, end);
        self.tokens.push(Token { kind, span });
        self.at = end;
    }

    fn code(&mut self, braces: usize, nested: bool) {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return };
        match first {
            ' ' | '\t' => self.at += 1,
            '\n' => self.push(Kind::Newline, self.at + 1),
            '\r' if rest.starts_with("\r\n") => self.push(Kind::Newline, self.at + 2),
            '#' => self.line_comment(),
            '/' if rest.starts_with("//") => self.line_comment(),
            '/' if rest.starts_with("/*") => self.block_comment(),
            '"' => {
                self.push(Kind::OpenQuote, self.at + 1);
                self.states.push(State::Quoted);
            }
            '<' if rest.starts_with("<<") => self.open_heredoc(),
            '0'..='9' => self.push(Kind::Number, self.at + number_length(rest)),
            '~' if nested && braces == 0 && rest.starts_with("~}") => self.close_template(2),
            '}' if nested && braces == 0 => self.close_template(1),
            c if starts_name(c) => {
                let length = rest.find(|c| !continues_name(c)).unwrap_or(rest.len());
                self.push(Kind::Identifier, self.at + length);
            }
            _ => self.sign(braces, nested),
        }
    }

    fn block_comment(&mut self) {
        let end = if self.no_comment_ends { None } else { self.rest().find("*/") };
        if let Some(length) = end {
            self.at += length + 2;
        } else {
            // What is not found once need not be looked for again.
            self.no_comment_ends = true;
            self.push(Kind::Sign("/"), self.at + 1);
        }
    }

    fn line_comment(&mut self) {
        let rest = self.rest();
        let line = rest.find('\n').unwrap_or(rest.len());
        // A carriage return before the line break belongs to it, any other to the comment.
        let carriage = usize::from(line < rest.len() && rest[..line].ends_with('\r'));
        self.at += line - carriage;
    }

    fn sign(&mut self, braces: usize, nested: bool) {
        let rest = self.rest();
        let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) else {
            let c = rest.chars().next().unwrap_or(' ');
            let span = self.input.span(self.at, self.at + c.len_utf8());
            let (summary, detail) = unknown_character(c);
            self.fail(span, summary, detail);
            return;
        };
        let braces = match *sign {
            "{" => braces + 1,
            "}" => braces.saturating_sub(1),
            _ => braces,
        };
        if let Some(top) = self.states.last_mut() {
            *top = State::Code { braces, nested };
        }
        self.push(Kind::Sign(sign), self.at + sign.len());
    }

    fn close_template(&mut self, length: usize) {
        self.states.pop();
        self.push(Kind::CloseTemplate, self.at + length);
    }

    fn open_template(&mut self, kind: Kind) {
        let length = if self.rest()[2..].starts_with('~') { 3 } else { 2 };
        self.push(kind, self.at + length);
        self.states.push(State::Code { braces: 0, nested: true });
    }

    /// `<<EOT` or `<<-EOT`, which must end its line.
    fn open_heredoc(&mut self) {
        // Looking no further than a marker may be long keeps `<<<<<<…` cheap.
        let mut end = self.rest().len().min(MAX_MARKER);
        while !self.rest().is_char_boundary(end) {
            end -= 1;
        }
        let near = &self.rest()[..end];
        let line = near.find('\n').map_or("", |line_break| &near[..=line_break]);
        let marker = line.strip_prefix("<<").unwrap_or("");
        let marker = marker.strip_prefix('-').unwrap_or(marker).trim_end();
        let named = marker.starts_with(starts_name) && marker.chars().all(continues_name);
        if !named {
            self.push(Kind::Sign("<"), self.at + 1);
            return;
        }
        let state = State::Heredoc { marker: marker.into() };
        self.push(Kind::OpenHeredoc, self.at + line.len());
        self.states.push(state);
    }

    fn quoted(&mut self) {
        let rest = self.rest();
        match rest.as_bytes().first() {
            Some(b'"') => {
                self.states.pop();
                self.push(Kind::CloseQuote, self.at + 1);
            }
            Some(b'\n') => self.broken_string(1),
            Some(b'\r') if rest.starts_with("\r\n") => self.broken_string(2),
            _ if opens(rest, '$') => self.open_template(Kind::OpenValue),
            _ if opens(rest, '%') => self.open_template(Kind::OpenControl),
            _ => {
                let length = text_length(rest, true);
                self.push(Kind::QuotedText, self.at + length);
            }
        }
    }

    fn broken_string(&mut self, length: usize) {
        let span = self.input.span(self.at, self.at + length);
        let detail = "Quoted strings may not be split over multiple lines. To produce a multi-line string, \
                      either use the \\n escape to represent a newline character or use the \"heredoc\" \
                      multi-line template syntax.";
        self.fail(span, "Invalid multi-line string", detail);
    }

    fn bare(&mut self) {
        let rest = self.rest();
        if opens(rest, '$') {
            self.open_template(Kind::OpenValue);
        } else if opens(rest, '%') {
            self.open_template(Kind::OpenControl);
        } else {
            let length = text_length(rest, false);
            self.push(Kind::HeredocText, self.at + length);
        }
    }

    fn heredoc(&mut self, marker: &str) {
        let rest = self.rest();
        if self.input.text[..self.at].ends_with('\n') {
            let line = rest.split_inclusive('\n').next().unwrap_or(rest);
            if line.trim() == marker {
                self.at += line.len() - line.trim_start().len();
                self.states.pop();
                self.push(Kind::CloseHeredoc, self.at + marker.len());
                return;
            }
        }
        if opens(rest, '$') {
            self.open_template(Kind::OpenValue);
        } else if opens(rest, '%') {
            self.open_template(Kind::OpenControl);
        } else {
            let length = text_length(rest, false);
            self.push(Kind::HeredocText, self.at + length);
        }
    }
}

fn opens(rest: &str, sign: char) -> bool {
    let mut chars = rest.chars();
    chars.next() == Some(sign) && chars.next() == Some('{')
}

/// How many bytes of plain text stand before the next template, quote or line break.
fn text_length(rest: &str, quoted: bool) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\n' if quoted => break,
            b'\r' if quoted && bytes.get(at + 1) == Some(&b'\n') => break,
            b'\\' if quoted => {
                // The escaped character may be longer than a byte; what follows its first byte is plain.
                at += if bytes.get(at + 1).is_some_and(|next| *next != b'\n') { 2 } else { 1 };
                continue;
            }
            b'\n' => return at + 1,
            b'$' | b'%' => {
                let sign = *byte;
                if bytes.get(at + 1) == Some(&b'{') {
                    break;
                }
                if bytes.get(at + 1) == Some(&sign) && bytes.get(at + 2) == Some(&b'{') {
                    at += 3;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    while !rest.is_char_boundary(at.min(bytes.len())) {
        at += 1;
    }
    at.clamp(1, bytes.len())
}

fn number_length(rest: &str) -> usize {
    let digits = |from: usize| {
        rest[from..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |length| from + length)
    };
    let mut end = digits(0);
    if rest[end..].starts_with('.') && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if rest[end..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
        if digits(end + 1 + sign) > end + 1 + sign {
            end = digits(end + 1 + sign);
        }
    }
    end
}

/// Whether a name may start with this character.
pub(crate) fn starts_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// Whether a name may go on with this character.
pub(crate) fn continues_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-' || ('\u{300}'..='\u{36f}').contains(&c)
}

fn unknown_character(c: char) -> (&'static str, &'static str) {
    match c {
        '\'' => (
            "Invalid character",
            "Single quotes are not valid. Use double quotes (\") to enclose strings.",
        ),
        '`' => (
            "Invalid character",
            "The \"`\" character is not valid. To create a multi-line string, use the \"heredoc\" syntax, \
             like \"<<EOT\".",
        ),
        ';' => (
            "Invalid character",
            "The \";\" character is not valid. Use newlines to separate arguments and blocks, and commas to \
             separate items in collection values.",
        ),
        '&' => {
            ("Unsupported operator", "Bitwise operators are not supported. Did you mean \"&&\"?")
        }
        '|' => {
            ("Unsupported operator", "Bitwise operators are not supported. Did you mean \"||\"?")
        }
        '~' | '^' => ("Unsupported operator", "Bitwise operators are not supported."),
        _ => ("Invalid character", "This character is not used within the language."),
    }
}
