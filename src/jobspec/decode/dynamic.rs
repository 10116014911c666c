//! ◆ `dynamic "name" { for_each … content { … } }`: blocks made from collections.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Decoder, Instance};
use crate::jobspec::eval::Scope;
use crate::jobspec::schema::Table;
use crate::jobspec::source::Span;
use crate::jobspec::syntax::{Attribute, Block, Body, Expression, Name, Node};
use crate::jobspec::value::convert::convert;
use crate::jobspec::value::{Type, Value};

/// What is done with each generated block.
type Each<'a> = dyn FnMut(&mut Decoder<'_, '_>, &Instance<'_>, &Scope<'_>) + 'a;

/// The pieces of a `dynamic` block.
struct Generator<'b> {
    kind: &'b Name,
    for_each: &'b Expression,
    iterator: Rc<str>,
    labels: Option<&'b Expression>,
    content: &'b Body,
}

impl Decoder<'_, '_> {
    pub(super) fn dynamic(
        &mut self,
        table: &'static Table,
        block: &Block,
        scope: &Scope<'_>,
        each: &mut Each<'_>,
    ) {
        let Some(generator) = self.generator(table, block) else { return };
        let Ok(collection) = self.evaluator.evaluate(generator.for_each, scope) else { return };
        let Some(pairs) = self.pairs(&collection, generator.for_each.span) else { return };
        for (key, value) in pairs {
            if self.evaluator.spend(10, generator.for_each.span).is_err() {
                return;
            }
            let entries = BTreeMap::from([("key".into(), key), ("value".into(), value)]);
            let item = self.evaluator.sized(Value::object(entries), generator.for_each.span);
            let Ok(item) = item else { return };
            let mut inner = scope.child();
            inner.set(Rc::clone(&generator.iterator), item);
            let Some(labels) = self.labels(generator.labels, &inner) else { return };
            let instance = Instance {
                kind: generator.kind,
                labels: &labels,
                definition: block.definition(),
                open: block.open,
                body: generator.content,
            };
            each(self, &instance, &inner);
        }
    }

    fn pairs(&mut self, collection: &Value, span: Span) -> Option<Vec<(Value, Value)>> {
        let pairs = collection.pairs();
        if pairs.is_none() {
            let detail = if collection.is_null() {
                "Cannot use a null value in for_each.".to_owned()
            } else {
                format!(
                    "Cannot use a {} value in for_each. An iterable collection is required.",
                    collection.kind_name()
                )
            };
            self.complain(span, "Invalid dynamic for_each value", detail);
        }
        pairs
    }

    fn generator<'b>(&mut self, table: &'static Table, block: &'b Block) -> Option<Generator<'b>> {
        let [kind] = block.labels.as_slice() else {
            let detail =
                "A dynamic block has exactly one label: the type of the blocks to generate.";
            self.complain(block.definition(), "Invalid dynamic block", detail);
            return None;
        };
        if !self.block_is_known(table, kind) {
            return None;
        }
        let expected = table.find(&kind.text).map_or(0, |field| field.kind.labels());
        let body = &block.body;
        let find = |name: &str| -> Option<&'b Attribute> {
            body.attributes.iter().find(|attribute| attribute.name.text.as_ref() == name)
        };
        for attribute in &body.attributes {
            if !matches!(attribute.name.text.as_ref(), "for_each" | "iterator" | "labels") {
                let name = &attribute.name.text;
                let detail = format!("An argument named \"{name}\" is not expected here.");
                self.complain(attribute.name.span, "Unsupported argument", detail);
            }
        }
        let (for_each, labels) = (find("for_each"), find("labels"));
        if for_each.is_none() {
            self.missing(body, "for_each");
        }
        if expected > 0 && labels.is_none() {
            self.missing(body, "labels");
        }
        let content = self.content(body);
        let iterator = match find("iterator") {
            None => Rc::clone(&kind.text),
            Some(attribute) => self.iterator(&attribute.value)?,
        };
        let labels = labels.map(|attribute| &attribute.value);
        if expected > 0 && labels.is_none() {
            return None;
        }
        Some(Generator { kind, for_each: &for_each?.value, iterator, labels, content: content? })
    }

    fn content<'b>(&mut self, body: &'b Body) -> Option<&'b Body> {
        let mut content = None;
        for block in &body.blocks {
            if block.kind.text.as_ref() != "content" {
                let detail =
                    format!("Blocks of type \"{}\" are not expected here.", block.kind.text);
                self.complain(block.kind.span, "Unsupported block type", detail);
            } else if content.is_some() {
                let detail = "Only one nested content block is allowed for each dynamic block.";
                self.complain(block.definition(), "Extraneous dynamic content block", detail);
            } else {
                content = Some(&block.body);
            }
        }
        if content.is_none() {
            let detail = "A dynamic block must have a nested block of type \"content\" to describe the body of \
                          each generated block.";
            self.complain(body.missing, "Missing dynamic content block", detail);
        }
        content
    }

    fn iterator(&mut self, expression: &Expression) -> Option<Rc<str>> {
        match &expression.node {
            Node::Traversal { root, steps, .. } if steps.is_empty() => Some(Rc::clone(&root.text)),
            _ => {
                let detail = "A single name is expected here, without quotes.";
                self.complain(expression.span, "Invalid dynamic iterator", detail);
                None
            }
        }
    }

    fn labels(&mut self, labels: Option<&Expression>, scope: &Scope<'_>) -> Option<Vec<Name>> {
        let Some(expression) = labels else { return Some(Vec::new()) };
        let value = self.evaluator.evaluate(expression, scope).ok()?;
        match convert(&value, &Type::string_list()) {
            Ok(list) => {
                let names: Option<Vec<Name>> = list
                    .items()?
                    .iter()
                    .map(|item| match item {
                        Value::String(text) => {
                            Some(Name { text: Rc::clone(text), span: expression.span })
                        }
                        _ => None,
                    })
                    .collect();
                if names.is_none() {
                    let detail = "Cannot use a null value as a dynamic block label.";
                    self.complain(expression.span, "Invalid dynamic block label", detail);
                }
                names
            }
            Err(why) => {
                let detail = format!("Cannot use this value as dynamic block labels: {why}.");
                self.complain(expression.span, "Invalid dynamic block label", detail);
                None
            }
        }
    }
}
