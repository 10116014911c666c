//! ◆ Texts, places in them, and places told to people.

use std::rc::Rc;

use unicode_segmentation::UnicodeSegmentation as _;

/// A text to read: a job file, a variable file.
#[derive(Debug, Clone)]
pub struct Source {
    /// What errors call it: usually the path as it was typed.
    pub name: String,
    /// Its bytes as they were read.
    pub bytes: Vec<u8>,
}

impl Source {
    /// A source with the given name and content.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// Which text a [`Span`] lies in: an index into [`Texts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(u32);

/// A stretch of one text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// The text it lies in.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// From the start of this to the end of `other`.
    #[must_use]
    pub(super) fn to(self, other: Self) -> Self {
        Self { end: other.end.max(self.start), ..self }
    }

    /// The empty span at the start of this one.
    #[must_use]
    pub(super) fn at_start(self) -> Self {
        Self { end: self.start, ..self }
    }
}

/// A line and a column, both from one. Columns count what people see as one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from one.
    pub line: usize,
    /// Column, from one.
    pub column: usize,
}

#[derive(Debug)]
struct Text {
    name: String,
    text: String,
}

/// All texts of one run, so that a span can be told as file, line and column.
#[derive(Debug, Default)]
pub(super) struct Texts(Vec<Rc<Text>>);

impl Texts {
    /// Keeps a text and gives the id that its spans carry.
    pub(super) fn add(&mut self, name: &str, text: &str) -> FileId {
        let id = FileId(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        self.0.push(Rc::new(Text { name: name.to_owned(), text: text.to_owned() }));
        id
    }

    fn get(&self, file: FileId) -> Option<&Text> {
        self.0.get(usize::try_from(file.0).ok()?).map(Rc::as_ref)
    }

    /// Where a span lies, in people's terms.
    pub(super) fn locate(&self, span: Span) -> Place {
        let Some(file) = self.get(span.file) else {
            return Place::unknown();
        };
        let start = position(&file.text, span.start as usize);
        let end = position(&file.text, span.end as usize);
        let line = file.text.lines().nth(start.line - 1).unwrap_or("").to_owned();
        Place { file: base_name(&file.name).to_owned(), start, end, line }
    }
}

/// A span in people's terms, with the line it starts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Base name of the file.
    pub file: String,
    /// First character.
    pub start: Position,
    /// One past the last character.
    pub end: Position,
    /// The whole line that the place starts on.
    pub line: String,
}

impl Place {
    fn unknown() -> Self {
        let none = Position { line: 0, column: 0 };
        Self { file: String::new(), start: none, end: none, line: String::new() }
    }
}

impl std::fmt::Display for Place {
    /// Nomad: `file:line,column-column`, or `file:line,column-line,column` over several lines.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{},{}-", self.file, self.start.line, self.start.column)?;
        if self.end.line != self.start.line {
            write!(f, "{},", self.end.line)?;
        }
        write!(f, "{}", self.end.column)
    }
}

fn base_name(path: &str) -> &str {
    if path.starts_with('<') { path } else { path.rsplit('/').next().unwrap_or(path) }
}

fn position(text: &str, offset: usize) -> Position {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Position {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].graphemes(true).count() + 1,
    }
}
