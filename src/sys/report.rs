//! ◇ What kind of error something is, and an error with all its causes on one line.

use std::error::Error;
use std::fmt::Write as _;

/// What an error means to the one who asked. HTTP statuses and exit codes follow from it, in one place each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The input is wrong; asking again will not help.
    Invalid,
    /// The thing that was named does not exist.
    NotFound,
    /// The thing is in another state than the request assumed.
    Conflict,
    /// The asker may not do this.
    Denied,
    /// Asking again later may help; nothing is broken.
    Busy,
    /// Something this depends on is away.
    Unavailable,
    /// Ours.
    Internal,
}

/// Several errors as one text. Nomad: in the form of its `multierror`.
pub fn several(errors: &[String]) -> String {
    let noun = if errors.len() == 1 { "error" } else { "errors" };
    let lines: Vec<String> = errors.iter().map(|error| format!("\t* {error}\n")).collect();
    format!("{} {noun} occurred:\n{}\n", errors.len(), lines.concat())
}

/// The error and its causes, outermost first, joined by `: `. An adjacent repetition is printed once.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if next != last {
            // Writing to a String cannot fail.
            write!(text, ": {next}").unwrap_or_default();
        }
        last = next;
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::chain;

    #[derive(Debug, thiserror::Error)]
    #[error("alloc 3f2a: start")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn an_error_is_told_with_its_cause() {
        let error = Outer(std::io::Error::other("no such image"));
        assert_eq!(chain(&error), "alloc 3f2a: start: no such image");
    }
}
