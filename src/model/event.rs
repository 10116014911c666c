//! ◆ An event: what a change of the state tells subscribers of the event stream.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Index;

/// What subscribers are told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Event {
    /// `Job`, `Evaluation`, `Allocation`, `Deployment`, `Node` …
    pub topic: String,
    /// Nomad's type, by the command that caused it.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The id of what changed.
    pub key: String,
    /// Its namespace.
    pub namespace: String,
    /// Related ids that match a subscription too.
    #[serde(with = "super::go")]
    pub filter_keys: Vec<String>,
    /// Where it happened.
    pub index: Index,
    /// `{ "<Topic>": … }`.
    pub payload: Value,
}
