//! ◆ `group` and its volumes. (table)

use super::Kind::{
    Bool, GroupScaling, Label, Many, MaybeBool, MaybeDuration, MaybeWhole, Named, One, Text,
    TextBlockOrMap, Texts,
};
use super::constraint::{AFFINITY, CONSTRAINT, SPREAD};
use super::policy::{
    CONSUL, DISCONNECT, EPHEMERAL_DISK, MIGRATE, RESCHEDULE, RESTART, SECRET, UPDATE, VAULT,
};
use super::resources::NETWORK;
use super::service::SERVICE;
use super::task::TASK;
use super::{INT, Table, field, table};

/// The content of `group`.
pub(crate) static GROUP: Table = table(&[
    field("", "Name", Label(0)),
    field("count", "Count", MaybeWhole(INT)),
    field("constraint", "Constraints", Many(&CONSTRAINT)),
    field("affinity", "Affinities", Many(&AFFINITY)),
    field("task", "Tasks", Many(&TASK)),
    field("spread", "Spreads", Many(&SPREAD)),
    field("volume", "Volumes", Named(&VOLUME)),
    field("restart", "RestartPolicy", One(&RESTART)),
    field("disconnect", "Disconnect", One(&DISCONNECT)),
    field("reschedule", "ReschedulePolicy", One(&RESCHEDULE)),
    field("ephemeral_disk", "EphemeralDisk", One(&EPHEMERAL_DISK)),
    field("update", "Update", One(&UPDATE)),
    field("migrate", "Migrate", One(&MIGRATE)),
    field("network", "Networks", Many(&NETWORK)),
    field("meta", "Meta", TextBlockOrMap),
    field("service", "Services", Many(&SERVICE)),
    field("shutdown_delay", "ShutdownDelay", MaybeDuration),
    field("stop_after_client_disconnect", "StopAfterClientDisconnect", MaybeDuration),
    field("max_client_disconnect", "MaxClientDisconnect", MaybeDuration),
    field("scaling", "Scaling", GroupScaling),
    field("consul", "Consul", One(&CONSUL)),
    field("prevent_reschedule_on_lost", "PreventRescheduleOnLost", MaybeBool),
    field("max_run_duration", "MaxRunDuration", MaybeDuration),
    // Inherited by tasks, then gone.
    field("vault", "@Vault", One(&VAULT)),
    field("secret", "@Secrets", Many(&SECRET)),
]);

static VOLUME: Table = table(&[
    field("", "Name", Label(0)),
    field("type", "Type", Text),
    field("source", "Source", Text),
    field("read_only", "ReadOnly", Bool),
    field("sticky", "Sticky", Bool),
    field("access_mode", "AccessMode", Text),
    field("attachment_mode", "AttachmentMode", Text),
    field("mount_options", "MountOptions", One(&MOUNT_OPTIONS)),
    field("per_alloc", "PerAlloc", Bool),
]);

static MOUNT_OPTIONS: Table =
    table(&[field("fs_type", "FSType", Text), field("mount_flags", "MountFlags", Texts)]);
