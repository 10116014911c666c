//! ◆ Regular expressions that people write for Go's regexp package.

use std::sync::LazyLock;

use regex::Regex;

/// Compiles an expression, or says why not, in Go's words where they are simple.
///
/// Nomad: Go's package and this one agree on what they refuse (look-around, back references), except that
/// Go counts to a thousand only.
pub fn compile(text: &str) -> Result<Regex, String> {
    let prefix = "error parsing regexp";
    match Regex::new(text) {
        Ok(regex) => match repeated_too_often(text) {
            Some(repeat) => Err(format!("{prefix}: invalid repeat count: `{repeat}`")),
            None => Ok(regex),
        },
        Err(error) => Err(format!("{prefix}: {}", reason(text, &error.to_string()))),
    }
}

fn reason(text: &str, message: &str) -> String {
    let reason = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
    match reason {
        "unclosed group" => format!("missing closing ): `{text}`"),
        "unclosed character class" => format!("missing closing ]: `{}`", from(text, "[")),
        "unopened group" => format!("unexpected ): `{text}`"),
        _ if text.contains("(?=") => "invalid or unsupported Perl syntax: `(?=`".to_owned(),
        _ if text.contains("(?!") => "invalid or unsupported Perl syntax: `(?!`".to_owned(),
        _ if text.contains("(?<") => format!("invalid named capture: `{}`", from(text, "(?<")),
        _ => match text.find('\\').and_then(|at| text.get(at..at + 2)) {
            Some(escape) if reason.contains("backreference") => {
                format!("invalid escape sequence: `{escape}`")
            }
            Some(_) | None => format!("{reason}: `{text}`"),
        },
    }
}

fn from<'a>(text: &'a str, mark: &str) -> &'a str {
    text.rfind(mark).and_then(|at| text.get(at..)).unwrap_or(text)
}

/// Go refuses counts above a thousand.
fn repeated_too_often(text: &str) -> Option<&str> {
    static REPEAT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\{([0-9]+)(,([0-9]*))?\}").expect("the pattern is a constant")
    });
    let too_many = |digits: &str| digits.len() > 4 || digits.parse::<u32>().is_ok_and(|n| n > 1000);
    REPEAT
        .captures_iter(text)
        .find(|found| {
            let count = |group| found.get(group).is_some_and(|m| too_many(m.as_str()));
            count(1) || count(3)
        })
        .and_then(|found| found.get(0))
        .map(|found| found.as_str())
}
