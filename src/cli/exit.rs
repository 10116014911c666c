//! ◆ How a command ended, and the exit code that tells it.

use crate::sys::report;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(super) struct Failure {
    /// What is printed.
    pub(super) text: String,
    /// What could be done next.
    pub(super) hint: Option<String>,
    /// The exit code.
    pub(super) code: u8,
}

impl Failure {
    /// A failure with exit code 1.
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None, code: 1 }
    }

    /// "`what`: " and the error with its causes.
    pub(super) fn of(what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(format!("{what}: {}", report::chain(error)))
    }

    /// With another exit code.
    pub(super) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// With a hint.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What a command returns: its exit code, or why it failed.
pub(super) type Outcome = Result<u8, Failure>;
