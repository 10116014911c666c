//! ◆ `format` and `formatlist`: Go's printf verbs over HCL values.

use unicode_segmentation::UnicodeSegmentation as _;

use super::{Call, Function, MAX_TEXT, Outcome, Problem, json, nullable, open, text};
use crate::jobspec::value::convert::convert;
use crate::jobspec::value::decimal::{cut, place_point, rounds_up};
use crate::jobspec::value::{Number, Type, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    open("format", &[text("format")], nullable("args"), |call| {
        Ok(Value::string(format(call.text(0), &call.arguments[1..])?))
    }),
    open("formatlist", &[text("format")], nullable("args"), format_list),
];

/// Widest field and most digits that may be asked for.
const MAX_WIDTH: usize = 4096;

fn format_list(call: &Call<'_>) -> Outcome {
    let arguments = &call.arguments[1..];
    let mut length: Option<(usize, usize)> = None;
    for (index, argument) in arguments.iter().enumerate() {
        let Some(items) = argument.items() else { continue };
        match length {
            Some((first, expected)) if expected != items.len() => {
                return Err(Problem::Argument(
                    index + 1,
                    format!(
                        "argument {} has length {}, which is inconsistent with argument {} of length {expected}",
                        index + 1,
                        items.len(),
                        first + 1
                    ),
                ));
            }
            Some(_) => {}
            None => length = Some((index, items.len())),
        }
    }
    let count = length.map_or(1, |(_, length)| length);
    let mut total = 0;
    let mut results = Vec::new();
    for index in 0..count {
        let row: Vec<Value> = arguments
            .iter()
            .map(|argument| match argument.items() {
                Some(items) => items.get(index).cloned().unwrap_or(Value::NULL),
                None => argument.clone(),
            })
            .collect();
        let line = format(call.text(0), &row)?;
        total += line.len();
        super::check_length(total)?;
        results.push(Value::string(line));
    }
    Ok(Value::list(Type::String, results)?)
}

/// `%[flags][width][.precision][[index]]verb`
#[derive(Default)]
struct Verb {
    flags: Vec<u8>,
    width: usize,
    precision: Option<usize>,
    index: Option<usize>,
    letter: char,
    raw: String,
    offset: usize,
}

fn format(pattern: &str, arguments: &[Value]) -> Result<String, Problem> {
    let mut out = String::new();
    let (mut at, mut next, mut used) = (0, 0, 0);
    while at < pattern.len() {
        let rest = &pattern[at..];
        let plain = rest.find('%').unwrap_or(rest.len());
        out.push_str(&rest[..plain]);
        at += plain;
        if at >= pattern.len() {
            break;
        }
        if pattern[at..].starts_with("%%") {
            out.push('%');
            at += 2;
            continue;
        }
        let verb = verb(pattern, at)?;
        at += verb.raw.len();
        let index = verb.index.unwrap_or(next);
        next = index + 1;
        used = used.max(next);
        let Some(argument) = arguments.get(index) else {
            return Err(Problem::Whole(format!(
                "not enough arguments for {:?} at {}: need index {} but have {} total",
                verb.raw,
                verb.offset,
                index + 1,
                arguments.len()
            )));
        };
        let piece = one(&verb, argument)?;
        out.push_str(&piece);
        if out.len() > MAX_TEXT {
            return Err(Problem::whole("the result is too long"));
        }
    }
    if used < arguments.len() {
        let noun = if used == 1 { "only 1 used" } else { &format!("only {used} used") };
        let why = format!("too many arguments; {noun} by format string");
        return Err(Problem::Argument(used + 1, why));
    }
    Ok(out)
}

fn verb(pattern: &str, offset: usize) -> Result<Verb, Problem> {
    let mut verb = Verb { offset, ..Verb::default() };
    let bytes = pattern.as_bytes();
    let mut at = offset + 1;
    while let Some(flag) = bytes.get(at).filter(|flag| b"-+ 0#".contains(flag)) {
        verb.flags.push(*flag);
        at += 1;
    }
    let number = |at: &mut usize| -> Option<usize> {
        let start = *at;
        while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
            *at += 1;
        }
        pattern[start..*at].parse().ok()
    };
    verb.width = number(&mut at).unwrap_or(0);
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        verb.precision = Some(number(&mut at).unwrap_or(0));
    }
    if bytes.get(at) == Some(&b'[') {
        at += 1;
        verb.index = number(&mut at).and_then(|index| index.checked_sub(1));
        if verb.index.is_none() || bytes.get(at) != Some(&b']') {
            return Err(Problem::Whole(format!("invalid argument index at offset {offset}")));
        }
        at += 1;
    }
    if verb.width > MAX_WIDTH || verb.precision.is_some_and(|precision| precision > MAX_WIDTH) {
        return Err(Problem::Whole(format!("width and precision are limited to {MAX_WIDTH}")));
    }
    let Some(letter) = pattern[at..].chars().next() else {
        return Err(Problem::Whole(format!("invalid format string starting at offset {at}")));
    };
    if !letter.is_ascii_alphabetic() {
        return Err(Problem::Whole(format!(
            "unrecognized format character {letter:?} at offset {at}"
        )));
    }
    verb.letter = letter;
    pattern[offset..at + letter.len_utf8()].clone_into(&mut verb.raw);
    Ok(verb)
}

fn one(verb: &Verb, value: &Value) -> Result<String, Problem> {
    let unsupported = |why: &str| {
        Problem::Whole(format!("unsupported value for {:?} at {}: {why}", verb.raw, verb.offset))
    };
    let converted = |to: &Type| {
        let value = convert(value, to).map_err(|why| unsupported(&why))?;
        if value.is_null() { Err(unsupported("null value cannot be formatted")) } else { Ok(value) }
    };
    match verb.letter {
        'v' if !verb.has(b'#')
            && matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)) =>
        {
            let text = convert(value, &Type::String).map_err(|why| unsupported(&why))?;
            Ok(pad(verb, text.as_str().unwrap_or("")))
        }
        'v' => Ok(pad(verb, &json::encode(value)?)),
        't' => {
            let truth = converted(&Type::Bool)?.as_bool().unwrap_or(false);
            Ok(pad(verb, if truth { "true" } else { "false" }))
        }
        's' => {
            let text = converted(&Type::String)?;
            Ok(pad(verb, &shortened(verb, text.as_str().unwrap_or(""))))
        }
        'q' => {
            let text = converted(&Type::String)?;
            let quoted =
                json::encode(&Value::string(shortened(verb, text.as_str().unwrap_or(""))))?;
            Ok(pad(verb, &quoted))
        }
        'b' | 'd' | 'o' | 'x' | 'X' => {
            let number = converted(&Type::Number)?;
            let number = number.as_number().filter(|number| number.is_whole());
            let number = number.ok_or_else(|| unsupported("an integer is required"))?;
            Ok(signed(verb, number.has_sign(), &integer(verb, number)))
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            let number = converted(&Type::Number)?;
            let number = number.as_number().cloned().unwrap_or_else(Number::zero);
            let digits = if number.is_finite() { float(verb, &number) } else { "Inf".to_owned() };
            Ok(signed(verb, number.has_sign(), &digits))
        }
        other => Err(Problem::Whole(format!(
            "unsupported format verb {other:?} in {:?} at offset {}",
            verb.raw, verb.offset
        ))),
    }
}

fn shortened(verb: &Verb, text: &str) -> String {
    match verb.precision {
        Some(letters) => text.graphemes(true).take(letters).collect(),
        None => text.to_owned(),
    }
}

impl Verb {
    fn has(&self, flag: u8) -> bool {
        self.flags.contains(&flag)
    }
}

fn pad(verb: &Verb, text: &str) -> String {
    if verb.has(b'0') && !verb.has(b'-') {
        let fill = verb.width.saturating_sub(text.graphemes(true).count());
        return format!("{}{text}", "0".repeat(fill));
    }
    pad_with_spaces(verb, text)
}

fn pad_with_spaces(verb: &Verb, text: &str) -> String {
    let fill = verb.width.saturating_sub(text.graphemes(true).count());
    if verb.has(b'-') {
        format!("{text}{}", " ".repeat(fill))
    } else {
        format!("{}{text}", " ".repeat(fill))
    }
}

fn signed(verb: &Verb, negative: bool, digits: &str) -> String {
    let sign = match (negative, verb.has(b'+'), verb.has(b' ')) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    };
    if verb.has(b'0') && !verb.has(b'-') {
        let fill = verb.width.saturating_sub(sign.len() + digits.len());
        format!("{sign}{}{digits}", "0".repeat(fill))
    } else {
        pad_with_spaces(verb, &format!("{sign}{digits}"))
    }
}

fn integer(verb: &Verb, number: &Number) -> String {
    let magnitude = number.to_magnitude().unwrap_or_default();
    match verb.letter {
        'b' => format!("{magnitude:b}"),
        'o' => format!("{magnitude:o}"),
        'x' if verb.has(b'#') => format!("0x{magnitude:x}"),
        'x' => format!("{magnitude:x}"),
        'X' if verb.has(b'#') => format!("0X{magnitude:X}"),
        'X' => format!("{magnitude:X}"),
        _ => magnitude.to_string(),
    }
}

fn float(verb: &Verb, number: &Number) -> String {
    match verb.letter.to_ascii_lowercase() {
        'f' => {
            let precision = verb.precision.unwrap_or(6);
            let (digits, point) = rounded(number, |point| {
                usize::try_from(point + i64::try_from(precision).unwrap_or(0)).ok()
            });
            with_fraction(&digits, point, precision)
        }
        'e' => {
            let precision = verb.precision.unwrap_or(6);
            let (digits, point) = rounded(number, |_| Some(precision + 1));
            scientific(verb, &digits, point, Some(precision))
        }
        _ => {
            let (digits, point) = match verb.precision {
                Some(precision) => rounded(number, |_| Some(precision.max(1))),
                None => number.shortest(),
            };
            let threshold = match verb.precision {
                Some(precision) => {
                    let precision = precision.max(1);
                    let whole = usize::try_from(point).is_ok_and(|point| digits.len() >= point);
                    if precision > digits.len() && whole { digits.len() } else { precision }
                }
                None => 21,
            };
            let exponent = point - 1;
            let large = exponent >= i64::try_from(threshold).unwrap_or(i64::MAX);
            if !digits.is_empty() && (exponent < -4 || large) {
                scientific(verb, &digits, point, None)
            } else {
                place_point(&digits, point)
            }
        }
    }
}

/// The exact digits rounded to a number of them that may depend on where the point is.
fn rounded(number: &Number, count: impl Fn(i64) -> Option<usize>) -> (String, i64) {
    let (digits, point) = number.exact();
    match count(point) {
        Some(count) if count < digits.len() => {
            let up = rounds_up(digits.as_bytes(), count);
            cut(&digits, point, count, up)
        }
        Some(_) => (digits, point),
        None => (String::new(), 0),
    }
}

fn with_fraction(digits: &str, point: i64, precision: usize) -> String {
    let plain = place_point(digits, point);
    if precision == 0 {
        return plain;
    }
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    format!("{whole}.{fraction:0<precision$}")
}

fn scientific(verb: &Verb, digits: &str, point: i64, precision: Option<usize>) -> String {
    let (first, rest) = if digits.is_empty() { ("0", "") } else { digits.split_at(1) };
    let exponent = if digits.is_empty() { 0 } else { point - 1 };
    let e = if verb.letter.is_ascii_uppercase() { 'E' } else { 'e' };
    let sign = if exponent < 0 { '-' } else { '+' };
    let rest = match precision {
        Some(precision) => format!("{rest:0<precision$}"),
        None => rest.to_owned(),
    };
    let dot = if rest.is_empty() { "" } else { "." };
    format!("{first}{dot}{rest}{e}{sign}{:02}", exponent.abs())
}
