//! ◆ `job`. (table)

use super::Kind::{
    Bool, Bytes, Many, MaybeBool, MaybeText, MaybeWhole, One, Text, TextBlockOrMap, Texts, Whole,
};
use super::constraint::{AFFINITY, CONSTRAINT, SPREAD};
use super::group::GROUP;
use super::policy::{
    MIGRATE, MULTIREGION, PARAMETERIZED, PERIODIC, RESCHEDULE, SECRET, UPDATE, VAULT,
};
use super::task::TASK;
use super::{INT, Table, UINT64, field, hidden, table};

/// The content of `job`; its label becomes the ID and the name.
pub(crate) static JOB: Table = table(&[
    hidden("Stop", MaybeBool),
    field("region", "Region", MaybeText),
    field("namespace", "Namespace", MaybeText),
    field("id", "ID", MaybeText),
    hidden("ParentID", MaybeText),
    field("name", "Name", MaybeText),
    field("type", "Type", MaybeText),
    field("priority", "Priority", MaybeWhole(INT)),
    field("all_at_once", "AllAtOnce", MaybeBool),
    field("datacenters", "Datacenters", Texts),
    field("node_pool", "NodePool", MaybeText),
    field("constraint", "Constraints", Many(&CONSTRAINT)),
    field("affinity", "Affinities", Many(&AFFINITY)),
    field("group", "TaskGroups", Many(&GROUP)),
    field("update", "Update", One(&UPDATE)),
    field("multiregion", "Multiregion", One(&MULTIREGION)),
    field("spread", "Spreads", Many(&SPREAD)),
    field("periodic", "Periodic", One(&PERIODIC)),
    field("parameterized", "ParameterizedJob", One(&PARAMETERIZED)),
    field("reschedule", "Reschedule", One(&RESCHEDULE)),
    field("migrate", "Migrate", One(&MIGRATE)),
    hidden("Dispatched", Bool),
    hidden("DispatchIdempotencyToken", MaybeText),
    hidden("Payload", Bytes),
    field("meta", "Meta", TextBlockOrMap),
    field("ui", "UI", One(&UI)),
    hidden("ConsulNamespace", MaybeText),
    hidden("VaultNamespace", MaybeText),
    hidden("NomadTokenID", MaybeText),
    hidden("Status", MaybeText),
    hidden("StatusDescription", MaybeText),
    hidden("Stable", MaybeBool),
    hidden("Version", MaybeWhole(UINT64)),
    hidden("SubmitTime", MaybeWhole(INT)),
    hidden("CreateIndex", MaybeWhole(UINT64)),
    hidden("ModifyIndex", MaybeWhole(UINT64)),
    hidden("JobModifyIndex", MaybeWhole(UINT64)),
    hidden("VersionTag", One(&VERSION_TAG)),
    // Inherited by tasks, then gone.
    field("vault", "@Vault", One(&VAULT)),
    field("secret", "@Secrets", Many(&SECRET)),
    field("task", "@Tasks", Many(&TASK)),
]);

static UI: Table =
    table(&[field("description", "Description", Text), field("link", "Links", Many(&UI_LINK))]);

static UI_LINK: Table = table(&[field("label", "Label", Text), field("url", "URL", Text)]);

static VERSION_TAG: Table =
    table(&[hidden("Name", Text), hidden("Description", Text), hidden("TaggedTime", Whole(INT))]);
