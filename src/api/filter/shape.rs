//! ◆ What JSON does not tell about an object: which of its objects are maps, and of what kind things are.

use std::collections::BTreeMap;

use serde_json::Value;

/// The type of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A truth value.
    Bool,
    /// A signed integer.
    Int,
    /// An unsigned integer.
    Uint,
    /// A floating point number.
    Float,
    /// Text.
    Text,
    /// A list.
    List(Box<Shape>),
    /// A map from text.
    Map(Box<Shape>),
    /// A struct: other fields are errors.
    Struct(BTreeMap<String, Shape>),
    /// May be `null`.
    Optional(Box<Shape>),
    /// As the value looks; objects are maps.
    Free,
    /// As the value looks; objects are structs unless their field is known to hold a map.
    Noun,
}

/// Fields of Nomad's nouns that hold maps.
const MAPS: &[&str] = &[
    "Args",
    "Attributes",
    "CSIControllerPlugins",
    "CSINodePlugins",
    "CanaryMeta",
    "ClassEligibility",
    "ClassExhausted",
    "ClassFiltered",
    "Config",
    "ConstraintFiltered",
    "Details",
    "DimensionExhausted",
    "Drivers",
    "Env",
    "FailedTGAllocs",
    "GetterHeaders",
    "GetterOptions",
    "Header",
    "HostNetworks",
    "HostVolumes",
    "Links",
    "Meta",
    "NodesAvailable",
    "Policy",
    "QueuedAllocations",
    "ResourcesExhausted",
    "Scores",
    "Summary",
    "TaggedAddresses",
    "Target",
    "TaskGroups",
    "TaskLifecycles",
    "TaskStates",
    "Tasks",
    "Volumes",
];

/// Fields that a noun has although its JSON leaves them out when they are empty.
const OMITTED: &[&str] = &[
    "AllocStates",
    "AllocatedResources",
    "AnnotatePlan",
    "BlockedEval",
    "ClassEligibility",
    "ClientDescription",
    "DeploymentID",
    "DeploymentStatus",
    "DesiredDescription",
    "DesiredTransition",
    "EscapedComputedClass",
    "FailedTGAllocs",
    "FollowupEvalID",
    "HostVolumes",
    "JobModifyIndex",
    "Meta",
    "NetworkStatus",
    "NextAllocation",
    "NextEval",
    "NodeID",
    "NodeModifyIndex",
    "NodeResources",
    "PlanAnnotations",
    "PreemptedAllocations",
    "PreemptedByAllocation",
    "PreviousAllocation",
    "PreviousEval",
    "QueuedAllocations",
    "QuotaLimitReached",
    "RelatedEvals",
    "RescheduleTracker",
    "ReservedResources",
    "SnapshotIndex",
    "StatusDescription",
    "Wait",
    "WaitUntil",
];

/// A field of a struct or a key of a map.
pub(super) enum Member<'v, 's> {
    Found(&'v Value, &'s Shape),
    /// A map has no such key.
    NoKey,
    /// A struct has such a field, and its JSON leaves it out.
    LeftOut,
    /// A struct has no such field.
    NoField,
}

static FREE: Shape = Shape::Free;
static NOUN: Shape = Shape::Noun;

impl Shape {
    /// Without the wrapping of what may be `null`.
    pub(super) fn settled(&self) -> &Self {
        match self {
            Self::Optional(inner) => inner.settled(),
            other => other,
        }
    }

    /// Go's kind of a value of this shape, as error texts name it.
    pub(super) fn kind(&self, value: &Value) -> &'static str {
        match self {
            Self::Optional(_) if value.is_null() => "invalid",
            Self::Optional(inner) => inner.kind(value),
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint64",
            Self::Float => "float64",
            Self::Text => "string",
            Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Struct(_) => "struct",
            Self::Free | Self::Noun => match value {
                Value::Null => "invalid",
                Value::Bool(_) => "bool",
                Value::Number(number) if number.is_i64() => "int",
                Value::Number(number) if number.is_u64() => "uint64",
                Value::Number(_) => "float64",
                Value::String(_) => "string",
                Value::Array(_) => "slice",
                Value::Object(_) if *self == Self::Free => "map",
                Value::Object(_) => "struct",
            },
        }
    }

    /// Go's name of the type, as error texts name it.
    pub(super) fn type_name(&self, value: &Value) -> String {
        match self.settled() {
            Self::List(inner) => format!("[]{}", inner.type_name(&Value::Null)),
            Self::Map(inner) => format!("map[string]{}", inner.type_name(&Value::Null)),
            settled => match (settled.kind(value), value) {
                ("slice", Value::Array(items)) => {
                    let inner = items.first().map_or("interface {}", |i| settled.kind(i));
                    format!("[]{inner}")
                }
                (kind, _) => kind.to_owned(),
            },
        }
    }

    /// The shape of a list's elements.
    pub(super) fn element(&self) -> &Self {
        match self.settled() {
            Self::List(inner) => inner,
            Self::Free => &FREE,
            _ => &NOUN,
        }
    }

    /// A field or key.
    pub(super) fn member<'v, 's>(&'s self, value: &'v Value, name: &str) -> Member<'v, 's> {
        let found = value.get(name);
        match (self.settled(), found) {
            (Self::Struct(fields), _) => match (fields.get(name), found) {
                (Some(shape), Some(value)) => Member::Found(value, shape),
                (Some(_), None) => Member::LeftOut,
                (None, _) => Member::NoField,
            },
            (Self::Map(inner), Some(value)) => Member::Found(value, inner),
            (Self::Free, Some(value)) => Member::Found(value, &FREE),
            (Self::Noun, Some(value)) if MAPS.contains(&name) && !value.is_array() => {
                Member::Found(value, map_of_nouns(value))
            }
            (Self::Noun, Some(value)) => Member::Found(value, &NOUN),
            (Self::Noun, None) if OMITTED.contains(&name) => Member::LeftOut,
            (Self::Noun, None) => Member::NoField,
            (_, _) => Member::NoKey,
        }
    }

    /// Whether its members are keys that may be missing.
    pub(super) fn is_map(&self) -> bool {
        matches!(self.settled(), Self::Map(_) | Self::Free)
    }
}

/// A map whose values are nouns again.
fn map_of_nouns(value: &Value) -> &'static Shape {
    static MAP: std::sync::LazyLock<Shape> =
        std::sync::LazyLock::new(|| Shape::Map(Box::new(Shape::Noun)));
    if value.is_null() { &FREE } else { &MAP }
}
