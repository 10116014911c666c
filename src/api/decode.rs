//! ◆ JSON as Go's `encoding/json` reads it: the case of keys is ignored, `null` is the zero value, unknown keys
//! are dropped (and noted), the last of equal keys wins.
//!
//! Works for every type that derives `Deserialize` with `#[serde(default)]`: serde tells which fields a
//! struct has, so nothing has to be written per type. Free-form values (`serde_json::Value`) and maps keep
//! their keys as they are.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer as _, MapAccess,
    SeqAccess, Visitor,
};
use serde_json::{Map, Value};

/// Why a body could not be read, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    path: Vec<String>,
    why: String,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.why);
        }
        write!(f, "{}: {}", join(self.path.iter().rev()), self.why)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: Vec::new(), why: message.to_string() }
    }
}

impl DecodeError {
    fn below(mut self, segment: &str) -> Self {
        self.path.push(segment.to_owned());
        self
    }
}

fn join<'a>(segments: impl Iterator<Item = &'a String>) -> String {
    let mut text = String::new();
    for segment in segments {
        if !text.is_empty() && !segment.starts_with('[') {
            text.push('.');
        }
        text.push_str(segment);
    }
    text
}

/// Reads a body. Unknown keys are dropped.
pub fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    let value = serde_json::from_slice(body).map_err(|error| {
        if error.is_eof() { de::Error::custom("unexpected EOF") } else { de::Error::custom(error) }
    })?;
    from_value(value)
}

/// Reads a value. Unknown keys are dropped.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, DecodeError> {
    T::deserialize(Decoder { value, path: None, dropped: None })
}

/// Reads a value and tells which keys were dropped, each with its full path.
pub fn from_value_noting<T: DeserializeOwned>(
    value: Value,
) -> Result<(T, Vec<String>), DecodeError> {
    let dropped = RefCell::new(Vec::new());
    let read = T::deserialize(Decoder { value, path: None, dropped: Some(&dropped) })?;
    Ok((read, dropped.into_inner()))
}

/// Where the decoder stands, innermost first.
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: &'a str,
}

impl Path<'_> {
    fn text(&self) -> String {
        let mut segments = vec![self.segment.to_owned()];
        let mut at = self.parent;
        while let Some(path) = at {
            segments.push(path.segment.to_owned());
            at = path.parent;
        }
        join(segments.iter().rev())
    }
}

#[derive(Clone)]
struct Decoder<'a> {
    value: Value,
    path: Option<&'a Path<'a>>,
    dropped: Option<&'a RefCell<Vec<String>>>,
}

impl<'a> Decoder<'a> {
    fn object(self) -> Result<Map<String, Value>, DecodeError> {
        match self.value {
            Value::Null => Ok(Map::new()),
            Value::Object(map) => Ok(map),
            other => Err(unexpected(&other, "an object")),
        }
    }

    /// The values of the known fields, in the order of `fields`.
    fn known(self, fields: &'static [&'static str]) -> Result<Entries<'a>, DecodeError> {
        let (path, dropped) = (self.path, self.dropped);
        let mut slots: Vec<Option<Value>> = vec![None; fields.len()];
        for (key, value) in self.object()? {
            let exact = fields.iter().position(|field| *field == key);
            let folded = || fields.iter().position(|field| field.eq_ignore_ascii_case(&key));
            if let Some(slot) = exact.or_else(folded) {
                slots[slot] = Some(value);
            } else if let Some(dropped) = dropped {
                let text = Path { parent: path, segment: &key }.text();
                dropped.borrow_mut().push(text);
            }
        }
        let entries = fields
            .iter()
            .zip(slots)
            .filter_map(|(field, slot)| Some(((*field).to_owned(), slot?)))
            .collect::<Vec<_>>();
        Ok(Entries { left: entries.into_iter(), current: None, path, dropped })
    }
}

fn unexpected(value: &Value, wanted: &str) -> DecodeError {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    de::Error::custom(format!("found {found}, expected {wanted}"))
}

/// Zero values for `null`, else what `serde_json` reads.
macro_rules! scalars {
    ($($method:ident => $visit:ident($zero:expr)),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            match self.value {
                Value::Null => visitor.$visit($zero),
                value => value.$method(visitor).map_err(de::Error::custom),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Decoder<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.value.deserialize_any(visitor).map_err(de::Error::custom)
    }

    scalars! {
        deserialize_bool => visit_bool(false),
        deserialize_i8 => visit_i64(0),
        deserialize_i16 => visit_i64(0),
        deserialize_i32 => visit_i64(0),
        deserialize_i64 => visit_i64(0),
        deserialize_i128 => visit_i64(0),
        deserialize_u8 => visit_u64(0),
        deserialize_u16 => visit_u64(0),
        deserialize_u32 => visit_u64(0),
        deserialize_u64 => visit_u64(0),
        deserialize_u128 => visit_u64(0),
        deserialize_f32 => visit_f64(0.0),
        deserialize_f64 => visit_f64(0.0),
        deserialize_char => visit_str(""),
        deserialize_str => visit_str(""),
        deserialize_string => visit_str(""),
        deserialize_bytes => visit_bytes(b""),
        deserialize_byte_buf => visit_bytes(b""),
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let items = match self.value {
            Value::Null => Vec::new(),
            Value::Array(items) => items,
            other => return Err(unexpected(&other, "a list")),
        };
        visitor.visit_seq(Items {
            left: items.into_iter().enumerate(),
            path: self.path,
            dropped: self.dropped,
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let (path, dropped) = (self.path, self.dropped);
        let entries: Vec<(String, Value)> = self.object()?.into_iter().collect();
        visitor.visit_map(Entries { left: entries.into_iter(), current: None, path, dropped })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_map(self.known(fields)?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.value.deserialize_enum(name, variants, visitor).map_err(de::Error::custom)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }
}

struct Items<'a> {
    left: std::iter::Enumerate<std::vec::IntoIter<Value>>,
    path: Option<&'a Path<'a>>,
    dropped: Option<&'a RefCell<Vec<String>>>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some((number, value)) = self.left.next() else { return Ok(None) };
        let segment = format!("[{number}]");
        let path = Path { parent: self.path, segment: &segment };
        seed.deserialize(Decoder { value, path: Some(&path), dropped: self.dropped })
            .map(Some)
            .map_err(|error| error.below(&segment))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

struct Entries<'a> {
    left: std::vec::IntoIter<(String, Value)>,
    current: Option<(String, Value)>,
    path: Option<&'a Path<'a>>,
    dropped: Option<&'a RefCell<Vec<String>>>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        self.current = self.left.next();
        let Some((key, _)) = &self.current else { return Ok(None) };
        let key: StrDeserializer<'_, DecodeError> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        let (key, value) = self.current.take().unwrap_or_default();
        let path = Path { parent: self.path, segment: &key };
        seed.deserialize(Decoder { value, path: Some(&path), dropped: self.dropped })
            .map_err(|error| error.below(&key))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Inner {
        count: i64,
        name: Option<String>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Outer {
        #[serde(rename = "ID")]
        id: String,
        inner: Vec<Inner>,
        meta: BTreeMap<String, String>,
        config: Option<Value>,
    }

    #[test]
    fn the_case_of_keys_is_ignored_in_structs_and_kept_in_maps() {
        let body = json!({"id": "a", "INNER": [{"cOuNt": 1}], "Meta": {"kEy": "v"}, "config": {"X": null}});
        let outer: Outer = from_value(body).unwrap();
        assert_eq!(outer.id, "a");
        assert_eq!(outer.inner, [Inner { count: 1, name: None }]);
        assert_eq!(outer.meta["kEy"], "v");
        assert_eq!(outer.config, Some(json!({"X": null})));
    }

    #[test]
    fn null_is_the_zero_value_everywhere() {
        let body = json!({"ID": null, "Inner": [null, {"Count": null}], "Meta": null});
        let outer: Outer = from_value(body).unwrap();
        assert_eq!(
            outer,
            Outer { inner: vec![Inner::default(), Inner::default()], ..Outer::default() }
        );
    }

    #[test]
    fn dropped_keys_are_told_with_their_path() {
        let body = json!({"Idd": 1, "Inner": [{}, {"Nmae": "x"}], "Meta": {"free": "x"}});
        let (_, dropped) = from_value_noting::<Outer>(body).unwrap();
        assert_eq!(dropped, ["Idd", "Inner[1].Nmae"]);
    }

    #[test]
    fn an_error_names_the_place() {
        let error = from_value::<Outer>(json!({"inner": [{"count": "30s"}]})).unwrap_err();
        assert_eq!(error.to_string(), "Inner[0].Count: invalid type: string \"30s\", expected i64");
        let error = from_value::<Outer>(json!({"inner": {"a": 1}})).unwrap_err();
        assert_eq!(error.to_string(), "Inner: found an object, expected a list");
    }

    #[test]
    fn the_last_of_keys_that_differ_in_case_wins() {
        let outer: Outer = from_value(json!({"id": "a", "Id": "b"})).unwrap();
        assert_eq!(outer.id, "b");
    }
}
