//! ◆ Networks and ports.

use serde_json::Value;

use super::ObjectDiff;
use super::field::{Flat, block, deep, named, set_of, simple};

/// Networks have no names: one that changed is deleted and added.
pub(super) fn networks(old: &Value, new: &Value) -> Vec<ObjectDiff> {
    set_of(old, new, network)
}

fn network(old: &Value, new: &Value) -> Option<ObjectDiff> {
    let fields = |value: &Value| named(value, &[("Hostname", ""), ("Mode", "")]);
    block("Network", (old, new), fields, || {
        let mut found = set_of(&old["ReservedPorts"], &new["ReservedPorts"], |old, new| {
            simple("Static Port", &fixed(old), &fixed(new))
        });
        found.extend(set_of(&old["DynamicPorts"], &new["DynamicPorts"], |old, new| {
            simple("Dynamic Port", &dynamic(old), &dynamic(new))
        }));
        found.extend(simple("DNS", &dns(&old["DNS"]), &dns(&new["DNS"])));
        let arguments = |value: &Value| deep(&value["CNI"]["Args"]);
        found.extend(simple("CNIConfig", &arguments(old), &arguments(new)));
        found
    })
}

fn fixed(port: &Value) -> Flat {
    let fields = [
        ("HostNetwork", ""),
        ("IgnoreCollision", "false"),
        ("Label", ""),
        ("To", "0"),
        ("Value", "0"),
    ];
    named(port, &fields)
}

fn dynamic(port: &Value) -> Flat {
    named(port, &[("HostNetwork", ""), ("Label", ""), ("To", "0")])
}

/// Lists are shown joined, and empty ones not at all.
fn dns(value: &Value) -> Flat {
    let mut flat = Flat::new();
    for name in ["Options", "Searches", "Servers"] {
        let texts: Vec<&str> =
            value[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !texts.is_empty() {
            flat.insert(name.to_owned(), texts.join(","));
        }
    }
    flat
}
