//! ◆ Text → expression. Errors have the words of the library that Nomad uses, whose clients show them:
//! what was expected at the farthest place that was reached.

use std::collections::BTreeSet;
use std::fmt;

use super::{Collection, Expression, Match, Operator, Selector};

/// How deep expressions may nest.
const DEEPEST: usize = 100;

/// Why text is no filter expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expression, ParseError> {
    let mut parser = Parser { text, ..Parser::default() };
    parser.space();
    let expression = parser.or(0);
    if expression.is_some() {
        parser.space();
    }
    let at_end = parser.at == text.len();
    if !at_end && expression.is_some() {
        parser.expected("EOF");
    }
    match expression {
        Some(expression) if at_end && parser.errors.is_empty() => Ok(expression),
        Some(_) | None => Err(parser.error()),
    }
}

/// A place in the text: byte offset, shown with line and column.
struct Place<'a>(&'a str, usize);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.0.get(..self.1).unwrap_or(self.0);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        write!(f, "{line}:{column} ({})", self.1)
    }
}

#[derive(Default)]
struct Parser<'a> {
    text: &'a str,
    at: usize,
    farthest: usize,
    wanted: BTreeSet<&'static str>,
    errors: Vec<String>,
    deep: bool,
}

const SPACE: &str = "[ \\t\\r\\n]";

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Notes that `what` was expected here and not found.
    fn expected(&mut self, what: &'static str) {
        if self.at > self.farthest {
            self.farthest = self.at;
            self.wanted.clear();
        }
        if self.at == self.farthest {
            self.wanted.insert(what);
        }
    }

    /// An error that no other way of reading undoes.
    fn fail(&mut self, at: usize, rule: &str, why: &str) {
        let text = format!("{}: rule \"{rule}\": {why}", Place(self.text, at));
        if !self.errors.contains(&text) {
            self.errors.push(text);
        }
    }

    fn error(&self) -> ParseError {
        if self.deep {
            return ParseError(format!("more than {DEEPEST} expressions inside each other"));
        }
        if !self.errors.is_empty() {
            return ParseError(self.errors.join("\n"));
        }
        let mut wanted: Vec<&str> = self.wanted.iter().copied().filter(|w| *w != "EOF").collect();
        wanted.extend(self.wanted.get("EOF"));
        let list = match wanted.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        };
        let place = Place(self.text, self.farthest);
        ParseError(format!("{place}: no match found, expected: {list}"))
    }

    /// A literal; `shown` is how errors show it.
    fn literal(&mut self, text: &str, shown: &'static str) -> bool {
        if self.rest().starts_with(text) {
            self.at += text.len();
            return true;
        }
        self.expected(shown);
        false
    }

    /// A character of a class.
    fn class(&mut self, is_in: impl Fn(char) -> bool, shown: &'static str) -> bool {
        match self.rest().chars().next() {
            Some(c) if is_in(c) => {
                self.at += c.len_utf8();
                true
            }
            Some(_) | None => {
                self.expected(shown);
                false
            }
        }
    }

    /// White space, if any; whether there was some.
    fn space(&mut self) -> bool {
        let start = self.at;
        while self.class(|c| " \t\r\n".contains(c), SPACE) {}
        self.at > start
    }

    /// Runs `read` and goes back when it fails.
    fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let start = self.at;
        let found = read(self);
        if found.is_none() {
            self.at = start;
        }
        found
    }

    /// ` word ` with white space on both sides.
    fn word(&mut self, word: &'static str, shown: &'static str) -> Option<()> {
        (self.space() && self.literal(word, shown) && self.space()).then_some(())
    }

    fn or(&mut self, depth: usize) -> Option<Expression> {
        if depth > DEEPEST {
            self.deep = true;
            return None;
        }
        let mut terms = vec![self.and(depth)?];
        while let Some(term) = self.attempt(|p| {
            p.word("or", "\"or\"")?;
            p.and(depth)
        }) {
            terms.push(term);
        }
        if terms.len() == 1 { terms.pop() } else { Some(Expression::Or(terms)) }
    }

    fn and(&mut self, depth: usize) -> Option<Expression> {
        let mut terms = vec![self.not(depth)?];
        while let Some(term) = self.attempt(|p| {
            p.word("and", "\"and\"")?;
            p.not(depth)
        }) {
            terms.push(term);
        }
        if terms.len() == 1 { terms.pop() } else { Some(Expression::And(terms)) }
    }

    fn not(&mut self, depth: usize) -> Option<Expression> {
        if depth > DEEPEST {
            self.deep = true;
            return None;
        }
        let negated = self.attempt(|p| {
            (p.literal("not", "\"not\"") && p.space()).then_some(())?;
            p.not(depth + 1)
        });
        match negated {
            Some(inner) => Some(Expression::Not(Box::new(inner))),
            None if self.deep => None,
            None => self.group(depth),
        }
    }

    fn group(&mut self, depth: usize) -> Option<Expression> {
        if self.rest().starts_with('(') {
            return self.attempt(|p| {
                p.at += 1;
                p.space();
                let inner = p.or(depth + 1)?;
                p.space();
                if !p.literal(")", "\")\"") {
                    p.fail(p.at, "grouping", "Unmatched parentheses");
                    return None;
                }
                Some(inner)
            });
        }
        self.expected("\"(\"");
        self.attempt(|p| p.collection(depth))
            .or_else(|| self.attempt(Self::selector_first))
            .or_else(|| self.attempt(Self::value_first))
    }

    fn collection(&mut self, depth: usize) -> Option<Expression> {
        let all = self.literal("all", "\"all\"");
        if !all && !self.literal("any", "\"any\"") {
            return None;
        }
        if !self.space() {
            return None;
        }
        let selector = self.selector()?;
        self.word("as", "\"as\"")?;
        let first = self.name()?;
        self.space();
        let mut second = None;
        if self.literal(",", "\",\"") {
            self.space();
            second = Some(self.name()?);
            self.space();
        }
        if !self.literal("{", "\"{\"") {
            return None;
        }
        self.space();
        let inner = Box::new(self.or(depth + 1)?);
        self.space();
        self.literal("}", "\"}\"").then_some(())?;
        Some(Expression::Collection(Collection { all, selector, first, second, inner }))
    }

    /// A name that an element is bound to.
    fn name(&mut self) -> Option<String> {
        if self.literal("_", "\"_\"") {
            return Some("_".to_owned());
        }
        self.identifier()
    }

    fn selector_first(&mut self) -> Option<Expression> {
        let selector = self.selector()?;
        let operator = self
            .attempt(|p| p.symbol("==", "\"==\"").then_some(Operator::Equal))
            .or_else(|| self.attempt(|p| p.symbol("!=", "\"!=\"").then_some(Operator::NotEqual)))
            .or_else(|| self.attempt(Self::text_operator));
        if let Some(operator) = operator {
            let value = self.value()?;
            return Some(Expression::Match(Match { selector, operator, value }));
        }
        let operator = self.attempt(Self::state_operator)?;
        Some(Expression::Match(Match { selector, operator, value: String::new() }))
    }

    fn symbol(&mut self, text: &str, shown: &'static str) -> bool {
        self.space();
        let found = self.literal(text, shown);
        if found {
            self.space();
        }
        found
    }

    /// `contains`, `matches` and their opposites.
    fn text_operator(&mut self) -> Option<Operator> {
        self.space().then_some(())?;
        let not =
            self.attempt(|p| (p.literal("not", "\"not\"") && p.space()).then_some(())).is_some();
        let operator = if self.literal("contains", "\"contains\"") {
            if not { Operator::NotIn } else { Operator::In }
        } else if self.literal("matches", "\"matches\"") {
            if not { Operator::NotMatches } else { Operator::Matches }
        } else {
            return None;
        };
        self.space().then_some(operator)
    }

    /// `is empty`, `is nil` and their opposites.
    fn state_operator(&mut self) -> Option<Operator> {
        self.word("is", "\"is\"")?;
        let not =
            self.attempt(|p| (p.literal("not", "\"not\"") && p.space()).then_some(())).is_some();
        if self.literal("empty", "\"empty\"") {
            return Some(if not { Operator::IsNotEmpty } else { Operator::IsEmpty });
        }
        self.literal("nil", "\"nil\"").then_some(if not {
            Operator::IsNotNil
        } else {
            Operator::IsNil
        })
    }

    fn value_first(&mut self) -> Option<Expression> {
        let value = self.value()?;
        self.space().then_some(())?;
        let not =
            self.attempt(|p| (p.literal("not", "\"not\"") && p.space()).then_some(())).is_some();
        (self.literal("in", "\"in\"") && self.space()).then_some(())?;
        let operator = if not { Operator::NotIn } else { Operator::In };
        let start = self.at;
        let Some(selector) = self.attempt(Self::selector) else {
            self.fail(start, "match", "Invalid selector");
            return None;
        };
        Some(Expression::Match(Match { selector, operator, value }))
    }

    fn identifier(&mut self) -> Option<String> {
        let start = self.at;
        self.class(|c| c.is_ascii_alphabetic(), "[a-zA-Z]").then_some(())?;
        let more = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '/';
        while self.class(more, "[a-zA-Z0-9_/]") {}
        self.text.get(start..self.at).map(ToOwned::to_owned)
    }

    fn selector(&mut self) -> Option<Selector> {
        if let Some(pointer) = self.attempt(Self::pointer) {
            return Some(pointer);
        }
        let mut parts = vec![self.identifier()?];
        while let Some(part) = self.attempt(Self::part) {
            parts.push(part);
        }
        Some(Selector { parts, pointer: false })
    }

    /// `"/Meta/owner"`.
    fn pointer(&mut self) -> Option<Selector> {
        let body = self.rest().strip_prefix("\"/")?;
        let known = |c: char| c.is_alphanumeric() || "-_.~:|/".contains(c);
        let end = body.find(|c| !known(c)).filter(|end| body[*end..].starts_with('"'))?;
        self.at += 2 + end + 1;
        let unescape = |part: &str| part.replace("~1", "/").replace("~0", "~");
        Some(Selector { parts: body[..end].split('/').map(unescape).collect(), pointer: true })
    }

    /// `.name`, `.0` or `["name"]`.
    fn part(&mut self) -> Option<String> {
        if self.literal(".", "\".\"") {
            if let Some(name) = self.attempt(Self::identifier) {
                return Some(name);
            }
            let start = self.at;
            while self.class(|c| c.is_ascii_digit(), "[0-9]") {}
            return self.text.get(start..self.at).filter(|t| !t.is_empty()).map(ToOwned::to_owned);
        }
        self.literal("[", "\"[\"").then_some(())?;
        self.space();
        let start = self.at;
        let Some(key) = self.attempt(Self::string) else {
            self.fail(start, "index", "Invalid index");
            return None;
        };
        self.space();
        if !self.literal("]", "\"]\"") {
            self.fail(self.at, "index", "Unclosed index expression");
            return None;
        }
        Some(key)
    }

    fn value(&mut self) -> Option<String> {
        // A bare word may look like a selector; its text is the value.
        let start = self.at;
        if self.rest().chars().next().is_some_and(|c| c.is_ascii_alphabetic()) {
            self.selector()?;
            return self.text.get(start..self.at).map(ToOwned::to_owned);
        }
        self.expected("[a-zA-Z]");
        if let Some(number) = self.attempt(Self::number) {
            return Some(number);
        }
        self.attempt(Self::string)
    }

    fn number(&mut self) -> Option<String> {
        let start = self.at;
        let _signed = self.literal("-", "\"-\"");
        if !self.literal("0", "\"0\"") {
            self.class(|c| ('1'..='9').contains(&c), "[1-9]").then_some(())?;
            while self.class(|c| c.is_ascii_digit(), "[0-9]") {}
        }
        let fraction = self.rest().strip_prefix('.').unwrap_or_default();
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            self.at += 1 + digits;
        }
        let ends = self.rest().chars().next().is_none_or(|c| " \t\r\n)".contains(c));
        if !ends {
            self.fail(self.at, "number", "Invalid number literal");
            return None;
        }
        self.text.get(start..self.at).map(ToOwned::to_owned)
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        let raw = self.literal("`", "\"`\"");
        if !raw && !self.literal("\"", "\"\\\"\"") {
            return None;
        }
        let quote = if raw { '`' } else { '"' };
        let Some(end) = self.rest().find(quote) else {
            self.fail(self.text.len(), "string", "Unterminated string literal");
            return None;
        };
        let body = &self.rest()[..end];
        self.at += end + 1;
        if raw {
            return Some(body.to_owned());
        }
        let unquoted = unquote(body);
        if unquoted.is_none() {
            self.fail(start, "string", "invalid syntax");
        }
        Some(unquoted.unwrap_or_default())
    }
}

/// The escapes of a Go string; a line break is an error.
fn unquote(body: &str) -> Option<String> {
    let mut text = String::with_capacity(body.len());
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        match c {
            '\n' => return None,
            '\\' => text.push(match chars.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'v' => '\u{b}',
                '\\' => '\\',
                'x' => code(&mut chars, 2)?,
                'u' => code(&mut chars, 4)?,
                'U' => code(&mut chars, 8)?,
                _ => return None,
            }),
            c => text.push(c),
        }
    }
    Some(text)
}

fn code(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let hex: String = chars.by_ref().take(digits).collect();
    (hex.len() == digits).then_some(())?;
    char::from_u32(u32::from_str_radix(&hex, 16).ok()?)
}
