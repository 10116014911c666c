//! ◆ How ids, times, sizes and JSON fields are shown.

use serde_json::Value;

use crate::model::Timestamp;

/// A text field of an answer; empty when it is not there.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// A whole number of an answer; 0 when it is not there.
pub(super) fn number(value: &Value, field: &str) -> i64 {
    value[field].as_i64().unwrap_or_default()
}

/// Whether a field of an answer is true.
pub(super) fn is_true(value: &Value, field: &str) -> bool {
    value[field].as_bool().unwrap_or_default()
}

/// The elements of a list; none when it is null.
pub(super) fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// An id as people see it: eight characters, all with `verbose`.
pub(super) fn id(full: &str, verbose: bool) -> String {
    if verbose { full.to_owned() } else { full.get(..8).unwrap_or(full).to_owned() }
}

/// `<none>` for nothing.
pub(super) fn or_none(text: &str) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text.to_owned() }
}

/// A time of nanoseconds, to the second; `N/A` for none.
pub(super) fn time(nanos: i64) -> String {
    if nanos == 0 {
        return "N/A".to_owned();
    }
    Timestamp(nanos - nanos.rem_euclid(1_000_000_000)).rfc3339()
}

/// A time of RFC 3339 text, to the second; `N/A` for none.
pub(super) fn time_text(text: &str) -> String {
    Timestamp::parse_rfc3339(text).map_or_else(|| "N/A".to_owned(), |time| self::time(time.0))
}

/// How long ago: the two largest units, as `1h2m ago`.
pub(super) fn ago(nanos: i64, now: i64) -> String {
    if nanos == 0 {
        return "N/A".to_owned();
    }
    let secs = now.saturating_sub(nanos).max(0) / 1_000_000_000;
    format!("{} ago", span(secs))
}

/// Seconds as the two largest units: `3d4h`, `1h2m`, `5m3s`, `7s`.
pub(super) fn span(secs: i64) -> String {
    const UNITS: [(i64, &str); 6] =
        [(31_536_000, "y"), (2_592_000, "mo"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let Some(first) = UNITS.iter().position(|(unit, _)| secs >= *unit) else {
        return "0s".to_owned();
    };
    let (unit, name) = UNITS[first];
    let rest = match UNITS.get(first + 1) {
        Some((smaller, name)) if secs % unit / smaller > 0 => {
            format!("{}{name}", secs % unit / smaller)
        }
        Some(_) | None => String::new(),
    };
    format!("{}{name}{rest}", secs / unit)
}

/// Bytes in binary units, as `4.0 KiB`, `20 MiB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 10 {
        return format!("{count} B");
    }
    let mut unit = 0;
    let mut whole = count;
    let mut divisor: u64 = 1;
    while whole >= 1024 && unit + 1 < UNITS.len() {
        whole /= 1024;
        divisor = divisor.saturating_mul(1024);
        unit += 1;
    }
    let tenths = u128::from(count) * 10 / u128::from(divisor)
        + u128::from(unit > 0 && (u128::from(count) * 20 / u128::from(divisor)) % 2 == 1);
    if tenths < 100 && unit > 0 {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{} {}", (tenths + 5) / 10, UNITS[unit])
    }
}

/// What people see of an answer when they ask for JSON: indented by four, as Nomad prints it.
pub(super) fn json(value: &Value) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    match serde::Serialize::serialize(value, &mut serializer) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_their_two_largest_units() {
        assert_eq!(span(0), "0s");
        assert_eq!(span(59), "59s");
        assert_eq!(span(61), "1m1s");
        assert_eq!(span(3_600), "1h");
        assert_eq!(span(90_061), "1d1h");
    }

    #[test]
    fn sizes_are_shown_in_binary_units() {
        assert_eq!(bytes(5), "5 B");
        assert_eq!(bytes(4096), "4.0 KiB");
        assert_eq!(bytes(20 * 1024 * 1024), "20 MiB");
    }
}
