//! ◆ What is wrong with a job file, where, and how it is shown.

use std::fmt::Write as _;

use super::source::{Place, Span, Texts};
use crate::sys::report::Kind;

/// More complaints than this are counted, not kept.
const KEPT: usize = 50;

/// One complaint, still tied to the texts of the run that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    /// Where; nothing for what is missing as a whole.
    pub span: Option<Span>,
    /// What kind of thing is wrong.
    pub summary: String,
    /// What exactly, with the name of the thing and what to do.
    pub detail: String,
}

/// Complaints in the order in which they were found.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    list: Vec<Complaint>,
    dropped: usize,
}

impl Complaints {
    /// Adds a complaint; an exact repetition is dropped.
    pub(super) fn add(
        &mut self,
        span: Span,
        summary: impl Into<String>,
        detail: impl Into<String>,
    ) {
        self.push(Complaint { span: Some(span), summary: summary.into(), detail: detail.into() });
    }

    /// Adds a complaint about something that stands nowhere.
    pub(super) fn add_nowhere(&mut self, summary: impl Into<String>, detail: impl Into<String>) {
        self.push(Complaint { span: None, summary: summary.into(), detail: detail.into() });
    }

    /// Adds a finished complaint.
    pub(super) fn push(&mut self, complaint: Complaint) {
        if self.list.contains(&complaint) {
            return;
        }
        if self.list.len() < KEPT {
            self.list.push(complaint);
        } else {
            self.dropped += 1;
        }
    }

    /// Whether no further complaint will be shown, so that none needs to be worded with care.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= KEPT
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many were found; a mark for [`Complaints::split_off`].
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Takes back the complaints since a mark, for functions that swallow errors.
    pub(super) fn split_off(&mut self, mark: usize) -> Vec<Complaint> {
        self.list.split_off(mark.min(self.list.len()))
    }

    /// All complaints, located in their texts.
    pub(super) fn into_error(self, texts: &Texts) -> ParseError {
        let mut diagnostics: Vec<Diagnostic> = self
            .list
            .into_iter()
            .map(|complaint| Diagnostic {
                place: complaint.span.map(|span| texts.locate(span)),
                summary: complaint.summary,
                detail: complaint.detail,
            })
            .collect();
        if self.dropped > 0 {
            diagnostics.push(Diagnostic {
                place: None,
                summary: "Too many errors".to_owned(),
                detail: format!("{} more were found and are not shown.", self.dropped),
            });
        }
        ParseError { diagnostics }
    }
}

/// One complaint as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where; nothing for what is missing as a whole.
    pub place: Option<Place>,
    /// What kind of thing is wrong.
    pub summary: String,
    /// What exactly.
    pub detail: String,
}

impl std::fmt::Display for Diagnostic {
    /// Nomad: `file:line,column-column: summary; detail`, with `<nil>` for nowhere.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}")?,
            None => f.write_str("<nil>")?,
        }
        write!(f, ": {}; {}", self.summary, self.detail)
    }
}

/// Why a job file was refused: everything that was found, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Never empty.
    pub diagnostics: Vec<Diagnostic>,
}

impl ParseError {
    /// One complaint that stands nowhere.
    pub fn nowhere(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        let (summary, detail) = (summary.into(), detail.into());
        Self { diagnostics: vec![Diagnostic { place: None, summary, detail }] }
    }

    /// The input is always to blame.
    pub fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

impl std::fmt::Display for ParseError {
    /// One line per complaint, as Nomad writes them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseError {}

/// The complaints for a terminal: each with its line and a caret under the place.
///
/// ```text
/// web.hcl:3,13-17: Unsuitable value type; Unsuitable value: a number is required
///   3 |     count = "many"
///     |             ^^^^^^
/// ```
pub fn format_error(error: &ParseError) -> String {
    let mut out = String::new();
    for diagnostic in &error.diagnostics {
        // Writing to a String cannot fail.
        writeln!(out, "{}", printable(&diagnostic.to_string())).unwrap_or_default();
        if let Some(place) = &diagnostic.place {
            underline(&mut out, place);
        }
    }
    out
}

fn underline(out: &mut String, place: &Place) {
    const WIDTH: usize = 160;
    if place.start.line == 0 {
        return;
    }
    let line: String = place.line.chars().take(WIDTH).collect();
    let number = place.start.line.to_string();
    let margin = " ".repeat(number.len());
    let before: String = line
        .chars()
        .take(place.start.column - 1)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    let room = line.chars().count().saturating_sub(place.start.column - 1);
    let marked = if place.end.line == place.start.line {
        place.end.column.saturating_sub(place.start.column)
    } else {
        room
    };
    let carets = "^".repeat(marked.clamp(1, room.max(1)));
    writeln!(out, "  {number} | {}", printable(&line)).unwrap_or_default();
    writeln!(out, "  {margin} | {before}{carets}").unwrap_or_default();
}

/// Control characters of the input never reach a terminal, nor do those that turn the direction of text around.
fn printable(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control() && c != '\n' && c != '\t'
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}
