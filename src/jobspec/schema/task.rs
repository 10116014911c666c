//! ◆ `task` and what belongs to one alone. (table)

use super::Kind::{
    Bool, Duration, Free, Label, Many, MaybeBool, MaybeDuration, MaybeText, MaybeWhole, One, Rare,
    TaskScaling, Text, TextBlock, TextBlockOrMap, Texts,
};
use super::constraint::{AFFINITY, CONSTRAINT};
use super::policy::{CONSUL, IDENTITY, RESTART, SECRET, VAULT};
use super::resources::RESOURCES;
use super::service::SERVICE;
use super::{INT, Table, field, hidden, required, table};

pub(super) static TASK: Table = table(&[
    field("", "Name", Label(0)),
    field("driver", "Driver", Text),
    field("user", "User", Text),
    field("lifecycle", "Lifecycle", One(&LIFECYCLE)),
    field("config", "Config", Free),
    field("constraint", "Constraints", Many(&CONSTRAINT)),
    field("affinity", "Affinities", Many(&AFFINITY)),
    field("env", "Env", TextBlockOrMap),
    field("service", "Services", Many(&SERVICE)),
    field("resources", "Resources", One(&RESOURCES)),
    field("restart", "RestartPolicy", One(&RESTART)),
    field("meta", "Meta", TextBlockOrMap),
    field("kill_timeout", "KillTimeout", MaybeDuration),
    field("logs", "LogConfig", One(&LOGS)),
    field("artifact", "Artifacts", Many(&ARTIFACT)),
    field("vault", "Vault", One(&VAULT)),
    field("consul", "Consul", One(&CONSUL)),
    field("template", "Templates", Many(&TEMPLATE)),
    field("dispatch_payload", "DispatchPayload", One(&DISPATCH_PAYLOAD)),
    field("volume_mount", "VolumeMounts", Many(&VOLUME_MOUNT)),
    field("csi_plugin", "CSIPluginConfig", Rare(&CSI_PLUGIN)),
    field("leader", "Leader", Bool),
    field("shutdown_delay", "ShutdownDelay", Duration),
    field("kill_signal", "KillSignal", Text),
    field("kind", "Kind", Text),
    field("scaling", "ScalingPolicies", TaskScaling),
    field("secret", "Secrets", Many(&SECRET)),
    hidden("Identity", One(&IDENTITY)),
    field("identity", "Identities", Many(&IDENTITY)),
    field("action", "Actions", Many(&ACTION)),
    field("schedule", "Schedule", One(&SCHEDULE)),
]);

static LIFECYCLE: Table =
    table(&[required("hook", "Hook", Text), field("sidecar", "Sidecar", Bool)]);

pub(super) static LOGS: Table = table(&[
    field("max_files", "MaxFiles", MaybeWhole(INT)),
    field("max_file_size", "MaxFileSizeMB", MaybeWhole(INT)),
    field("enabled", "Enabled", MaybeBool),
    field("disabled", "Disabled", MaybeBool),
]);

static ARTIFACT: Table = table(&[
    field("source", "GetterSource", MaybeText),
    field("options", "GetterOptions", TextBlock),
    field("headers", "GetterHeaders", TextBlock),
    field("mode", "GetterMode", MaybeText),
    field("insecure", "GetterInsecure", MaybeBool),
    field("destination", "RelativeDest", MaybeText),
    field("chown", "Chown", Bool),
]);

static TEMPLATE: Table = table(&[
    field("source", "SourcePath", MaybeText),
    field("destination", "DestPath", MaybeText),
    field("data", "EmbeddedTmpl", MaybeText),
    field("change_mode", "ChangeMode", MaybeText),
    field("change_script", "ChangeScript", One(&CHANGE_SCRIPT)),
    field("change_signal", "ChangeSignal", MaybeText),
    field("once", "Once", MaybeBool),
    field("splay", "Splay", MaybeDuration),
    field("perms", "Perms", MaybeText),
    field("uid", "Uid", MaybeWhole(INT)),
    field("gid", "Gid", MaybeWhole(INT)),
    field("left_delimiter", "LeftDelim", MaybeText),
    field("right_delimiter", "RightDelim", MaybeText),
    field("env", "Envvars", MaybeBool),
    field("vault_grace", "VaultGrace", MaybeDuration),
    field("wait", "Wait", One(&WAIT)),
    field("error_on_missing_key", "ErrMissingKey", MaybeBool),
]);

static CHANGE_SCRIPT: Table = table(&[
    required("command", "Command", MaybeText),
    field("args", "Args", Texts),
    field("timeout", "Timeout", MaybeDuration),
    field("fail_on_error", "FailOnError", MaybeBool),
    field("run_on_first_render", "RunOnFirstRender", Bool),
]);

static WAIT: Table =
    table(&[field("min", "Min", MaybeDuration), field("max", "Max", MaybeDuration)]);

static DISPATCH_PAYLOAD: Table = table(&[field("file", "File", Text)]);

pub(super) static VOLUME_MOUNT: Table = table(&[
    field("volume", "Volume", MaybeText),
    field("destination", "Destination", MaybeText),
    field("read_only", "ReadOnly", MaybeBool),
    field("propagation_mode", "PropagationMode", MaybeText),
    field("selinux_label", "SELinuxLabel", MaybeText),
]);

static CSI_PLUGIN: Table = table(&[
    field("id", "ID", Text),
    field("type", "Type", Text),
    field("mount_dir", "MountDir", Text),
    field("stage_publish_base_dir", "StagePublishBaseDir", Text),
    field("health_timeout", "HealthTimeout", Duration),
]);

static ACTION: Table = table(&[
    field("", "Name", Label(0)),
    required("command", "Command", Text),
    field("args", "Args", Texts),
]);

static SCHEDULE: Table = table(&[field("cron", "Cron", One(&SCHEDULE_CRON))]);

static SCHEDULE_CRON: Table = table(&[
    field("start", "Start", Text),
    field("end", "End", Text),
    field("timezone", "Timezone", Text),
]);
