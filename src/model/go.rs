//! ◆ Go's manners in JSON: an empty slice or map is `null`, and `null` is read as empty.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Something that has no elements.
pub trait Empty {
    /// Whether there is nothing in it.
    fn is_empty(&self) -> bool;
}

impl<T> Empty for Vec<T> {
    fn is_empty(&self) -> bool {
        Vec::is_empty(self)
    }
}

impl<K, V> Empty for std::collections::BTreeMap<K, V> {
    fn is_empty(&self) -> bool {
        std::collections::BTreeMap::is_empty(self)
    }
}

impl Empty for serde_json::Map<String, serde_json::Value> {
    fn is_empty(&self) -> bool {
        serde_json::Map::is_empty(self)
    }
}

/// Writes `null` when there is nothing in it. For `#[serde(with = "go")]`.
pub fn serialize<T, S>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Empty + Serialize,
    S: Serializer,
{
    if value.is_empty() { serializer.serialize_none() } else { value.serialize(serializer) }
}

/// Reads `null` as the default. For `#[serde(with = "go")]`.
pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
