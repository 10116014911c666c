//! ◆ Reading the `config` block of a task: a map of JSON values in which blocks are lists of maps, numbers
//! may be written as strings, and an unknown key is an error that lists the known ones.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::DriverError;

/// The keys one driver knows, in its config or in one of its blocks.
#[derive(Debug)]
pub(super) struct Schema {
    /// The driver's name, for errors.
    pub driver: &'static str,
    /// Keys with effect.
    pub known: &'static [&'static str],
    /// Nomad's keys without effect here, and why.
    pub unsupported: &'static [(&'static str, &'static str)],
}

/// A checked map: every key in it is known.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    driver: &'static str,
    /// Prefix of the keys in errors: empty, or `mount.`
    within: String,
    map: &'a Map<String, Value>,
}

impl<'a> Keys<'a> {
    /// Refuses `map` when it has a key that `schema` does not know.
    pub(super) fn check(schema: &Schema, map: &'a Map<String, Value>) -> Result<Self, DriverError> {
        Self::check_within(schema, map, String::new())
    }

    fn check_within(
        schema: &Schema,
        map: &'a Map<String, Value>,
        within: String,
    ) -> Result<Self, DriverError> {
        let driver = schema.driver;
        for (key, value) in map {
            if schema.known.contains(&key.as_str()) || is_unset(value) {
                continue;
            }
            let key = format!("{within}{key}");
            let bare = key.strip_prefix(&within).unwrap_or(&key);
            return Err(match schema.unsupported.iter().find(|(name, _)| *name == bare) {
                Some((_, why)) => DriverError::Unsupported { driver, key, why },
                None => DriverError::UnknownKey { driver, key, known: schema.known.join(", ") },
            });
        }
        Ok(Self { driver, within, map })
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !is_unset(value))
    }

    /// An error about one of the keys.
    pub(super) fn invalid(&self, key: &str, why: impl Into<String>) -> DriverError {
        DriverError::InvalidValue {
            driver: self.driver,
            key: format!("{}{key}", self.within),
            why: why.into(),
        }
    }

    /// A string; numbers and booleans are taken as they are written.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, DriverError> {
        self.value(key).map(|value| self.as_text(key, value)).transpose()
    }

    /// A string that must be there and not be empty.
    pub(super) fn required(&self, key: &str) -> Result<String, DriverError> {
        self.text(key)?.filter(|text| !text.is_empty()).ok_or_else(|| DriverError::MissingKey {
            driver: self.driver,
            key: format!("{}{key}", self.within),
        })
    }

    /// A list of strings; a single string is a list of one.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, DriverError> {
        match self.value(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| self.as_text(key, item)).collect(),
            Some(single) => Ok(vec![self.as_text(key, single)?]),
        }
    }

    /// `true` when set to true.
    pub(super) fn flag(&self, key: &str) -> Result<bool, DriverError> {
        match self.value(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if matches!(text.as_str(), "true" | "1") => Ok(true),
            Some(Value::String(text)) if matches!(text.as_str(), "false" | "0") => Ok(false),
            Some(_) => Err(self.invalid(key, "must be true or false")),
        }
    }

    /// A whole number.
    pub(super) fn integer(&self, key: &str) -> Result<Option<i64>, DriverError> {
        let parsed = match self.value(key) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        parsed.map(Some).ok_or_else(|| self.invalid(key, "must be a whole number"))
    }

    /// A whole number that is not negative.
    pub(super) fn natural(&self, key: &str) -> Result<Option<u64>, DriverError> {
        self.integer(key)?
            .map(|number| {
                u64::try_from(number).map_err(|_| self.invalid(key, "must not be negative"))
            })
            .transpose()
    }

    /// Milliseconds, from Go's notation with one unit (`1h`, `5m`, `10s`, `250ms`) or from nanoseconds as a number.
    pub(super) fn duration_ms(&self, key: &str) -> Result<Option<u64>, DriverError> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        if let Ok(nanos) = text.parse::<u64>() {
            return Ok(Some(nanos / 1_000_000));
        }
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let seconds = match &text[digits.len()..] {
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(self.invalid(key, "must be a duration, as 10s")),
        };
        let number: f64 =
            digits.parse().map_err(|_| self.invalid(key, "must be a duration, as 10s"))?;
        let duration = std::time::Duration::try_from_secs_f64(number * seconds)
            .map_err(|_| self.invalid(key, "is out of range"))?;
        Ok(Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// A map of strings, written as a block, as several, or as an object.
    pub(super) fn pairs(&self, key: &str) -> Result<BTreeMap<String, String>, DriverError> {
        let mut pairs = BTreeMap::new();
        for map in self.maps(key)? {
            for (name, value) in map {
                pairs.insert(name.clone(), self.as_text(key, value)?);
            }
        }
        Ok(pairs)
    }

    /// The blocks of one name, each checked against `schema`.
    pub(super) fn blocks(&self, key: &str, schema: &Schema) -> Result<Vec<Keys<'a>>, DriverError> {
        self.maps(key)?
            .into_iter()
            .map(|map| Keys::check_within(schema, map, format!("{}{key}.", self.within)))
            .collect()
    }

    fn maps(&self, key: &str) -> Result<Vec<&'a Map<String, Value>>, DriverError> {
        match self.value(key) {
            None => Ok(Vec::new()),
            Some(Value::Object(map)) => Ok(vec![map]),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_object().ok_or_else(|| self.invalid(key, "must be a block")))
                .collect(),
            Some(_) => Err(self.invalid(key, "must be a block")),
        }
    }

    fn as_text(&self, key: &str, value: &Value) -> Result<String, DriverError> {
        match value {
            Value::String(text) if text.contains('\0') => {
                Err(self.invalid(key, "must not contain a NUL byte"))
            }
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(flag) => Ok(flag.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                Err(self.invalid(key, "must be a string"))
            }
        }
    }
}

/// Nomad: a key written with an empty value is as if it were not written.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SCHEMA: Schema = Schema {
        driver: "raw_exec",
        known: &["command", "args", "pids", "labels", "mount", "init"],
        unsupported: &[("gone", "it was removed")],
    };
    const MOUNT: Schema = Schema { driver: "raw_exec", known: &["target"], unsupported: &[] };

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn an_unknown_key_is_told_with_the_known_ones() {
        let map = map(&json!({"command": "x", "comand": "y"}));
        let error = Keys::check(&SCHEMA, &map).unwrap_err();
        assert_eq!(
            error.to_string(),
            "driver `raw_exec`: config has no key `comand`; known keys: command, args, pids, labels, mount, init"
        );
    }

    #[test]
    fn a_key_without_effect_says_why() {
        let map = map(&json!({"gone": 1}));
        assert_eq!(
            Keys::check(&SCHEMA, &map).unwrap_err().to_string(),
            "driver `raw_exec`: config key `gone` is not supported: it was removed"
        );
    }

    #[test]
    fn blocks_and_objects_read_alike() {
        for labels in [json!({"a": "b", "n": 1}), json!([{"a": "b"}, {"n": "1"}])] {
            let map = map(&json!({ "labels": labels }));
            let pairs = Keys::check(&SCHEMA, &map).unwrap().pairs("labels").unwrap();
            assert_eq!(pairs.get("a").map(String::as_str), Some("b"));
            assert_eq!(pairs.get("n").map(String::as_str), Some("1"));
        }
        let map = map(&json!({"mount": [{"target": "/x", "tarjet": 1}]}));
        let error = Keys::check(&SCHEMA, &map).unwrap().blocks("mount", &MOUNT).unwrap_err();
        assert!(error.to_string().contains("`mount.tarjet`"), "{error}");
    }

    #[test]
    fn numbers_and_booleans_may_be_strings() {
        let map = map(&json!({"pids": "12", "init": "true", "args": ["-p", 80]}));
        let keys = Keys::check(&SCHEMA, &map).unwrap();
        assert_eq!(keys.natural("pids").unwrap(), Some(12));
        assert!(keys.flag("init").unwrap());
        assert_eq!(keys.texts("args").unwrap(), ["-p", "80"]);
        assert!(keys.required("command").is_err());
    }
}
