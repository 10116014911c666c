//! ◆ JSON read as HCL: objects become bodies, blocks and attributes by what the tables say about their names.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::{Json, JsonNode, Member};
use crate::jobspec::error::Complaints;
use crate::jobspec::schema::{JOB, Table};
use crate::jobspec::source::{FileId, Span};
use crate::jobspec::syntax::{
    self, Attribute, Block, Body, Expression, Input, Name, Node, ObjectKey,
};
use crate::jobspec::value::Value;

/// How strings are to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strings {
    /// As templates: the content of a job.
    Templates,
    /// As they stand: values of variables.
    Plain,
}

/// What a name means in a body.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meaning {
    /// A value.
    Attribute(Strings),
    /// A value that is written as an expression inside the string: a type, a name.
    Code,
    /// Blocks with this many labels and this content.
    Blocks(usize, Content),
}

/// What a block contains.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    /// What a table says, and `dynamic` blocks.
    Table(&'static Table),
    /// Attributes only.
    Attributes(Strings),
    /// A whole job file: `job`, `variable`, `variables`, `locals`.
    File,
    /// The declaration of a variable.
    Variable,
    /// A `dynamic` block, whose label names a block of the table.
    Dynamic(&'static Table),
    /// The inside of a `dynamic` block that generates blocks of this table, or of attributes alone.
    Generator(Option<&'static Table>),
}

/// Blocks of one name on their way: the labels found so far, of how many.
struct Labelled {
    kind: Name,
    labels: usize,
    found: Vec<Name>,
    content: Content,
}

/// Reads JSON into bodies. Complaints are about strings that are no templates.
#[derive(Debug)]
pub(crate) struct Reader<'c> {
    /// The file that the places lie in.
    pub file: FileId,
    /// Where complaints go.
    pub complaints: &'c mut Complaints,
}

impl Reader<'_> {
    /// The span of a JSON value.
    pub(crate) fn span(&self, json: &Json) -> Span {
        self.place(json.start, json.end)
    }

    fn place(&self, start: usize, end: usize) -> Span {
        let at = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { file: self.file, start: at(start), end: at(end) }
    }

    /// The body that an object, or a list of objects, stands for.
    pub(crate) fn body(&mut self, json: &Json, content: Content) -> Body {
        let mut body = Body { from_json: true, ..Body::empty(self.span(json).at_start()) };
        self.fill(json, content, &mut body);
        self.refuse_repeated(&mut body);
        body
    }

    /// Complains about names that are given twice, and keeps the first.
    fn refuse_repeated(&mut self, body: &mut Body) {
        let mut names = BTreeSet::new();
        let complaints = &mut *self.complaints;
        body.attributes.retain(|attribute| {
            let new = names.insert(Rc::clone(&attribute.name.text));
            if !new {
                let detail = format!("The argument \"{}\" was already set.", attribute.name.text);
                complaints.add(attribute.name.span, "Attribute redefined", detail);
            }
            new
        });
    }

    fn fill(&mut self, json: &Json, content: Content, body: &mut Body) {
        match &json.node {
            JsonNode::Object(members) => {
                for member in members {
                    self.member(member, content, body);
                }
            }
            JsonNode::Array(items) => {
                for item in items {
                    self.fill(item, content, body);
                }
            }
            JsonNode::Null => {}
            JsonNode::Bool(_) | JsonNode::Number(_) | JsonNode::String(_) => {
                let detail = "A JSON object is required here, to hold arguments and blocks.";
                self.complaints.add(self.span(json), "Incorrect JSON value type", detail);
            }
        }
    }

    fn member(&mut self, member: &Member, content: Content, body: &mut Body) {
        let name = self.name(member);
        // A name for people, as many files have one.
        if member.name == "//" {
            return;
        }
        match meaning(content, &member.name) {
            Some(Meaning::Blocks(labels, inner)) => {
                let mut labelled =
                    Labelled { kind: name, labels, found: Vec::new(), content: inner };
                self.blocks(&mut labelled, &member.value, body);
            }
            Some(Meaning::Code) => self.code(name, &member.value, body),
            Some(Meaning::Attribute(strings)) => self.attribute(name, &member.value, strings, body),
            None => self.attribute(name, &member.value, Strings::Plain, body),
        }
    }

    fn name(&self, member: &Member) -> Name {
        Name { text: member.name.as_str().into(), span: self.place(member.start, member.end) }
    }

    fn attribute(&mut self, name: Name, json: &Json, strings: Strings, body: &mut Body) {
        let value = self.expression(json, strings);
        body.attributes.push(Attribute { name, value });
    }

    fn code(&mut self, name: Name, json: &Json, body: &mut Body) {
        let JsonNode::String(text) = &json.node else {
            return self.attribute(name, json, Strings::Plain, body);
        };
        let base = u32::try_from(json.start + 1).unwrap_or(0);
        let input = Input { text, file: self.file, base };
        if let Some(value) = syntax::expression(input, self.complaints) {
            body.attributes.push(Attribute { name, value });
        }
    }

    /// Labels first, as names of nested objects; a list at any place means several.
    fn blocks(&mut self, labelled: &mut Labelled, json: &Json, body: &mut Body) {
        match &json.node {
            JsonNode::Array(items) => {
                for item in items {
                    self.blocks(labelled, item, body);
                }
            }
            JsonNode::Null => {}
            JsonNode::Object(members) if labelled.found.len() < labelled.labels => {
                for member in members {
                    labelled.found.push(self.name(member));
                    self.blocks(labelled, &member.value, body);
                    labelled.found.pop();
                }
            }
            JsonNode::Object(_) => {
                let inner = self.body(json, specific(labelled.content, &labelled.found));
                let open = self.span(json).at_start();
                let (kind, labels) = (labelled.kind.clone(), labelled.found.clone());
                body.blocks.push(Block { kind, labels, open, body: inner });
            }
            JsonNode::Bool(_) | JsonNode::Number(_) | JsonNode::String(_) => {
                let detail = format!(
                    "Either a JSON object or a JSON array is required, to define \"{}\" blocks.",
                    labelled.kind.text
                );
                self.complaints.add(self.span(json), "Incorrect JSON value type", detail);
            }
        }
    }

    /// A JSON value as an expression.
    pub(crate) fn expression(&mut self, json: &Json, strings: Strings) -> Expression {
        let span = self.span(json);
        let node = match &json.node {
            JsonNode::Null => Node::Literal(Value::NULL),
            JsonNode::Bool(truth) => Node::Literal(Value::Bool(*truth)),
            JsonNode::Number(number) => Node::Literal(Value::Number(number.clone())),
            JsonNode::String(text)
                if strings == Strings::Templates && text.contains(['$', '%']) =>
            {
                let base = u32::try_from(json.start + 1).unwrap_or(0);
                let input = Input { text, file: self.file, base };
                match syntax::template(input, self.complaints) {
                    Some(expression) => return Expression { span, ..expression },
                    None => Node::Literal(Value::NULL),
                }
            }
            JsonNode::String(text) => Node::Literal(Value::string(text.as_str())),
            JsonNode::Array(items) => {
                Node::Tuple(items.iter().map(|item| self.expression(item, strings)).collect())
            }
            JsonNode::Object(members) => {
                let items = members.iter().map(|member| {
                    let key = self.key(member, strings);
                    (key, self.expression(&member.value, strings))
                });
                Node::Object(items.collect())
            }
        };
        Expression { node, span, height: 1 }
    }

    fn key(&mut self, member: &Member, strings: Strings) -> ObjectKey {
        if strings == Strings::Plain || !member.name.contains(['$', '%']) {
            return ObjectKey::Name(self.name(member));
        }
        let node = JsonNode::String(member.name.clone());
        let json = Json { node, start: member.start, end: member.end };
        ObjectKey::Expression(self.expression(&json, strings))
    }
}

fn meaning(content: Content, name: &str) -> Option<Meaning> {
    const TEMPLATES: Meaning = Meaning::Attribute(Strings::Templates);
    match content {
        Content::Attributes(strings) => Some(Meaning::Attribute(strings)),
        Content::Table(table) if name == "dynamic" && table.find("dynamic").is_none() => {
            Some(Meaning::Blocks(1, Content::Dynamic(table)))
        }
        Content::Table(table) => {
            let kind = table.find(name)?.kind;
            if !kind.is_block() || kind.is_attribute() {
                return Some(TEMPLATES);
            }
            Some(match kind.table() {
                Some(inner) => Meaning::Blocks(kind.labels(), Content::Table(inner)),
                None => Meaning::Blocks(0, Content::Attributes(Strings::Templates)),
            })
        }
        Content::File => Some(match name {
            "job" => Meaning::Blocks(1, Content::Table(&JOB)),
            "variable" => Meaning::Blocks(1, Content::Variable),
            "variables" => Meaning::Blocks(0, Content::Attributes(Strings::Plain)),
            "locals" => Meaning::Blocks(0, Content::Attributes(Strings::Templates)),
            _ => return None,
        }),
        Content::Variable => Some(match name {
            "type" => Meaning::Code,
            "validation" => Meaning::Blocks(0, Content::Attributes(Strings::Templates)),
            _ => Meaning::Attribute(Strings::Plain),
        }),
        Content::Dynamic(_) => None,
        Content::Generator(table) => Some(match (name, table) {
            ("content", Some(table)) => Meaning::Blocks(0, Content::Table(table)),
            ("content", None) => Meaning::Blocks(0, Content::Attributes(Strings::Templates)),
            ("iterator", _) => Meaning::Code,
            _ => TEMPLATES,
        }),
    }
}

/// What a `dynamic` block contains follows from its label.
fn specific(content: Content, labels: &[Name]) -> Content {
    match (content, labels.last()) {
        (Content::Dynamic(table), Some(label)) => {
            Content::Generator(table.find(&label.text).and_then(|field| field.kind.table()))
        }
        _ => content,
    }
}
