//! ◆ What a job asks of the nodes it runs on.

use serde::{Deserialize, Serialize};

use super::go;

/// A condition that a node must meet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Constraint {
    /// The attribute, usually interpolated: `${attr.kernel.name}`.
    #[serde(rename = "LTarget")]
    pub left: String,
    /// The value it is compared with.
    #[serde(rename = "RTarget")]
    pub right: String,
    /// One of Nomad's operators.
    #[serde(rename = "Operand")]
    pub operator: String,
}

/// A wish, with a weight of −100 to 100.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Affinity {
    /// The attribute.
    #[serde(rename = "LTarget")]
    pub left: String,
    /// The value it is compared with.
    #[serde(rename = "RTarget")]
    pub right: String,
    /// One of Nomad's operators.
    #[serde(rename = "Operand")]
    pub operator: String,
    /// How much it counts; negative to keep away.
    pub weight: i8,
}

/// Spread allocations over the values of an attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Spread {
    /// The attribute.
    pub attribute: String,
    /// How much it counts, 1 to 100.
    pub weight: i8,
    /// The share each value should have; none means evenly.
    #[serde(rename = "SpreadTarget", with = "go")]
    pub targets: Vec<SpreadTarget>,
}

/// The share of allocations that one value should have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SpreadTarget {
    /// The attribute's value.
    pub value: String,
    /// Its share, 0 to 100.
    pub percent: u8,
}
