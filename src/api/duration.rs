//! ◆ Durations as Go writes and reads them (`1h30m0s`), and ages for people (`2 days ago`).

use std::fmt::Write as _;

use super::number;
use crate::model::Nanos;

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Why text is no duration. The text is Go's, which clients know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not of the form number-unit, or too large.
    #[error("time: invalid duration {}", quote(.0))]
    Invalid(String),
    /// A number without a unit.
    #[error("time: missing unit in duration {}", quote(.0))]
    MissingUnit(String),
    /// A unit that is none of `h m s ms us ns`.
    #[error("time: unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
}

/// Reads `1h30m`, `1.5s`, `-2ms`, `0`.
pub fn parse(text: &str) -> Result<Nanos, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        Some(_) => (false, text),
        None => return Err(invalid()),
    };
    if rest == "0" {
        return Ok(Nanos::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (part, after) = parse_part(rest, text)?;
        total = total.checked_add(part).filter(|n| *n <= 1 << 63).ok_or_else(invalid)?;
        rest = after;
    }
    let nanos = if negative { -i128::from(total) } else { i128::from(total) };
    i64::try_from(nanos).map(Nanos).map_err(|_| invalid())
}

/// One number with its unit, in nanoseconds, and what follows it.
fn parse_part<'a>(part: &'a str, text: &str) -> Result<(u64, &'a str), DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, mut rest) = part.split_at(digits(part));
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        (fraction, rest) = after.split_at(digits(after));
    }
    if whole.is_empty() && fraction.is_empty() {
        return Err(invalid());
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let scale = match unit {
        "" => return Err(DurationError::MissingUnit(text.to_owned())),
        "ns" => 1,
        "us" | "µs" | "μs" => MICRO,
        "ms" => MILLI,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => {
            let (unit, text) = (unit.to_owned(), text.to_owned());
            return Err(DurationError::UnknownUnit { unit, text });
        }
    };
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().map_err(|_| invalid())? };
    let whole = whole.checked_mul(scale).filter(|n| *n <= 1 << 63).ok_or_else(invalid)?;
    Ok((whole + fraction_of(fraction, scale), rest))
}

/// The nanoseconds of a decimal fraction. In floats, as Go has it: `0.3333333333333333333h` is 20 minutes.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of a unit fits, and its last digits do not count"
)]
fn fraction_of(digits: &str, scale: u64) -> u64 {
    let mut value: u64 = 0;
    let mut worth = 1.0;
    for digit in digits.bytes() {
        let Some(next) = value.checked_mul(10).filter(|n| *n <= 1 << 62) else { break };
        value = next + u64::from(digit - b'0');
        worth *= 10.0;
    }
    (value as f64 * (scale as f64 / worth)) as u64
}

/// Go's time package quotes what is not ASCII byte by byte.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b' '..=b'~' => quoted.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => write!(quoted, "\\x{byte:02x}").unwrap_or_default(),
        }
    }
    quoted.push('"');
    quoted
}

/// Writes `1h30m0s`, `1.5s`, `2ms`, `0s`.
pub fn format(duration: Nanos) -> String {
    let nanos = duration.0.unsigned_abs();
    let sign = if duration.0 < 0 { "-" } else { "" };
    let small = |scale: u64, unit: &str| format!("{sign}{}{unit}", decimal(nanos, scale));
    match nanos {
        0 => "0s".to_owned(),
        1..MICRO => small(1, "ns"),
        MICRO..MILLI => small(MICRO, "µs"),
        MILLI..SECOND => small(MILLI, "ms"),
        _ => {
            let (hours, minutes) = (nanos / HOUR, nanos % HOUR / MINUTE);
            let seconds = decimal(nanos % MINUTE, SECOND);
            match (hours, minutes) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, _) => format!("{sign}{minutes}m{seconds}s"),
                (_, _) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

fn decimal(nanos: u64, scale: u64) -> String {
    let (whole, rest) = (nanos / scale, nanos % scale);
    if rest == 0 {
        return whole.to_string();
    }
    let width = scale.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// To the nearest whole `unit`, halves away from zero.
#[must_use]
pub fn round(duration: Nanos, unit: Nanos) -> Nanos {
    if unit.0 <= 0 {
        return duration;
    }
    let (nanos, unit) = (i128::from(duration.0), i128::from(unit.0));
    let away = if nanos < 0 { -unit / 2 } else { unit / 2 };
    let rounded = (nanos + away) / unit * unit;
    Nanos(i64::try_from(rounded).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
}

/// To a whole `unit`, towards zero.
#[must_use]
pub fn truncate(duration: Nanos, unit: Nanos) -> Nanos {
    if unit.0 <= 0 { duration } else { Nanos(duration.0 - duration.0 % unit.0) }
}

/// The seconds as Go prints a float: `1.5`, `1e-09`.
#[expect(clippy::cast_precision_loss, reason = "Go's float has the same precision")]
pub fn seconds(duration: Nanos) -> String {
    let nanos = SECOND.cast_signed();
    let (whole, rest) = (duration.0 / nanos, duration.0 % nanos);
    number::format_float(whole as f64 + rest as f64 / 1e9)
}

/// `5 minutes ago`, `1 hour from now`, `now`.
pub fn relative(age: Nanos) -> String {
    const DAY: u64 = 86_400;
    const MONTH: u64 = 30 * DAY;
    const YEAR: u64 = 12 * MONTH;
    let seconds = age.0.unsigned_abs() / SECOND;
    let word = if age.0 < 0 { "from now" } else { "ago" };
    let (count, unit) = match seconds {
        0 => return "now".to_owned(),
        1..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..DAY => (seconds / 3600, "hour"),
        DAY..604_800 => (seconds / DAY, "day"),
        604_800..MONTH => (seconds / 604_800, "week"),
        MONTH..YEAR => (seconds / MONTH, "month"),
        _ if seconds < 18 * MONTH => (1, "year"),
        _ if seconds < 2 * YEAR => (2, "year"),
        _ => (seconds / YEAR, "year"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} {word}")
}
