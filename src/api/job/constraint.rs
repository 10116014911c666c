//! ◆ Constraints, affinities and spreads as clients send them.

use serde::{Deserialize, Serialize};

use super::{List, list};
use crate::model;

/// A condition that a node must meet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Constraint {
    #[serde(rename = "LTarget")]
    pub left: String,
    #[serde(rename = "RTarget")]
    pub right: String,
    pub operand: String,
}

/// A wish.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Affinity {
    #[serde(rename = "LTarget")]
    pub left: String,
    #[serde(rename = "RTarget")]
    pub right: String,
    pub operand: String,
    pub weight: Option<i8>,
}

/// Spread allocations over the values of an attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Spread {
    pub attribute: String,
    pub weight: Option<i8>,
    pub spread_target: List<SpreadTarget>,
}

/// The share of allocations that one value should have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SpreadTarget {
    pub value: String,
    pub percent: u8,
}

impl Constraint {
    pub(super) fn canonical(self) -> model::Constraint {
        model::Constraint { left: self.left, right: self.right, operator: self.operand }
    }
}

impl Affinity {
    pub(super) fn canonical(self) -> model::Affinity {
        model::Affinity {
            left: self.left,
            right: self.right,
            operator: self.operand,
            weight: self.weight.unwrap_or(50),
        }
    }
}

impl Spread {
    pub(super) fn canonical(self) -> model::Spread {
        let target = |t: SpreadTarget| model::SpreadTarget { value: t.value, percent: t.percent };
        model::Spread {
            attribute: self.attribute,
            weight: self.weight.unwrap_or(50),
            targets: list(self.spread_target, target),
        }
    }
}
