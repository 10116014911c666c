//! ◆ A job that is written in the API's own JSON. Names match in any case, unknown names are dropped, and durations are
//! numbers of nanoseconds.

use serde_json::Value as Out;

use super::decode::attribute::float;
use super::decode::defaults;
use super::error::{Complaints, ParseError};
use super::json::{self, Json, JsonNode};
use super::schema::{Field, JOB, Kind, Object, Table};
use super::source::{FileId, Source, Span, Texts};

/// The job in a text of API JSON, bare or behind `"Job"`.
pub(super) fn parse(source: &Source) -> Result<Object, ParseError> {
    let mut texts = Texts::default();
    let mut complaints = Complaints::default();
    let text = String::from_utf8_lossy(&source.bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let file = texts.add(&source.name, text);
    let mut reader = Reader { file, complaints: &mut complaints };
    let job = match json::parse(text) {
        Ok(json) => {
            let inner = member(&json, "Job").filter(|job| matches!(job.node, JsonNode::Object(_)));
            reader.object(&JOB, inner.unwrap_or(&json), "Job")
        }
        Err(error) => {
            let span = reader.span(error.start, error.end);
            complaints.add(span, error.title, error.detail);
            Object::new()
        }
    };
    if complaints.is_empty() { Ok(job) } else { Err(complaints.into_error(&texts)) }
}

fn member<'j>(json: &'j Json, name: &str) -> Option<&'j Json> {
    let JsonNode::Object(members) = &json.node else { return None };
    // The last one counts, as in Go.
    members.iter().rev().find(|m| m.name.eq_ignore_ascii_case(name)).map(|m| &m.value)
}

struct Reader<'c> {
    file: FileId,
    complaints: &'c mut Complaints,
}

impl Reader<'_> {
    fn span(&self, start: usize, end: usize) -> Span {
        let at = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { file: self.file, start: at(start), end: at(end) }
    }

    fn wrong(&mut self, json: &Json, path: &str, wanted: &str) -> Out {
        let found = match json.node {
            JsonNode::Null => "null",
            JsonNode::Bool(_) => "a bool",
            JsonNode::Number(_) => "a number",
            JsonNode::String(_) => "a string",
            JsonNode::Array(_) => "a list",
            JsonNode::Object(_) => "an object",
        };
        let detail = format!("{path} must be {wanted}, not {found}.");
        self.complaints.add(self.span(json.start, json.end), "Failed to parse JSON job", detail);
        Out::Null
    }

    fn object(&mut self, table: &'static Table, json: &Json, path: &str) -> Object {
        let mut object = defaults(table);
        if !matches!(json.node, JsonNode::Object(_)) {
            self.wrong(json, path, "an object");
            return object;
        }
        for field in table.fields.iter().filter(|field| !field.json.starts_with('@')) {
            let Some(value) = member(json, field.json) else { continue };
            if matches!(value.node, JsonNode::Null) {
                continue;
            }
            let path = format!("{path}.{}", field.json);
            object.insert(field.json.to_owned(), self.field(field, value, &path));
        }
        object.retain(|name, _| !name.starts_with('@'));
        object
    }

    fn field(&mut self, field: &Field, json: &Json, path: &str) -> Out {
        match (field.kind, &json.node) {
            (
                Kind::Label(_) | Kind::Text | Kind::MaybeText | Kind::LooseText | Kind::Bytes,
                JsonNode::String(text),
            ) => Out::from(text.as_str()),
            (Kind::Label(_) | Kind::Text | Kind::MaybeText | Kind::LooseText | Kind::Bytes, _) => {
                self.wrong(json, path, "a string")
            }
            (Kind::Bool | Kind::MaybeBool | Kind::LooseBool, JsonNode::Bool(truth)) => {
                Out::from(*truth)
            }
            (Kind::Bool | Kind::MaybeBool | Kind::LooseBool, _) => {
                self.wrong(json, path, "true or false")
            }
            (Kind::Whole(range) | Kind::MaybeWhole(range), _) => {
                self.whole(json, path, range.0, range.1)
            }
            (Kind::LooseNumber, _) => self.whole(json, path, -128, 127),
            (Kind::Duration | Kind::MaybeDuration, JsonNode::String(_)) => {
                self.wrong(json, path, "a whole number of nanoseconds")
            }
            (Kind::Duration | Kind::MaybeDuration, _) => {
                self.whole(json, path, i64::MIN.into(), i64::MAX.into())
            }
            (Kind::Texts, _) => self.list(json, path, Self::text),
            (Kind::Wholes(range), _) => self
                .list(json, path, |reader, item, path| reader.whole(item, path, range.0, range.1)),
            (Kind::TextMap | Kind::TextBlock | Kind::TextBlockOrMap, _) => {
                self.map(json, path, Self::text)
            }
            (Kind::TextsBlock, _) => {
                self.map(json, path, |reader, item, path| reader.list(item, path, Self::text))
            }
            (Kind::Free, _) => self.map(json, path, |_, item, _| free(item)),
            (Kind::One(table) | Kind::Rare(table), _) => {
                Out::Object(self.object(table, json, path))
            }
            (Kind::GroupScaling, _) => {
                Out::Object(self.object(&super::schema::SCALING, json, path))
            }
            (Kind::Many(_) | Kind::TaskScaling, _) => {
                let table = field.kind.table();
                self.list(json, path, |reader, item, path| match table {
                    Some(table) => Out::Object(reader.object(table, item, path)),
                    None => Out::Null,
                })
            }
            (Kind::Named(table), _) => self.map(json, path, |reader, item, path| {
                Out::Object(reader.object(table, item, path))
            }),
        }
    }

    fn text(&mut self, json: &Json, path: &str) -> Out {
        match &json.node {
            JsonNode::String(text) => Out::from(text.as_str()),
            // Go: null leaves the empty string.
            JsonNode::Null => Out::from(""),
            _ => self.wrong(json, path, "a string"),
        }
    }

    fn whole(&mut self, json: &Json, path: &str, low: i128, high: i128) -> Out {
        let JsonNode::Number(number) = &json.node else {
            return self.wrong(json, path, "a whole number");
        };
        let fits = number.to_i128().filter(|value| (low..=high).contains(value));
        match fits {
            Some(value) => i64::try_from(value)
                .map(Out::from)
                .or_else(|_| u64::try_from(value).map(Out::from))
                .unwrap_or(Out::Null),
            None => self.wrong(json, path, &format!("a whole number from {low} to {high}")),
        }
    }

    fn list(
        &mut self,
        json: &Json,
        path: &str,
        mut each: impl FnMut(&mut Self, &Json, &str) -> Out,
    ) -> Out {
        let JsonNode::Array(items) = &json.node else { return self.wrong(json, path, "a list") };
        let read = |(index, item)| each(self, item, &format!("{path}[{index}]"));
        Out::Array(items.iter().enumerate().map(read).collect())
    }

    fn map(
        &mut self,
        json: &Json,
        path: &str,
        mut each: impl FnMut(&mut Self, &Json, &str) -> Out,
    ) -> Out {
        let JsonNode::Object(members) = &json.node else {
            return self.wrong(json, path, "an object");
        };
        let mut object = Object::new();
        for member in members {
            let value = each(self, &member.value, &format!("{path}.{}", member.name));
            object.insert(member.name.clone(), value);
        }
        Out::Object(object)
    }
}

/// Go: numbers of unknown meaning are 64-bit floats.
fn free(json: &Json) -> Out {
    match &json.node {
        JsonNode::Null => Out::Null,
        JsonNode::Bool(truth) => Out::from(*truth),
        JsonNode::Number(number) => {
            let value = number.to_f64();
            let whole = value.to_string().parse::<i64>();
            whole.map_or_else(|_| float(value), Out::from)
        }
        JsonNode::String(text) => Out::from(text.as_str()),
        JsonNode::Array(items) => Out::Array(items.iter().map(free).collect()),
        JsonNode::Object(members) => {
            Out::Object(members.iter().map(|m| (m.name.clone(), free(&m.value))).collect())
        }
    }
}
