//! ◆ Several errors as one text, in the layout that Nomad's clients show and match.

use std::fmt::Write as _;

use crate::sys::report;

/// What is wrong with something, in the order in which it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Errors(Vec<String>);

impl Errors {
    /// One more.
    pub fn push(&mut self, text: impl Into<String>) {
        self.0.push(text.into());
    }

    /// One more, unless the condition holds.
    pub(super) fn check(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.0.push(text());
        }
    }

    /// What is wrong with a part, as one more error that begins with `about`.
    pub(super) fn nest(&mut self, about: &str, part: &Self) {
        if !part.0.is_empty() {
            self.0.push(format!("{about}: {}", part.text()));
        }
    }

    /// What is wrong with a part, as one more error without a beginning of its own.
    pub(super) fn nest_bare(&mut self, part: &Self) {
        if !part.0.is_empty() {
            self.0.push(part.text());
        }
    }

    /// What is wrong with a part, each as one more.
    pub(super) fn append(&mut self, part: Self) {
        self.0.extend(part.0);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them; nested ones are texts of several lines.
    pub fn list(&self) -> &[String] {
        &self.0
    }

    /// Nomad: the layout of its multi-error, with the empty lines it ends in.
    pub fn text(&self) -> String {
        report::several(&self.0)
    }

    /// Nomad: the layout of warnings in an answer; empty when there are none.
    pub fn warnings(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let plural = if self.0.len() == 1 { "" } else { "s" };
        let mut text = format!("{} warning{plural}:\n", self.0.len());
        for warning in &self.0 {
            // Writing to a String cannot fail.
            write!(text, "\n* {warning}").unwrap_or_default();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Errors;

    #[test]
    fn errors_nest_as_nomad_lays_them_out() {
        let mut task = Errors::default();
        task.push("Missing task driver");
        let mut job = Errors::default();
        job.nest("Task t validation failed", &task);
        assert_eq!(
            job.text(),
            "1 error occurred:\n\t* Task t validation failed: 1 error occurred:\n\t* Missing task driver\n\n\n\n"
        );
        task.push("x");
        assert_eq!(task.warnings(), "2 warnings:\n\n* Missing task driver\n* x");
    }
}
