//! ◆ The class of a node: nodes of one class can run the same jobs, so each class is looked at once.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::model::Node;

/// `v1:` and a number that depends on everything a constraint can ask about, but on nothing that is unique to
/// the node.
pub fn computed_class(node: &Node) -> String {
    let mut text = String::new();
    let mut add = |kind: &str, key: &str, value: &str| {
        // The lengths keep apart what concatenation would join. Writing to a String cannot fail.
        write!(text, "{kind}:{}:{key}:{}:{value};", key.len(), value.len()).unwrap_or_default();
    };
    add("node", "datacenter", &node.datacenter);
    add("node", "class", &node.node_class);
    add("node", "pool", &node.node_pool);
    for (key, value) in node.attributes.iter().filter(|(key, _)| !is_unique(key)) {
        add("attr", key, value);
    }
    for (key, value) in node.meta.iter().filter(|(key, _)| !is_unique(key)) {
        add("meta", key, value);
    }
    for device in &node.node_resources.devices {
        add("device", &format!("{}/{}/{}", device.vendor, device.kind, device.name), "");
    }
    let digest = Sha256::digest(text.as_bytes());
    let number = digest.iter().take(8).fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
    format!("v1:{number}")
}

fn is_unique(key: &str) -> bool {
    key.starts_with("unique.") || key == "nomad.advertise.address"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unique_does_not_make_a_class() {
        let mut node = Node { datacenter: "dc1".to_owned(), ..Node::default() };
        let class = computed_class(&node);
        node.attributes.insert("unique.hostname".to_owned(), "a".to_owned());
        node.id = "other".into();
        assert_eq!(computed_class(&node), class);
        node.attributes.insert("kernel.name".to_owned(), "linux".to_owned());
        assert_ne!(computed_class(&node), class);
    }
}
