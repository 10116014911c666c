//! ◆ Fields as text, and the shapes in which blocks are compared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{DiffType, FieldDiff, ObjectDiff};

/// Fields by name, as text.
pub(super) type Flat = BTreeMap<String, String>;

/// Whether fields that are the same are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Same {
    Shown,
    Hidden,
}

/// Fields that hold maps of text: each key is a field, `Meta[key]`.
const MAPS: [&str; 7] =
    ["CanaryMeta", "Config", "Env", "GetterHeaders", "GetterOptions", "Meta", "TaggedAddresses"];

/// The scalars and maps of an object, without some of them.
pub(super) fn flat(value: &Value, without: &[&str]) -> Flat {
    let mut flat = Flat::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        if without.contains(&name.as_str()) {
            continue;
        }
        match value {
            Value::Object(map) if MAPS.contains(&name.as_str()) => {
                for (key, value) in map {
                    deepen(&mut flat, format!("{name}[{key}]"), value);
                }
            }
            Value::Null | Value::Object(_) | Value::Array(_) => {}
            scalar => {
                flat.insert(name.clone(), text(scalar));
            }
        }
    }
    flat
}

/// Some scalars of an object; those that JSON leaves out are zero.
pub(super) fn named(value: &Value, fields: &[(&str, &str)]) -> Flat {
    if value.is_null() {
        return Flat::new();
    }
    let field = |(name, zero): &(&str, &str)| {
        let text = value.get(*name).map_or_else(|| (*zero).to_owned(), text);
        ((*name).to_owned(), text)
    };
    fields.iter().map(field).collect()
}

/// Everything in a free-form object: `args[0]`, `labels[0][k]`.
pub(super) fn deep(value: &Value) -> Flat {
    let mut flat = Flat::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        deepen(&mut flat, name.clone(), value);
    }
    flat
}

fn deepen(flat: &mut Flat, path: String, value: &Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                deepen(flat, format!("{path}[{key}]"), value);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                deepen(flat, format!("{path}[{at}]"), value);
            }
        }
        scalar => {
            flat.insert(path, text(scalar));
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One field; none when nothing is to be shown.
pub(super) fn field(name: &str, old: &str, new: &str, same: Same) -> Option<FieldDiff> {
    let kind = match (old, new) {
        (old, new) if old == new && same == Same::Hidden => return None,
        (old, new) if old == new => DiffType::None,
        ("", _) => DiffType::Added,
        (_, "") => DiffType::Deleted,
        (_, _) => DiffType::Edited,
    };
    let (old, new) = (old.to_owned(), new.to_owned());
    Some(FieldDiff { kind, name: name.to_owned(), old, new, annotations: Vec::new() })
}

/// All fields, by name.
pub(super) fn fields(old: &Flat, new: &Flat, same: Same) -> Vec<FieldDiff> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let value = |flat: &Flat, name: &String| flat.get(name).cloned().unwrap_or_default();
    names
        .into_iter()
        .filter_map(|name| field(name, &value(old, name), &value(new, name), same))
        .collect()
}

/// A block without blocks in it: its type follows from its fields. None when they are the same.
pub(super) fn simple(name: &str, old: &Flat, new: &Flat) -> Option<ObjectDiff> {
    let fields = fields(old, new, Same::Shown);
    let has = |kind: DiffType| fields.iter().any(|field| field.kind == kind);
    let (added, deleted) = (has(DiffType::Added), has(DiffType::Deleted));
    let kind = match (has(DiffType::Edited), added, deleted) {
        (true, _, _) | (_, true, true) => DiffType::Edited,
        (_, true, _) => DiffType::Added,
        (_, _, true) => DiffType::Deleted,
        (false, false, false) => return None,
    };
    Some(ObjectDiff { kind, name: name.to_owned(), fields, objects: Vec::new() })
}

/// [`simple`] of all scalars of two objects.
pub(super) fn simple_of(name: &str, old: &Value, new: &Value) -> Option<ObjectDiff> {
    simple(name, &flat(old, &[]), &flat(new, &[]))
}

/// A block with blocks in it: its type follows from whether it was and is there. None when it is the same.
pub(super) fn block(
    name: &str,
    (old, new): (&Value, &Value),
    flat: impl Fn(&Value) -> Flat,
    objects: impl FnOnce() -> Vec<ObjectDiff>,
) -> Option<ObjectDiff> {
    if old == new {
        return None;
    }
    let kind = kind(old, new);
    let fields = fields(&flat(old), &flat(new), Same::Shown);
    Some(ObjectDiff { kind, name: name.to_owned(), fields, objects: objects() })
}

/// What became of something that is not the same.
pub(super) fn kind(old: &Value, new: &Value) -> DiffType {
    match (old.is_null(), new.is_null()) {
        (true, true) => DiffType::None,
        (true, false) => DiffType::Added,
        (false, true) => DiffType::Deleted,
        (false, false) => DiffType::Edited,
    }
}

/// A list of texts without order. None when there is nothing to show.
pub(super) fn set(name: &str, old: &Value, new: &Value) -> Option<ObjectDiff> {
    let texts = |value: &Value| -> BTreeSet<String> {
        value.as_array().into_iter().flatten().map(text).collect()
    };
    let (old, new) = (texts(old), texts(new));
    let mut fields: Vec<FieldDiff> = Vec::new();
    for text in old.union(&new) {
        let is = |set: &BTreeSet<String>| if set.contains(text) { text.as_str() } else { "" };
        fields.extend(field(name, is(&old), is(&new), Same::Shown));
    }
    fields.sort_by(|a, b| (a.kind, &a.old, &a.new).cmp(&(b.kind, &b.old, &b.new)));
    let has = |kind: DiffType| fields.iter().any(|field| field.kind == kind);
    let kind = match (has(DiffType::Added), has(DiffType::Deleted)) {
        (true, true) => DiffType::Edited,
        (true, false) => DiffType::Added,
        (false, true) => DiffType::Deleted,
        (false, false) if fields.is_empty() => return None,
        (false, false) => DiffType::None,
    };
    Some(ObjectDiff { kind, name: name.to_owned(), fields, objects: Vec::new() })
}

/// The elements of a list.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Lists whose elements have no identity: those that are in one only are added or deleted.
pub(super) fn set_of(
    old: &Value,
    new: &Value,
    diff: impl Fn(&Value, &Value) -> Option<ObjectDiff>,
) -> Vec<ObjectDiff> {
    let (old, new) = (items(old), items(new));
    let mut found = Vec::new();
    for item in new.iter().filter(|item| !old.contains(item)) {
        found.extend(diff(&Value::Null, item));
    }
    for item in old.iter().filter(|item| !new.contains(item)) {
        found.extend(diff(item, &Value::Null));
    }
    found
}

/// Lists whose elements are the same when their keys are; of equal keys the last counts.
pub(super) fn keyed<'a>(
    old: impl IntoIterator<Item = (&'a str, &'a Value)>,
    new: impl IntoIterator<Item = (&'a str, &'a Value)>,
    diff: impl Fn(&Value, &Value) -> Option<ObjectDiff>,
) -> Vec<ObjectDiff> {
    let old: BTreeMap<&str, &Value> = old.into_iter().collect();
    let new: BTreeMap<&str, &Value> = new.into_iter().collect();
    let keys: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let value =
        |map: &BTreeMap<&str, &'a Value>, key: &str| map.get(key).copied().unwrap_or(&Value::Null);
    keys.into_iter().filter_map(|key| diff(value(&old, key), value(&new, key))).collect()
}

/// [`keyed`] by a field of the elements.
pub(super) fn keyed_by(
    key: &str,
    old: &Value,
    new: &Value,
    diff: impl Fn(&Value, &Value) -> Option<ObjectDiff>,
) -> Vec<ObjectDiff> {
    let keys = |value: &'_ Value| -> Vec<(String, Value)> {
        items(value)
            .iter()
            .map(|item| (item[key].as_str().unwrap_or_default().to_owned(), item.clone()))
            .collect()
    };
    let (old, new) = (keys(old), keys(new));
    let pairs = |list: &'_ [(String, Value)]| -> Vec<(String, Value)> { list.to_vec() };
    let (old, new) = (pairs(&old), pairs(&new));
    keyed(
        old.iter().map(|(key, value)| (key.as_str(), value)),
        new.iter().map(|(key, value)| (key.as_str(), value)),
        diff,
    )
}

/// Lists whose elements are the same when their places are.
pub(super) fn placed(
    old: &Value,
    new: &Value,
    diff: impl Fn(&Value, &Value) -> Option<ObjectDiff>,
) -> Vec<ObjectDiff> {
    let (old, new) = (items(old), items(new));
    let at = |list: &'_ [Value], place: usize| list.get(place).cloned().unwrap_or_default();
    (0..old.len().max(new.len()))
        .filter_map(|place| diff(&at(old, place), &at(new, place)))
        .collect()
}
