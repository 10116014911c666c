//! ◆ Numbers, truth values and quoted text as Go reads and writes them.

use std::fmt::Write as _;

/// Why text is no number or truth value. The text is Go's, which clients know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("strconv.{function}: parsing {}: {reason}", quote(.text))]
pub struct ParseError {
    function: &'static str,
    text: String,
    reason: &'static str,
}

impl ParseError {
    fn syntax(function: &'static str, text: &str) -> Self {
        Self { function, text: text.to_owned(), reason: "invalid syntax" }
    }

    fn range(function: &'static str, text: &str) -> Self {
        Self { function, text: text.to_owned(), reason: "value out of range" }
    }
}

/// `1 t T TRUE true True` and their opposites.
pub fn parse_bool(text: &str) -> Result<bool, ParseError> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(ParseError::syntax("ParseBool", text)),
    }
}

/// A decimal integer.
pub fn parse_int(text: &str) -> Result<i64, ParseError> {
    parse_signed("ParseInt", text)
}

/// A decimal integer, with the error text of Go's `Atoi`.
pub fn parse_atoi(text: &str) -> Result<i64, ParseError> {
    parse_signed("Atoi", text)
}

fn parse_signed(function: &'static str, text: &str) -> Result<i64, ParseError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ParseError::syntax(function, text));
    }
    text.parse().map_err(|_| ParseError::range(function, text))
}

/// A decimal integer that is not negative.
pub fn parse_uint(text: &str) -> Result<u64, ParseError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ParseError::syntax("ParseUint", text));
    }
    text.parse().map_err(|_| ParseError::range("ParseUint", text))
}

/// The permissions of a file: octal, at most twelve bits.
pub fn parse_mode(text: &str) -> Result<u16, ParseError> {
    if text.is_empty() || !text.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        return Err(ParseError::syntax("ParseUint", text));
    }
    u16::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode < 1 << 12)
        .ok_or_else(|| ParseError::range("ParseUint", text))
}

/// The shortest text that reads back as the same number, with an exponent below 1e-4 and from 1e6 on, as
/// Go's `%v` has it.
pub fn format_float(number: f64) -> String {
    if !number.is_finite() || number == 0.0 {
        return if number == 0.0 { "0".to_owned() } else { number.to_string() };
    }
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    } else {
        format!("{number}")
    }
}

/// Text in Go's double quotes: what cannot be printed is escaped.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // Writing to a String cannot fail.
            c if c.is_control() && c.is_ascii() => {
                write!(quoted, "\\x{:02x}", u32::from(c)).unwrap_or_default();
            }
            c if c.is_control() => write!(quoted, "\\u{:04x}", u32::from(c)).unwrap_or_default(),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
