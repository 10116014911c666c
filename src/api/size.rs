//! ◆ Sizes and counts for people: `1.5 GiB`, `1.6 GB`, `1,234`, `22nd`.

use super::number::quote;

const DECIMAL: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const BINARY: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Why text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// No number at its beginning.
    #[error("strconv.ParseFloat: parsing {}: invalid syntax", quote(.0))]
    Number(String),
    /// More than 64 bits.
    #[error("too large: {0}")]
    TooLarge(String),
    /// No such unit.
    #[error("unhandled size name: {0}")]
    Unit(String),
}

/// In powers of 1000.
pub fn decimal(bytes: u64) -> String {
    format(bytes, 1000, &DECIMAL)
}

/// In powers of 1024.
pub fn binary(bytes: u64) -> String {
    format(bytes, 1024, &BINARY)
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn format(bytes: u64, base: u64, units: &[&str; 7]) -> String {
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let mut power = 0;
    let mut scale: u64 = 1;
    while power < 6 && bytes / scale >= base {
        power += 1;
        scale *= base;
    }
    let value = (bytes as f64 / scale as f64 * 10.0 + 0.5).floor() / 10.0;
    let unit = units.get(power).copied().unwrap_or_default();
    if power > 0 && value < 10.0 {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}

/// Reads `1.5 GiB`, `10MB`, `1,024`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked, and fractions of a byte are cut"
)]
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let end =
        text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = number.replace(',', "");
    let value: f64 = number.parse().map_err(|_| SizeError::Number(number))?;
    let unit = unit.trim().to_lowercase();
    let scale: f64 = match unit.as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "p" | "pb" => 1e15,
        "e" | "eb" => 1e18,
        "ki" | "kib" => 1024.0,
        "mi" | "mib" => 1024f64.powi(2),
        "gi" | "gib" => 1024f64.powi(3),
        "ti" | "tib" => 1024f64.powi(4),
        "pi" | "pib" => 1024f64.powi(5),
        "ei" | "eib" => 1024f64.powi(6),
        _ => return Err(SizeError::Unit(unit)),
    };
    let bytes = value * scale;
    if bytes < 18_446_744_073_709_551_616.0 {
        Ok(bytes as u64)
    } else {
        Err(SizeError::TooLarge(text.to_owned()))
    }
}

/// `1,234,567`.
pub fn comma(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// `1st`, `12th`, `22nd`.
pub fn ordinal(number: i64) -> String {
    let word = match (number.unsigned_abs() % 10, number.unsigned_abs() % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        (_, _) => "th",
    };
    format!("{number}{word}")
}
