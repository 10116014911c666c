//! ◆ Signals by name.

use std::str::FromStr as _;

use nix::sys::signal::Signal;

/// The number of `SIGTERM`, `TERM`, `term` or `15`. `None` when this system has no such signal.
pub fn number(name: &str) -> Option<i32> {
    let name = name.trim().to_ascii_uppercase();
    if let Ok(number) = name.parse::<i32>() {
        return Signal::try_from(number).ok().map(|signal| signal as i32);
    }
    let full = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    // Docker's images and Nomad's jobs use both spellings.
    let full = if full == "SIGIOT" { "SIGABRT".to_owned() } else { full };
    Signal::from_str(&full).ok().map(|signal| signal as i32)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn signals_are_known_by_every_spelling() {
        for name in ["SIGTERM", "TERM", "sigterm", "15"] {
            assert_eq!(number(name), Some(15), "{name}");
        }
        assert_eq!(number("SIGNOPE"), None);
        assert_eq!(number("0"), None);
        assert_eq!(number("-9"), None);
    }
}
