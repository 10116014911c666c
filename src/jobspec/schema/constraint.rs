//! ◆ `constraint`, `affinity`, `spread`. (table)

use serde_json::Value;

use super::Kind::{Label, LooseBool, LooseNumber, LooseText, Many, MaybeWhole, Text, Whole};
use super::{Field, INT8, Object, Table, UINT8, field, table};

const COMMON: [Field; 3] = [
    field("attribute", "LTarget", LooseText),
    field("value", "RTarget", LooseText),
    field("operator", "Operand", LooseText),
];

pub(super) static CONSTRAINT: Table = Table {
    fields: &[
        COMMON[0],
        COMMON[1],
        COMMON[2],
        field("version", "@version", LooseText),
        field("semver", "@semver", LooseText),
        field("regexp", "@regexp", LooseText),
        field("set_contains", "@set_contains", LooseText),
        field("distinct_hosts", "@distinct_hosts", LooseBool),
        field("distinct_property", "@distinct_property", LooseText),
        // Nomad: these are accepted and forgotten.
        field("set_contains_all", "@forgotten_all", LooseText),
        field("set_contains_any", "@forgotten_any", LooseText),
        field("is_set", "@forgotten_set", LooseText),
        field("is_not_set", "@forgotten_not_set", LooseText),
    ],
    finish: Some(|constraint| {
        shorthands(constraint, &["version", "semver", "regexp", "set_contains"]);
        if let Some(Value::Bool(wanted)) = constraint.shift_remove("@distinct_hosts") {
            // Nomad: `false` is kept as a constraint with that value.
            set(constraint, "Operand", "distinct_hosts");
            set(constraint, "RTarget", if wanted { "true" } else { "false" });
        }
        let property = take(constraint, "@distinct_property");
        if !property.is_empty() {
            set(constraint, "Operand", "distinct_property");
            set(constraint, "LTarget", &property);
        }
        constraint.retain(|name, _| !name.starts_with('@'));
        default_operator(constraint);
    }),
};

pub(super) static AFFINITY: Table = Table {
    fields: &[
        COMMON[0],
        COMMON[1],
        COMMON[2],
        field("weight", "Weight", LooseNumber),
        field("version", "@version", LooseText),
        field("semver", "@semver", LooseText),
        field("regexp", "@regexp", LooseText),
        field("set_contains_any", "@set_contains_any", LooseText),
        field("set_contains_all", "@set_contains_all", LooseText),
        field("set_contains", "@set_contains", LooseText),
    ],
    finish: Some(|affinity| {
        let order =
            ["version", "semver", "regexp", "set_contains_any", "set_contains_all", "set_contains"];
        shorthands(affinity, &order);
        default_operator(affinity);
    }),
};

/// The last shorthand that is given wins.
fn shorthands(object: &mut Object, order: &[&str]) {
    for operator in order {
        let value = take(object, &format!("@{operator}"));
        if !value.is_empty() {
            set(object, "Operand", operator);
            set(object, "RTarget", &value);
        }
    }
}

fn default_operator(object: &mut Object) {
    if object.get("Operand").and_then(Value::as_str).unwrap_or("").is_empty() {
        set(object, "Operand", "=");
    }
}

fn set(object: &mut Object, name: &str, value: &str) {
    object.insert(name.to_owned(), Value::String(value.to_owned()));
}

fn take(object: &mut Object, name: &str) -> String {
    match object.shift_remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    }
}

pub(super) static SPREAD: Table = table(&[
    field("attribute", "Attribute", Text),
    field("weight", "Weight", MaybeWhole(INT8)),
    field("target", "SpreadTarget", Many(&SPREAD_TARGET)),
]);

static SPREAD_TARGET: Table =
    table(&[field("", "Value", Label(0)), field("percent", "Percent", Whole(UINT8))]);
