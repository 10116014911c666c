//! ◆ `${…}` in what a job says about a task, filled in on its node.
//!
//! Nomad: a name that nobody knows stays as it is, so a shell's `${HOME}` survives.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::model::Node;

/// What names mean on this node, for this task.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The node.
    pub node: &'a Node,
    /// Its region.
    pub region: &'a str,
    /// The task's environment as far as it is known.
    pub env: &'a BTreeMap<String, String>,
}

impl Names<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        let node = self.node;
        match name {
            "node.unique.id" => Some(node.id.as_str()),
            "node.unique.name" => Some(&node.name),
            "node.datacenter" => Some(&node.datacenter),
            "node.class" => Some(&node.node_class),
            "node.pool" => Some(&node.node_pool),
            "node.region" => Some(self.region),
            _ => {
                if let Some(attribute) = name.strip_prefix("attr.") {
                    return node.attributes.get(attribute).map(String::as_str);
                }
                if let Some(key) = name.strip_prefix("meta.") {
                    return node.meta.get(key).map(String::as_str);
                }
                let key = name
                    .strip_prefix("env[\"")
                    .and_then(|rest| rest.strip_suffix("\"]"))
                    .or_else(|| name.strip_prefix("env."))
                    .unwrap_or(name);
                self.env.get(key).map(String::as_str)
            }
        }
    }

    /// `text` with every known name filled in, once: what a value contains is not filled in again.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            filled.push_str(before);
            let Some(end) = from.find('}') else {
                rest = from;
                break;
            };
            let (whole, after) = from.split_at(end + 1);
            let name = whole.get(2..end).unwrap_or_default().trim();
            if let Some(value) = self.value(name) {
                filled.push_str(value);
                rest = after;
            } else {
                // It may hold another opening: only the two characters are certain to be text.
                filled.push_str("${");
                rest = from.get(2..).unwrap_or_default();
            }
        }
        filled.push_str(rest);
        filled
    }

    /// Every text in `value` filled in; keys stay.
    pub fn fill_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill(text)),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.fill_value(item)).collect())
            }
            Value::Object(map) => Value::Object(self.fill_map(map)),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// Every text in `map` filled in; keys stay.
    pub fn fill_map(&self, map: &Map<String, Value>) -> Map<String, Value> {
        map.iter().map(|(key, value)| (key.clone(), self.fill_value(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn node() -> Node {
        let mut node = Node { name: "box".to_owned(), ..Node::default() };
        node.attributes.insert("kernel.name".to_owned(), "linux".to_owned());
        node.meta.insert("rack".to_owned(), "r1".to_owned());
        node
    }

    fn fill(text: &str) -> String {
        let env = BTreeMap::from([
            ("NOMAD_PORT_http".to_owned(), "8080".to_owned()),
            ("my-var".to_owned(), "${attr.kernel.name}".to_owned()),
        ]);
        Names { node: &node(), region: "global", env: &env }.fill(text)
    }

    #[test]
    fn known_names_are_filled_in_and_unknown_ones_stay() {
        let cases = [
            ("${node.unique.name}/${node.region}", "box/global"),
            ("${attr.kernel.name}-${meta.rack}", "linux-r1"),
            ("--port=${NOMAD_PORT_http}", "--port=8080"),
            ("${env[\"my-var\"]}", "${attr.kernel.name}"),
            ("${HOME} ${attr.nope}", "${HOME} ${attr.nope}"),
            ("${a${NOMAD_PORT_http}}", "${a8080}"),
            ("${", "${"),
            ("${}é${", "${}é${"),
        ];
        for (text, filled) in cases {
            assert_eq!(fill(text), filled, "{text}");
        }
    }

    #[test]
    fn texts_are_filled_in_wherever_they_are_in_a_config() {
        let env = BTreeMap::new();
        let node = node();
        let names = Names { node: &node, region: "global", env: &env };
        let config = json!({"args": ["${node.region}", {"x": "${meta.rack}"}], "n": 1});
        assert_eq!(names.fill_value(&config), json!({"args": ["global", {"x": "r1"}], "n": 1}));
    }

    proptest! {
        #[test]
        fn text_without_known_names_is_not_changed(text in "[a-z${}. é]{0,40}") {
            let env = BTreeMap::new();
            let node = Node::default();
            let names = Names { node: &node, region: "", env: &env };
            if !text.contains("node.") {
                prop_assert_eq!(names.fill(&text), text);
            }
        }
    }
}
