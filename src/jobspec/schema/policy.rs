//! ◆ How many run, when they are replaced and started again. (table)

use super::Kind::{
    Bool, Duration, Free, Label, Many, MaybeBool, MaybeDuration, MaybeText, MaybeWhole, One, Text,
    TextBlock, TextMap, Texts, Whole,
};
use super::{INT, Table, UINT64, field, hidden, table};

pub(super) static UPDATE: Table = table(&[
    field("stagger", "Stagger", MaybeDuration),
    field("max_parallel", "MaxParallel", MaybeWhole(INT)),
    field("health_check", "HealthCheck", MaybeText),
    field("min_healthy_time", "MinHealthyTime", MaybeDuration),
    field("healthy_deadline", "HealthyDeadline", MaybeDuration),
    field("progress_deadline", "ProgressDeadline", MaybeDuration),
    field("canary", "Canary", MaybeWhole(INT)),
    field("auto_revert", "AutoRevert", MaybeBool),
    field("auto_promote", "AutoPromote", MaybeBool),
]);

pub(super) static RESTART: Table = table(&[
    field("interval", "Interval", MaybeDuration),
    field("attempts", "Attempts", MaybeWhole(INT)),
    field("delay", "Delay", MaybeDuration),
    field("mode", "Mode", MaybeText),
    field("render_templates", "RenderTemplates", MaybeBool),
]);

pub(super) static RESCHEDULE: Table = table(&[
    field("attempts", "Attempts", MaybeWhole(INT)),
    field("interval", "Interval", MaybeDuration),
    field("delay", "Delay", MaybeDuration),
    field("delay_function", "DelayFunction", MaybeText),
    field("max_delay", "MaxDelay", MaybeDuration),
    field("unlimited", "Unlimited", MaybeBool),
]);

pub(super) static MIGRATE: Table = table(&[
    field("max_parallel", "MaxParallel", MaybeWhole(INT)),
    field("health_check", "HealthCheck", MaybeText),
    field("min_healthy_time", "MinHealthyTime", MaybeDuration),
    field("healthy_deadline", "HealthyDeadline", MaybeDuration),
]);

pub(super) static DISCONNECT: Table = table(&[
    field("lost_after", "LostAfter", MaybeDuration),
    field("stop_on_client_after", "StopOnClientAfter", MaybeDuration),
    field("replace", "Replace", MaybeBool),
    field("reconcile", "Reconcile", MaybeText),
]);

pub(super) static EPHEMERAL_DISK: Table = table(&[
    field("sticky", "Sticky", MaybeBool),
    field("migrate", "Migrate", MaybeBool),
    field("size", "SizeMB", MaybeWhole(INT)),
]);

pub(super) static PERIODIC: Table = table(&[
    field("enabled", "Enabled", MaybeBool),
    field("cron", "Spec", MaybeText),
    field("crons", "Specs", Texts),
    hidden("SpecType", MaybeText),
    field("prohibit_overlap", "ProhibitOverlap", MaybeBool),
    field("time_zone", "TimeZone", MaybeText),
]);

pub(super) static PARAMETERIZED: Table = table(&[
    field("payload", "Payload", Text),
    field("meta_required", "MetaRequired", Texts),
    field("meta_optional", "MetaOptional", Texts),
]);

pub(super) static MULTIREGION: Table = table(&[
    field("strategy", "Strategy", One(&MULTIREGION_STRATEGY)),
    field("region", "Regions", Many(&MULTIREGION_REGION)),
]);

static MULTIREGION_STRATEGY: Table = table(&[
    field("max_parallel", "MaxParallel", MaybeWhole(INT)),
    field("on_failure", "OnFailure", MaybeText),
]);

static MULTIREGION_REGION: Table = table(&[
    field("", "Name", Label(0)),
    field("count", "Count", MaybeWhole(INT)),
    field("datacenters", "Datacenters", Texts),
    field("node_pool", "NodePool", Text),
    field("meta", "Meta", TextBlock),
]);

/// `scaling` of a group or a task.
pub(crate) static SCALING: Table = table(&[
    field("min", "Min", MaybeWhole(INT)),
    field("max", "Max", MaybeWhole(INT)),
    field("policy", "Policy", Free),
    field("enabled", "Enabled", MaybeBool),
    field("type", "Type", Text),
    hidden("ID", Text),
    hidden("Namespace", Text),
    hidden("Target", TextMap),
    hidden("CreateIndex", Whole(UINT64)),
    hidden("ModifyIndex", Whole(UINT64)),
]);

pub(super) static IDENTITY: Table = table(&[
    field("name", "Name", Text),
    field("aud", "Audience", Texts),
    field("change_mode", "ChangeMode", Text),
    field("change_signal", "ChangeSignal", Text),
    field("env", "Env", Bool),
    field("file", "File", Bool),
    field("filepath", "Filepath", Text),
    field("service_name", "ServiceName", Text),
    field("ttl", "TTL", Duration),
    field("extra_claims", "ExtraClaims", Texts),
]);

pub(super) static VAULT: Table = table(&[
    field("policies", "Policies", Texts),
    field("role", "Role", Text),
    field("namespace", "Namespace", MaybeText),
    field("cluster", "Cluster", Text),
    field("env", "Env", MaybeBool),
    field("disable_file", "DisableFile", MaybeBool),
    field("change_mode", "ChangeMode", MaybeText),
    field("change_signal", "ChangeSignal", MaybeText),
    field("allow_token_expiration", "AllowTokenExpiration", MaybeBool),
]);

pub(super) static CONSUL: Table = table(&[
    field("namespace", "Namespace", Text),
    field("cluster", "Cluster", Text),
    field("partition", "Partition", Text),
]);

pub(super) static SECRET: Table = table(&[
    field("", "Name", Label(0)),
    field("provider", "Provider", Text),
    field("path", "Path", Text),
    field("config", "Config", Free),
    field("env", "Env", TextBlock),
]);
