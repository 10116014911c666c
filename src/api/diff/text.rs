//! ◆ A difference as people read it: `job plan`.
//!
//! Nomad: markers are two or four wide with their blank, names are aligned behind the widest marker of
//! their block, and a closing brace stands below the name of what it closes.

use std::fmt::Write as _;

use super::{DiffType, FieldDiff, JobDiff, ObjectDiff, TaskDiff, TaskGroupDiff};
use crate::api::number::quote;

/// How parts of the text are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// Not at all.
    Off,
    /// With ANSI escapes.
    On,
}

const BOLD: &str = "1";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const BLUE: &str = "34";
const CYAN: &str = "36";
const LIGHT_YELLOW: &str = "93";

impl Color {
    fn paint(self, style: &str, text: &str) -> String {
        match self {
            Self::On => format!("\u{1b}[{style}m{text}\u{1b}[0m"),
            Self::Off => text.to_owned(),
        }
    }

    fn marker(self, kind: DiffType) -> String {
        match kind {
            DiffType::Added => self.paint(GREEN, "+") + " ",
            DiffType::Deleted => self.paint(RED, "-") + " ",
            DiffType::Edited => self.paint(LIGHT_YELLOW, "+/-") + " ",
            DiffType::None => String::new(),
        }
    }

    fn annotations(self, annotations: &[String]) -> String {
        let painted: Vec<String> = annotations
            .iter()
            .map(|text| match text.as_str() {
                "forces create" => self.paint(GREEN, text),
                "forces destroy" => self.paint(RED, text),
                "forces in-place update" => self.paint(CYAN, text),
                "forces create/destroy update" => self.paint(YELLOW, text),
                _ => text.clone(),
            })
            .collect();
        painted.join(", ")
    }

    fn update(self, name: &str, count: u64) -> String {
        let text = format!("{count} {name}");
        match name {
            "create" => self.paint(GREEN, &text),
            "destroy" => self.paint(RED, &text),
            "migrate" => self.paint(BLUE, &text),
            "in-place update" => self.paint(CYAN, &text),
            "create/destroy update" => self.paint(YELLOW, &text),
            "canary" => self.paint(LIGHT_YELLOW, &text),
            _ => text,
        }
    }
}

/// The width of a marker with its blank.
fn width(kind: DiffType) -> usize {
    match kind {
        DiffType::Added | DiffType::Deleted => 2,
        DiffType::Edited => 4,
        DiffType::None => 0,
    }
}

fn widest(kinds: impl Iterator<Item = DiffType>) -> usize {
    kinds.map(width).max().unwrap_or_default()
}

/// The whole difference, without line breaks at its end. `verbose` also shows what is in new and deleted
/// groups and tasks.
pub fn job(diff: &JobDiff, color: Color, verbose: bool) -> String {
    let mut out = Writer { color, verbose, text: String::new() };
    let name = color.paint(BOLD, &format!("Job: {}", quote(&diff.id)));
    let line = format!("{}{name}", color.marker(diff.kind));
    out.line(&line);
    let groups = widest(diff.task_groups.iter().map(|group| group.kind));
    let marker = groups.max(out.widest_in(&diff.fields, &diff.objects));
    if diff.kind == DiffType::Edited || verbose {
        out.body(&diff.fields, &diff.objects, 0, marker);
    }
    for group in &diff.task_groups {
        out.group(group, marker - width(group.kind));
    }
    out.text.truncate(out.text.trim_end().len());
    out.text
}

struct Writer {
    color: Color,
    verbose: bool,
    text: String,
}

impl Writer {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    #[expect(clippy::unused_self, reason = "reads as a question to the writer")]
    fn widest_in(&self, fields: &[FieldDiff], objects: &[ObjectDiff]) -> usize {
        widest(fields.iter().map(|f| f.kind).chain(objects.iter().map(|o| o.kind)))
    }

    fn group(&mut self, group: &TaskGroupDiff, pad: usize) {
        let name = self.color.paint(BOLD, &format!("Task Group: {}", quote(&group.name)));
        let mut line = format!("{}{:pad$}{name}", self.color.marker(group.kind), "");
        let updates = group.updates.iter().flatten();
        let updates: Vec<String> =
            updates.map(|(name, count)| self.color.update(name, *count)).collect();
        if !updates.is_empty() {
            // Writing to a String cannot fail.
            write!(line, " ({})", updates.join(", ")).unwrap_or_default();
        }
        self.line(&line);
        let indent = pad + 2;
        let tasks = widest(group.tasks.iter().map(|task| task.kind));
        let marker = tasks.max(self.widest_in(&group.fields, &group.objects));
        if group.kind == DiffType::Edited || self.verbose {
            self.body(&group.fields, &group.objects, indent, marker);
        }
        for task in &group.tasks {
            self.task(task, indent, marker - width(task.kind));
        }
        self.text.push('\n');
    }

    fn task(&mut self, task: &TaskDiff, indent: usize, pad: usize) {
        let name = self.color.paint(BOLD, &format!("Task: {}", quote(&task.name)));
        let marker = self.color.marker(task.kind);
        let mut line = format!("{:indent$}{marker}{:pad$}{name}", "", "");
        if !task.annotations.is_empty() {
            let annotations = self.color.annotations(&task.annotations);
            write!(line, " ({annotations})").unwrap_or_default();
        }
        self.line(&line);
        let shown = match task.kind {
            DiffType::None => false,
            DiffType::Added | DiffType::Deleted => self.verbose,
            DiffType::Edited => true,
        };
        if shown {
            let marker = self.widest_in(&task.fields, &task.objects);
            self.body(&task.fields, &task.objects, indent + 2, marker);
        }
    }

    fn body(&mut self, fields: &[FieldDiff], objects: &[ObjectDiff], indent: usize, marker: usize) {
        let longest = fields.iter().map(|field| field.name.len()).max().unwrap_or_default();
        for field in fields {
            self.field(field, indent, marker - width(field.kind), longest);
        }
        for object in objects {
            self.object(object, indent, marker - width(object.kind));
        }
    }

    fn field(&mut self, field: &FieldDiff, indent: usize, pad: usize, longest: usize) {
        let value = match field.kind {
            DiffType::Added | DiffType::None => quote(&field.new),
            DiffType::Deleted => quote(&field.old),
            DiffType::Edited => format!("{} => {}", quote(&field.old), quote(&field.new)),
        };
        let marker = self.color.marker(field.kind);
        let gap = longest - field.name.len();
        let mut line =
            format!("{:indent$}{marker}{:pad$}{}: {:gap$}{value}", "", "", field.name, "");
        if !field.annotations.is_empty() {
            let annotations = self.color.annotations(&field.annotations);
            write!(line, " ({annotations})").unwrap_or_default();
        }
        self.line(&line);
    }

    fn object(&mut self, object: &ObjectDiff, indent: usize, pad: usize) {
        let marker = self.color.marker(object.kind);
        self.line(&format!("{:indent$}{marker}{:pad$}{} {{", "", "", object.name));
        if object.fields.is_empty() && object.objects.is_empty() {
            self.line("");
        }
        let widest = self.widest_in(&object.fields, &object.objects);
        self.body(&object.fields, &object.objects, indent + pad + 2, widest);
        let end = indent + width(object.kind) + pad;
        self.line(&format!("{:end$}}}", ""));
    }
}
