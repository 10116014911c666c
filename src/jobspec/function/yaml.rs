//! ◆ Values to YAML and back, as YAML 1.1 reads bare words: `yes` is true, `017` is fifteen.

use std::collections::BTreeMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};

use super::{Problem, check_length, json};
use crate::jobspec::value::{Number, Value};

/// Deepest nesting.
const MAX_DEPTH: usize = 60;
/// Most values that a text may stand for, repeated ones counted each time.
const MAX_NODES: usize = 100_000;

/// The value of a text with exactly one document.
pub(super) fn decode(text: &str) -> Result<Value, Problem> {
    let mut reader =
        Reader { parser: Parser::new_from_str(text), anchors: BTreeMap::new(), nodes: 0 };
    let start = "on line 1, column 1: missing start of document";
    loop {
        match reader.next()? {
            Event::StreamStart | Event::Nothing => {}
            Event::DocumentStart(_) => break,
            _ => return Err(Problem::whole(start)),
        }
    }
    let event = reader.next()?;
    let value = reader.value(event, 0)?;
    loop {
        match reader.next()? {
            Event::DocumentEnd | Event::Nothing => {}
            Event::StreamEnd => return Ok(value),
            _ => return Err(Problem::whole("unexpected extra content after value")),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Value>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, Problem> {
        match self.parser.next_event() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(Problem::Whole(error.to_string())),
            None => Ok(Event::StreamEnd),
        }
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Result<Value, Problem> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(Problem::whole("the text is nested too deeply or too long"));
        }
        let (value, anchor) = match event {
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned();
                let value =
                    value.ok_or_else(|| Problem::whole("an alias has no anchor before it"))?;
                self.nodes += value.nodes();
                return Ok(value);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let string = tag.is_some_and(|tag| tag.suffix == "str");
                let plain = style == ScalarStyle::Plain && !string;
                (if plain { resolve(&text) } else { Value::string(text.as_ref()) }, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.sequence(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.mapping(depth)?, anchor),
            _ => return Err(Problem::whole("missing start of document")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::tuple(items)?),
                event => items.push(self.value(event, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut entries: BTreeMap<Rc<str>, Value> = BTreeMap::new();
        let mut merged: BTreeMap<Rc<str>, Value> = BTreeMap::new();
        loop {
            let event = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text.as_ref() == "<<");
            let name = match &event {
                Event::Scalar(text, ..) => Rc::from(text.as_ref()),
                _ => return Err(Problem::whole("mapping keys must be scalars")),
            };
            let event = self.next()?;
            let value = self.value(event, depth + 1)?;
            if !merge {
                entries.insert(name, value);
                continue;
            }
            let sources = value.items().map_or_else(|| vec![value.clone()], <[Value]>::to_vec);
            for source in sources {
                let Some(inner) = source.entries() else {
                    return Err(Problem::whole(
                        "map merge requires map or sequence of maps as the value",
                    ));
                };
                for (name, value) in inner {
                    merged.entry(Rc::clone(name)).or_insert_with(|| value.clone());
                }
            }
        }
        for (name, value) in merged {
            entries.entry(name).or_insert(value);
        }
        Ok(Value::object(entries)?)
    }
}

/// What a bare word means.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::NULL,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            return Value::Bool(false);
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Number(Number::Infinite { negative: false });
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Number(Number::Infinite { negative: true }),
        _ => {}
    }
    if let Some(number) = number(text) {
        return Value::Number(number);
    }
    if is_date(text) {
        return Value::string(format!("{text}T00:00:00Z"));
    }
    Value::string(text)
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return None;
    }
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let radix = |digits: &str, base| {
        let clean = !digits.starts_with(['-', '+']);
        clean.then(|| Number::parse_radix(&format!("{sign}{digits}"), base)).flatten()
    };
    if let Some(hex) = digits.strip_prefix("0x") {
        return radix(hex, 16);
    }
    if let Some(binary) = digits.strip_prefix("0b") {
        return radix(binary, 2);
    }
    if let Some(octal) = digits.strip_prefix("0o") {
        return radix(octal, 8);
    }
    if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
        return radix(&digits[1..], 8);
    }
    if digits.starts_with(['-', '+']) || digits == "." {
        return None;
    }
    Number::parse(&plain)
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// YAML text as Go's encoder writes it: strings in quotes, lists not indented.
pub(super) fn encode(value: &Value) -> Result<String, Problem> {
    let mut out = String::new();
    block(value, 0, &mut out)?;
    if !out.ends_with('\n') {
        out.push('\n');
    }
    if matches!(value, Value::Null(_) | Value::Bool(_) | Value::Number(_)) {
        // A bare word alone must be told from a directive that might follow.
        out.push_str("...\n");
    }
    Ok(out)
}

fn block(value: &Value, indent: usize, out: &mut String) -> Result<(), Problem> {
    check_length(out.len())?;
    match value {
        Value::String(text) => string(text, indent, out)?,
        Value::Number(number) if !number.is_finite() => {
            out.push_str(if number.is_negative() { "-.inf" } else { ".inf" });
        }
        Value::Null(_) | Value::Bool(_) | Value::Number(_) => out.push_str(&json::encode(value)?),
        Value::List(..) | Value::Set(..) | Value::Tuple(_) => {
            let items = value.items().unwrap_or_default();
            if items.is_empty() {
                out.push_str("[]");
            }
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    start_line(indent, out);
                }
                out.push_str("- ");
                block(item, indent + 2, out)?;
            }
        }
        Value::Map(..) | Value::Object(_) => {
            let entries = value.entries().into_iter().flatten();
            let mut empty = true;
            for (name, item) in entries {
                if !std::mem::take(&mut empty) {
                    start_line(indent, out);
                }
                out.push_str(&json::encode(&Value::String(Rc::clone(name)))?);
                out.push(':');
                let nested = item.items().is_some_and(|items| !items.is_empty())
                    || item.entries().is_some_and(|entries| !entries.is_empty());
                if nested {
                    let inner = if item.items().is_some() { indent } else { indent + 2 };
                    start_line(inner, out);
                    block(item, inner, out)?;
                } else {
                    out.push(' ');
                    block(item, indent, out)?;
                }
            }
            if empty {
                out.push_str("{}");
            }
        }
    }
    Ok(())
}

fn start_line(indent: usize, out: &mut String) {
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out.push_str(&" ".repeat(indent));
}

/// Several lines as a literal block where that is safe, else in quotes.
fn string(text: &str, indent: usize, out: &mut String) -> Result<(), Problem> {
    let literal = text.contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && text.chars().all(|c| c == '\n' || !c.is_control())
        && !text.contains(" \n");
    if !literal {
        out.push_str(&json::encode(&Value::string(text))?);
        return Ok(());
    }
    let body = text.trim_end_matches('\n');
    out.push_str(match text.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent + 2));
            out.push_str(line);
        }
    }
    check_length(out.len())
}
