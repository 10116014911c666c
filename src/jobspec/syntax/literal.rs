//! ◆ Escapes in quoted strings and heredocs.

use super::scan::Input;
use crate::jobspec::error::Complaints;
use crate::jobspec::source::Span;

/// The text of a token in quotes: backslash escapes read, `$${` and `%%{` undoubled.
pub(super) fn quoted(input: Input<'_>, span: Span, complaints: &mut Complaints) -> String {
    let raw = input.slice(span);
    let mut out = String::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let rest = &raw[at..];
        if rest.starts_with('\\') {
            let (c, length) = escape(rest);
            if let Some(c) = c {
                out.push(c);
            } else {
                let start = span.start + u32::try_from(at).unwrap_or(0);
                let end = start + u32::try_from(length).unwrap_or(0);
                complain(rest, Span { start, end, ..span }, complaints);
            }
            at += length;
        } else if let Some(sign) = doubled(rest) {
            out.push_str(sign);
            at += 3;
        } else {
            let c = rest.chars().next().unwrap_or(' ');
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

/// The text of a heredoc token: only `$${` and `%%{` are undoubled.
pub(super) fn plain(raw: &str) -> String {
    raw.replace("$${", "${").replace("%%{", "%{")
}

fn doubled(rest: &str) -> Option<&'static str> {
    if rest.starts_with("$${") {
        Some("${")
    } else if rest.starts_with("%%{") {
        Some("%{")
    } else {
        None
    }
}

/// The character of an escape and how long the escape is in bytes.
fn escape(rest: &str) -> (Option<char>, usize) {
    let Some(selector) = rest[1..].chars().next() else { return (None, 1) };
    let simple = match selector {
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        '"' => Some('"'),
        '\\' => Some('\\'),
        'u' | 'U' => {
            let digits = if selector == 'u' { 4 } else { 8 };
            let hex =
                rest.get(2..2 + digits).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
            let c = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
            return (c, if c.is_some() { 2 + digits } else { 2 });
        }
        _ => None,
    };
    (simple, 1 + selector.len_utf8())
}

fn complain(rest: &str, span: Span, complaints: &mut Complaints) {
    let selector = rest[1..].chars().next();
    let detail = match selector {
        Some('u') => {
            "The \\u escape sequence must be followed by four hexadecimal digits.".to_owned()
        }
        Some('U') => {
            "The \\U escape sequence must be followed by eight hexadecimal digits.".to_owned()
        }
        Some(c) => {
            format!("The symbol {:?} is not a valid escape sequence selector.", c.to_string())
        }
        None => "A backslash must be followed by an escape sequence selector.".to_owned(),
    };
    complaints.add(span, "Invalid escape sequence", detail);
}
