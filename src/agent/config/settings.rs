//! ◆ The settings of all files together: later ones win, and each knows where it came from.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::ConfigError;
use super::schema::{self, Effect, Kind};
use super::syntax::{Place, Setting};
use crate::api::duration;
use crate::model::Nanos;

/// Settings by path.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    found: BTreeMap<String, (Value, Place)>,
    /// Settings that have no effect yet.
    pub(super) warnings: Vec<String>,
}

/// Lists that are added to instead of replaced when a later file names them again.
const APPENDED: [&str; 2] = ["client.servers", "server.retry_join"];

impl Settings {
    /// Takes the settings of one more file. Unknown ones are refused.
    pub(super) fn merge(&mut self, settings: Vec<Setting>) -> Result<(), ConfigError> {
        for Setting { path, value, place } in settings {
            let name = path.join(".");
            let Some((kind, effect)) = schema::find(&path) else {
                return Err(ConfigError::Unknown {
                    place,
                    suggestion: schema::suggest(&path),
                    path: name,
                });
            };
            check_kind(kind, &value, &name, &place)?;
            match effect {
                Effect::NotYet => {
                    self.warnings.push(format!("{place}: `{name}` has no effect yet"));
                }
                Effect::Works | Effect::Needless => {}
            }
            let earlier = self.found.get(&name).map(|(value, _)| value.clone());
            let value = match (earlier, value) {
                (Some(Value::Array(mut list)), Value::Array(more))
                    if APPENDED.contains(&name.as_str()) =>
                {
                    list.extend(more);
                    Value::Array(list)
                }
                (_, value) => value,
            };
            self.found.insert(name, (value, place));
        }
        Ok(())
    }

    /// The value of a setting.
    fn get(&self, path: &str) -> Option<&Value> {
        self.found.get(path).map(|(value, _)| value).filter(|value| !value.is_null())
    }

    /// Where a setting stands.
    pub(super) fn place(&self, path: &str) -> Place {
        self.found.get(path).map(|(_, place)| place.clone()).unwrap_or_default()
    }

    /// A text.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.get(path)?.as_str().map(str::to_owned)
    }

    /// A flag. Nomad: text is taken too, as HCL1 did.
    pub(super) fn flag(&self, path: &str) -> Option<bool> {
        let value = self.get(path)?;
        value.as_bool().or_else(|| value.as_str().map(|text| matches!(text, "true" | "1")))
    }

    /// A whole number that fits.
    pub(super) fn number<T: TryFrom<i64>>(&self, path: &str) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.get(path) else { return Ok(None) };
        let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        let fits = number.and_then(|number| T::try_from(number).ok());
        fits.map(Some).ok_or_else(|| self.refuse(path, "the number is out of range"))
    }

    /// A duration.
    pub(super) fn duration(&self, path: &str) -> Result<Option<Nanos>, ConfigError> {
        match self.get(path) {
            None => Ok(None),
            Some(Value::String(text)) => match duration::parse(text) {
                Ok(duration) => Ok(Some(duration)),
                Err(_) => Err(self.refuse(path, "it must be a duration such as 30s, 5m or 1h30m")),
            },
            Some(value) => Ok(value.as_i64().map(Nanos::from_secs)),
        }
    }

    /// A list of texts.
    pub(super) fn list(&self, path: &str) -> Vec<String> {
        let list = self.get(path).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The texts below a path, by what follows it.
    pub(super) fn texts_below(&self, path: &str) -> BTreeMap<String, String> {
        let prefix = format!("{path}.");
        let below = self.found.iter().filter_map(|(name, (value, _))| {
            let rest = name.strip_prefix(&prefix)?;
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some((rest.to_owned(), text))
        });
        below.collect()
    }

    /// All values below `plugin.<name>.config`, by plugin, as one object each.
    pub(super) fn plugins(&self) -> BTreeMap<String, Map<String, Value>> {
        let mut plugins: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for (name, (value, _)) in &self.found {
            let Some((plugin, rest)) =
                name.strip_prefix("plugin.").and_then(|rest| rest.split_once('.'))
            else {
                continue;
            };
            let config = plugins.entry(plugin.to_owned()).or_default();
            match (rest.strip_prefix("config."), value) {
                (Some(path), value) => put(config, path, value.clone()),
                (None, Value::Object(map)) if rest == "config" => config.extend(map.clone()),
                (None, _) => {}
            }
        }
        plugins
    }

    /// That a value cannot be.
    pub(super) fn refuse(&self, path: &str, reason: &str) -> ConfigError {
        ConfigError::Value {
            place: self.place(path),
            path: path.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

fn put(map: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            map.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let below = map.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if let Some(below) = below.as_object_mut() {
                put(below, rest, value);
            }
        }
    }
}

fn check_kind(kind: Kind, value: &Value, path: &str, place: &Place) -> Result<(), ConfigError> {
    let is_bool_text = matches!(value.as_str(), Some("true" | "false" | "1" | "0"));
    let is_number_text = value.as_str().is_some_and(|text| text.parse::<i64>().is_ok());
    let (fits, wanted) = match kind {
        Kind::Any => (true, ""),
        Kind::Bool => (value.is_boolean() || is_bool_text, "true or false"),
        Kind::Int => (value.is_i64() || is_number_text, "a whole number"),
        Kind::Text => (value.is_string() || value.is_number() || value.is_boolean(), "text"),
        Kind::Duration => (value.is_string() || value.is_i64(), "a duration such as 30s"),
        Kind::List => (
            value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            "a list of texts",
        ),
    };
    if fits || value.is_null() {
        return Ok(());
    }
    Err(ConfigError::Kind { place: place.clone(), path: path.to_owned(), wanted })
}
