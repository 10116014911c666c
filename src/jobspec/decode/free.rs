//! ◆ Blocks without a table: a driver's `config`, a scaling `policy`.
//!
//! Nomad: a nested block becomes a list of maps, and so does an object written in place, but not an object that comes from
//! anywhere else. A null at the top removes its key. `dynamic` is a name like any other here.

use std::collections::BTreeMap;

use serde_json::Value as Out;

use super::Decoder;
use super::attribute::{free_json, is_object};
use crate::jobspec::eval::Scope;
use crate::jobspec::schema::Object;
use crate::jobspec::syntax::{Block, Body};

impl Decoder<'_, '_> {
    pub(super) fn free(&mut self, body: &Body, scope: &Scope<'_>) -> Object {
        let mut object = self.free_object(body, scope);
        object.retain(|_, value| !value.is_null());
        object
    }

    fn free_object(&mut self, body: &Body, scope: &Scope<'_>) -> Object {
        let mut object = Object::new();
        for attribute in &body.attributes {
            let Ok(value) = self.evaluator.evaluate(&attribute.value, scope) else { continue };
            let span = attribute.value.span;
            if self.evaluator.spend(value.nodes(), span).is_err() {
                continue;
            }
            let mut json = free_json(&value);
            if is_object(&attribute.value) && !body.from_json {
                json = Out::Array(vec![json]);
            }
            object.insert(attribute.name.text.to_string(), json);
        }
        let mut groups: BTreeMap<&str, Vec<&Block>> = BTreeMap::new();
        for block in &body.blocks {
            groups.entry(&block.kind.text).or_default().push(block);
        }
        for (name, blocks) in groups {
            let list = blocks.into_iter().map(|block| self.free_block(block, scope)).collect();
            object.insert(name.to_owned(), Out::Array(list));
        }
        object
    }

    fn free_block(&mut self, block: &Block, scope: &Scope<'_>) -> Out {
        let inner = Out::Object(self.free_object(&block.body, scope));
        block.labels.iter().rev().fold(inner, |inner, label| {
            let mut outer = Object::new();
            outer.insert(label.text.to_string(), Out::Array(vec![inner]));
            Out::Object(outer)
        })
    }
}
