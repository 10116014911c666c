//! ◆ Bodies to JSON objects, as the tables say: known names, right kinds, required and repeated things, `dynamic`.

pub(super) mod attribute;
mod dynamic;
mod free;

use std::collections::BTreeMap;

use serde_json::Value as Out;

use super::eval::{Evaluator, Scope, did_you_mean};
use super::schema::{Field, Kind, Object, Table};
use super::source::{Span, Texts};
use super::syntax::{Attribute, Block, Body, Name};

/// Most blocks in one job, generated ones included.
const MAX_BLOCKS: usize = 10_000;

/// Reads bodies by tables. Everything wrong ends up in the evaluator's complaints.
#[derive(Debug)]
pub(super) struct Decoder<'e, 'h> {
    /// Computes attributes.
    pub evaluator: &'e mut Evaluator<'h>,
    /// The texts of this run, for naming places in complaints.
    pub texts: &'e Texts,
    blocks: usize,
}

/// A block on its way, written or generated.
struct Instance<'b> {
    kind: &'b Name,
    labels: &'b [Name],
    definition: Span,
    open: Span,
    body: &'b Body,
}

/// Where the blocks are that may stand in a body only once.
type Seen = BTreeMap<&'static str, Span>;

/// An object that is being filled with blocks.
struct Target<'b> {
    table: &'static Table,
    object: Object,
    seen: Seen,
    attributes: BTreeMap<&'b str, &'b Attribute>,
}

impl<'e, 'h> Decoder<'e, 'h> {
    /// With nothing read yet.
    pub(super) fn new(evaluator: &'e mut Evaluator<'h>, texts: &'e Texts) -> Self {
        Self { evaluator, texts, blocks: 0 }
    }

    /// The object that a body describes. It is complete even if something was complained about.
    pub(super) fn body(
        &mut self,
        table: &'static Table,
        body: &Body,
        labels: &[Name],
        scope: &Scope<'_>,
    ) -> Object {
        let mut object = defaults(table);
        for field in table.fields {
            if let Kind::Label(index) = field.kind
                && let Some(label) = labels.get(index)
            {
                object.insert(field.json.to_owned(), Out::String(label.text.to_string()));
            }
        }
        for attribute in &body.attributes {
            self.attribute(table, attribute, scope, &mut object);
        }
        self.require(table, body);
        let attributes = body.attributes.iter().map(|a| (a.name.text.as_ref(), a)).collect();
        let mut target = Target { table, object, seen: Seen::new(), attributes };
        for block in &body.blocks {
            self.block(&mut target, block, scope);
        }
        let mut object = target.object;
        if let Some(finish) = table.finish {
            finish(&mut object);
        }
        object
    }

    fn complain(&mut self, span: Span, summary: impl Into<String>, detail: impl Into<String>) {
        self.evaluator.complaints.add(span, summary, detail);
    }

    /// A place in words, for complaints that name a second one.
    fn place(&self, span: Span) -> String {
        if self.evaluator.complaints.is_full() {
            return String::new();
        }
        self.texts.locate(span).to_string()
    }

    /// ` Did you mean "…"?`, while somebody may still read it.
    fn hint<'a>(&self, name: &str, known: impl Iterator<Item = &'a str>) -> String {
        if self.evaluator.complaints.is_full() { String::new() } else { did_you_mean(name, known) }
    }

    fn require(&mut self, table: &Table, body: &Body) {
        for field in table.fields.iter().filter(|field| field.required) {
            if !body.attributes.iter().any(|attribute| attribute.name.text.as_ref() == field.name) {
                self.missing(body, field.name);
            }
        }
    }

    fn missing(&mut self, body: &Body, name: &str) {
        let detail = format!("The argument \"{name}\" is required, but no definition was found.");
        self.complain(body.missing, "Missing required argument", detail);
    }

    fn attribute(
        &mut self,
        table: &'static Table,
        attribute: &Attribute,
        scope: &Scope<'_>,
        object: &mut Object,
    ) {
        let name = attribute.name.text.as_ref();
        match table.find(name) {
            Some(field) if field.kind.is_attribute() => {
                if let Some(value) = self.attribute_value(field, &attribute.value, scope) {
                    object.insert(field.json.to_owned(), value);
                }
            }
            found => {
                let mut detail = format!("An argument named \"{name}\" is not expected here.");
                if found.is_some() {
                    let hint = format!(" Did you mean to define a block of type \"{name}\"?");
                    detail += &hint;
                } else {
                    let known = table.fields.iter().filter(|field| field.kind.is_attribute());
                    detail += &self.hint(name, known.map(|field| field.name));
                }
                self.complain(attribute.name.span, "Unsupported argument", detail);
            }
        }
    }

    fn block(&mut self, target: &mut Target<'_>, block: &Block, scope: &Scope<'_>) {
        let table = target.table;
        if block.kind.text.as_ref() == "dynamic" && table.find("dynamic").is_none() {
            self.dynamic(table, block, scope, &mut |decoder, instance, scope| {
                decoder.instance(target, instance, scope);
            });
            return;
        }
        if !self.block_is_known(table, &block.kind) {
            return;
        }
        // An attribute of the same name is reported once, at the block.
        if let Some(twin) = target.attributes.get(block.kind.text.as_ref()) {
            let name = &block.kind.text;
            let place = self.place(twin.name.span.to(twin.value.span));
            let detail = format!(
                "{name} may not be defined more than once. Another definition is defined at {place}."
            );
            self.complain(block.definition(), format!("Duplicate {name} block"), detail);
            return;
        }
        let instance = Instance {
            kind: &block.kind,
            labels: &block.labels,
            definition: block.definition(),
            open: block.open,
            body: &block.body,
        };
        self.instance(target, &instance, scope);
    }

    fn block_is_known(&mut self, table: &'static Table, kind: &Name) -> bool {
        let name = kind.text.as_ref();
        let found = table.find(name);
        if found.is_some_and(|field| field.kind.is_block()) {
            return true;
        }
        let mut detail = format!("Blocks of type \"{name}\" are not expected here.");
        if found.is_some() {
            let hint = format!(
                " Did you mean to define argument \"{name}\"? If so, use the equals sign to assign it a value."
            );
            detail += &hint;
        } else {
            let known = table.fields.iter().filter(|field| field.kind.is_block());
            detail += &self.hint(name, known.map(|field| field.name));
        }
        self.complain(kind.span, "Unsupported block type", detail);
        false
    }

    /// One block, written or generated, into the object of its parent.
    fn instance(&mut self, target: &mut Target<'_>, instance: &Instance<'_>, scope: &Scope<'_>) {
        self.blocks += 1;
        if self.blocks > MAX_BLOCKS {
            let detail = format!("A job may have at most {MAX_BLOCKS} blocks.");
            self.complain(instance.kind.span, "Too many blocks", detail);
            return;
        }
        let Some(field) = target.table.find(&instance.kind.text) else { return };
        if !self.labels_fit(field, instance) || self.repeats(field, instance, &mut target.seen) {
            return;
        }
        let (body, labels) = (instance.body, instance.labels);
        let place = target.object.entry(field.json).or_insert(Out::Null);
        let value = match field.kind {
            Kind::One(inner) | Kind::Rare(inner) => {
                Out::Object(self.body(inner, body, labels, scope))
            }
            Kind::Many(inner) => {
                let value = Out::Object(self.body(inner, body, labels, scope));
                return push(place, value);
            }
            Kind::Named(inner) => {
                let value = Out::Object(self.body(inner, body, labels, scope));
                if let (Some(label), Some(map)) = (labels.first(), named(place)) {
                    map.insert(label.text.to_string(), value);
                }
                return;
            }
            Kind::TextBlock | Kind::TextBlockOrMap => Out::Object(self.text_block(body, scope)),
            Kind::TextsBlock => Out::Object(self.texts_block(body, scope)),
            Kind::Free => Out::Object(self.free(body, scope)),
            Kind::GroupScaling => Out::Object(self.group_scaling(body, scope)),
            Kind::TaskScaling => match self.task_scaling(instance, scope, &mut target.seen) {
                Some(policy) => return push(place, Out::Object(policy)),
                None => return,
            },
            Kind::Label(_)
            | Kind::Text
            | Kind::MaybeText
            | Kind::Bool
            | Kind::MaybeBool
            | Kind::Whole(_)
            | Kind::MaybeWhole(_)
            | Kind::Duration
            | Kind::MaybeDuration
            | Kind::Texts
            | Kind::Wholes(_)
            | Kind::TextMap
            | Kind::LooseText
            | Kind::LooseNumber
            | Kind::LooseBool
            | Kind::Bytes => return,
        };
        *place = value;
    }

    fn labels_fit(&mut self, field: &Field, instance: &Instance<'_>) -> bool {
        let (expected, given) = (field.kind.labels(), instance.labels.len());
        let name = field.name;
        if given < expected {
            let detail = format!("All {name} blocks must have {expected} labels (name).");
            self.complain(instance.open, format!("Missing name for {name}"), detail);
        } else if let Some(extra) = instance.labels.get(expected) {
            let detail = match expected {
                0 => format!("No labels are expected for {name} blocks."),
                _ => format!("Only {expected} labels (name) are expected for {name} blocks."),
            };
            self.complain(extra.span, format!("Extraneous label for {name}"), detail);
        }
        given == expected
    }

    /// Complains if a block that may stand only once stands here again.
    fn repeats(&mut self, field: &Field, instance: &Instance<'_>, seen: &mut Seen) -> bool {
        if matches!(field.kind, Kind::Many(_) | Kind::Named(_) | Kind::TaskScaling) {
            return false;
        }
        let Some(earlier) = seen.insert(field.json, instance.definition) else { return false };
        let name = field.name;
        let place = self.place(earlier);
        let detail = format!("Only one {name} block is allowed. Another was defined at {place}.");
        self.complain(instance.definition, format!("Duplicate {name} block"), detail);
        true
    }

    fn group_scaling(&mut self, body: &Body, scope: &Scope<'_>) -> Object {
        let mut policy = self.body(&super::schema::SCALING, body, &[], scope);
        if text_of(&policy, "Type").is_empty() {
            policy.insert("Type".to_owned(), Out::from("horizontal"));
        }
        let given = |name: &str| body.attributes.iter().find(|a| a.name.text.as_ref() == name);
        if given("max").is_none() {
            self.missing(body, "max");
        }
        if let Some(kind) = given("type")
            && text_of(&policy, "Type") != "horizontal"
        {
            let detail = format!(
                "task group scaling policy had invalid type: {:?}",
                text_of(&policy, "Type")
            );
            self.complain(kind.value.span, "Invalid group scaling type", detail);
        }
        policy
    }

    fn task_scaling(
        &mut self,
        instance: &Instance<'_>,
        scope: &Scope<'_>,
        seen: &mut Seen,
    ) -> Option<Object> {
        let label = instance.labels.first()?;
        let (short, kind) = match label.text.to_lowercase().as_str() {
            "cpu" => ("cpu", "vertical_cpu"),
            "mem" => ("mem", "vertical_mem"),
            _ => {
                let detail = "scaling policy name must be \"cpu\" or \"mem\"";
                self.complain(label.span, "Invalid scaling policy name", detail);
                return None;
            }
        };
        if let Some(earlier) = seen.insert(kind, instance.definition) {
            let place = self.place(earlier);
            let detail = format!(
                "Only one scaling {short} block is allowed. Another was defined at {place}."
            );
            self.complain(
                instance.definition,
                format!("Duplicate scaling {short:?} block"),
                detail,
            );
            return None;
        }
        let mut policy = self.body(&super::schema::SCALING, instance.body, &[], scope);
        match text_of(&policy, "Type") {
            "" => {
                policy.insert("Type".to_owned(), Out::from(kind));
            }
            own if own != kind => {
                let detail = format!("Invalid policy type, expected {kind:?} but found {own:?}");
                self.complain(instance.definition, "Invalid scaling policy type", detail);
                return None;
            }
            _ => {}
        }
        Some(policy)
    }
}

fn text_of<'o>(object: &'o Object, name: &str) -> &'o str {
    object.get(name).and_then(Out::as_str).unwrap_or("")
}

fn push(place: &mut Out, value: Out) {
    match place {
        Out::Array(list) => list.push(value),
        _ => *place = Out::Array(vec![value]),
    }
}

fn named(place: &mut Out) -> Option<&mut Object> {
    if !place.is_object() {
        *place = Out::Object(Object::new());
    }
    place.as_object_mut()
}

/// An object in which nothing is given.
pub(super) fn defaults(table: &Table) -> Object {
    let mut object = Object::new();
    for field in table.fields {
        let value = match field.kind {
            Kind::Text | Kind::LooseText | Kind::Label(_) => Out::from(""),
            Kind::Bool => Out::from(false),
            Kind::Whole(_) | Kind::Duration => Out::from(0),
            Kind::Rare(_) => continue,
            Kind::MaybeText
            | Kind::MaybeBool
            | Kind::MaybeWhole(_)
            | Kind::MaybeDuration
            | Kind::Texts
            | Kind::Wholes(_)
            | Kind::TextMap
            | Kind::TextBlock
            | Kind::TextBlockOrMap
            | Kind::TextsBlock
            | Kind::Free
            | Kind::One(_)
            | Kind::Many(_)
            | Kind::Named(_)
            | Kind::GroupScaling
            | Kind::TaskScaling
            | Kind::LooseNumber
            | Kind::LooseBool
            | Kind::Bytes => Out::Null,
        };
        // What is only a step on the way stands there when it is given.
        if !(field.json.starts_with('@') && value == "") {
            object.insert(field.json.to_owned(), value);
        }
    }
    object
}
