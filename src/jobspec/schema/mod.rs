//! ◆ What may stand in a job file, as tables: the name in HCL, the name in the API's JSON, and the kind of value. One file
//! per family of blocks. The same tables read API JSON, so both ways in give the same shape out.

mod connect;
mod constraint;
mod gateway;
mod group;
mod job;
mod policy;
mod resources;
mod service;
mod task;

pub(super) use group::GROUP;
pub(super) use job::JOB;

pub(super) use policy::SCALING;

/// The content of a block.
#[derive(Debug)]
pub(super) struct Table {
    /// Attributes and blocks, in the order of the API.
    pub fields: &'static [Field],
    /// Puts the finishing touches to what was read.
    pub finish: Option<fn(&mut Object)>,
}

/// A block as JSON.
pub(super) type Object = serde_json::Map<String, serde_json::Value>;

/// An attribute or a nested block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// Its name in HCL; empty for what only the API knows.
    pub name: &'static str,
    /// Its name in JSON. One that starts with `@` never leaves this room.
    pub json: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it must be given.
    pub required: bool,
}

/// What a field holds and how it looks when nothing is given.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// The label with this index.
    Label(usize),
    /// Text, empty by default; null is refused.
    Text,
    /// Text, null by default.
    MaybeText,
    /// False by default.
    Bool,
    /// Null by default.
    MaybeBool,
    /// A whole number in a range, zero by default.
    Whole(Range),
    /// A whole number in a range, null by default.
    MaybeWhole(Range),
    /// Nanoseconds or a text like `1h30m`, zero by default.
    Duration,
    /// The same, null by default.
    MaybeDuration,
    /// A list of texts, null by default.
    Texts,
    /// A list of whole numbers in a range, null by default.
    Wholes(Range),
    /// Names to texts, given as an attribute.
    TextMap,
    /// Names to texts, given as a block.
    TextBlock,
    /// Names to texts, given as a block or as an attribute.
    TextBlockOrMap,
    /// Names to lists of texts, given as a block.
    TextsBlock,
    /// Anything, given as a block.
    Free,
    /// At most one block, null by default.
    One(&'static Table),
    /// The same, absent by default.
    Rare(&'static Table),
    /// Any number of blocks, a list or null.
    Many(&'static Table),
    /// Any number of blocks, a map by label or null.
    Named(&'static Table),
    /// The scaling policy of a group, null by default.
    GroupScaling,
    /// Any number of scaling policies of a task, a list or null.
    TaskScaling,
    /// Text in which null is the same as nothing (Nomad: constraints and affinities).
    LooseText,
    /// A number cut to eight bits, null by default (Nomad: the weight of an affinity).
    LooseNumber,
    /// A bool in which null is the same as nothing.
    LooseBool,
    /// Base64 text, null by default; only in JSON.
    Bytes,
}

/// Smallest and largest whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range(pub i128, pub i128);

const INT: Range = Range(i64::MIN as i128, i64::MAX as i128);
const INT8: Range = Range(-128, 127);
const UINT8: Range = Range(0, 255);
const UINT16: Range = Range(0, 65_535);
const UINT32: Range = Range(0, u32::MAX as i128);
const UINT64: Range = Range(0, u64::MAX as i128);

const fn field(name: &'static str, json: &'static str, kind: Kind) -> Field {
    Field { name, json, kind, required: false }
}

const fn required(name: &'static str, json: &'static str, kind: Kind) -> Field {
    Field { name, json, kind, required: true }
}

/// A field that only the API knows.
const fn hidden(json: &'static str, kind: Kind) -> Field {
    field("", json, kind)
}

const fn table(fields: &'static [Field]) -> Table {
    Table { fields, finish: None }
}

impl Table {
    /// The field with this name in HCL.
    pub(super) fn find(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| !field.name.is_empty() && field.name == name)
    }

    /// How many labels its block has.
    pub(super) fn labels(&self) -> usize {
        self.fields.iter().filter(|field| matches!(field.kind, Kind::Label(_))).count()
    }
}

impl Kind {
    /// Whether it is written `name { … }`.
    pub(super) fn is_block(self) -> bool {
        match self {
            Self::TextBlock
            | Self::TextBlockOrMap
            | Self::TextsBlock
            | Self::Free
            | Self::One(_)
            | Self::Rare(_)
            | Self::Many(_)
            | Self::Named(_)
            | Self::GroupScaling
            | Self::TaskScaling => true,
            Self::Label(_)
            | Self::Text
            | Self::MaybeText
            | Self::Bool
            | Self::MaybeBool
            | Self::Whole(_)
            | Self::MaybeWhole(_)
            | Self::Duration
            | Self::MaybeDuration
            | Self::Texts
            | Self::Wholes(_)
            | Self::TextMap
            | Self::LooseText
            | Self::LooseNumber
            | Self::LooseBool
            | Self::Bytes => false,
        }
    }

    /// Whether it is written `name = …`.
    pub(super) fn is_attribute(self) -> bool {
        !matches!(self, Self::Label(_))
            && (!self.is_block() || matches!(self, Self::TextBlockOrMap))
    }

    /// How many labels the block has.
    pub(super) fn labels(self) -> usize {
        match self {
            Self::TaskScaling => 1,
            _ => self.table().map_or(0, Table::labels),
        }
    }

    /// The table of a nested block.
    pub(super) fn table(self) -> Option<&'static Table> {
        match self {
            Self::One(table) | Self::Rare(table) | Self::Many(table) | Self::Named(table) => {
                Some(table)
            }
            Self::GroupScaling | Self::TaskScaling => Some(&SCALING),
            _ => None,
        }
    }
}
