//! ◆ `service` and `check`. (table)

use super::Kind::{
    Bool, Duration, Many, MaybeDuration, One, Text, TextBlock, Texts, TextsBlock, Whole,
};
use super::connect::CONNECT;
use super::policy::IDENTITY;
use super::{INT, Table, field, table};

pub(super) static SERVICE: Table = table(&[
    field("name", "Name", Text),
    field("tags", "Tags", Texts),
    field("canary_tags", "CanaryTags", Texts),
    field("enable_tag_override", "EnableTagOverride", Bool),
    field("port", "PortLabel", Text),
    field("address_mode", "AddressMode", Text),
    field("address", "Address", Text),
    field("check", "Checks", Many(&CHECK)),
    field("check_restart", "CheckRestart", One(&CHECK_RESTART)),
    field("connect", "Connect", One(&CONNECT)),
    field("meta", "Meta", TextBlock),
    field("canary_meta", "CanaryMeta", TextBlock),
    field("tagged_addresses", "TaggedAddresses", TextBlock),
    field("task", "TaskName", Text),
    field("on_update", "OnUpdate", Text),
    field("identity", "Identity", One(&IDENTITY)),
    field("weights", "Weights", One(&WEIGHTS)),
    field("provider", "Provider", Text),
    field("cluster", "Cluster", Text),
    field("kind", "Kind", Text),
]);

static CHECK: Table = table(&[
    field("name", "Name", Text),
    field("type", "Type", Text),
    field("command", "Command", Text),
    field("args", "Args", Texts),
    field("path", "Path", Text),
    field("protocol", "Protocol", Text),
    field("port", "PortLabel", Text),
    field("expose", "Expose", Bool),
    field("address_mode", "AddressMode", Text),
    field("advertise", "Advertise", Text),
    field("interval", "Interval", Duration),
    field("timeout", "Timeout", Duration),
    field("initial_status", "InitialStatus", Text),
    field("notes", "Notes", Text),
    field("tls_server_name", "TLSServerName", Text),
    field("tls_skip_verify", "TLSSkipVerify", Bool),
    field("header", "Header", TextsBlock),
    field("method", "Method", Text),
    field("check_restart", "CheckRestart", One(&CHECK_RESTART)),
    field("grpc_service", "GRPCService", Text),
    field("grpc_use_tls", "GRPCUseTLS", Bool),
    field("task", "TaskName", Text),
    field("success_before_passing", "SuccessBeforePassing", Whole(INT)),
    field("failures_before_critical", "FailuresBeforeCritical", Whole(INT)),
    field("failures_before_warning", "FailuresBeforeWarning", Whole(INT)),
    field("body", "Body", Text),
    field("on_update", "OnUpdate", Text),
]);

static CHECK_RESTART: Table = table(&[
    field("limit", "Limit", Whole(INT)),
    field("grace", "Grace", MaybeDuration),
    field("ignore_warnings", "IgnoreWarnings", Bool),
]);

static WEIGHTS: Table =
    table(&[field("passing", "Passing", Whole(INT)), field("warning", "Warning", Whole(INT))]);
