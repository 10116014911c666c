//! ◆ Services a group or task offers, and how their health is checked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::go;
use super::task::WorkloadIdentity;
use super::time::Nanos;

/// A service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Service {
    /// Its name in the catalogue.
    pub name: String,
    /// The task that offers it; empty for the group.
    pub task_name: String,
    /// A port label or number.
    pub port_label: String,
    /// Which address is published.
    pub address_mode: String,
    /// An address of the user's own.
    pub address: String,
    /// Consul.
    pub enable_tag_override: bool,
    /// Tags.
    #[serde(with = "go")]
    pub tags: Vec<String>,
    /// Tags while the allocation is a canary.
    #[serde(with = "go")]
    pub canary_tags: Vec<String>,
    /// Checks.
    #[serde(with = "go")]
    pub checks: Vec<ServiceCheck>,
    /// Consul; kept as given.
    pub connect: Option<Value>,
    /// Consul.
    #[serde(with = "go")]
    pub meta: BTreeMap<String, String>,
    /// Consul.
    #[serde(with = "go")]
    pub canary_meta: BTreeMap<String, String>,
    /// Consul.
    #[serde(with = "go")]
    pub tagged_addresses: BTreeMap<String, String>,
    /// Its namespace in the catalogue.
    pub namespace: String,
    /// How an update treats its checks.
    pub on_update: String,
    /// `nomad` for the catalogue that is built in, or `consul`.
    pub provider: String,
    /// Consul.
    pub cluster: String,
    /// Consul.
    pub kind: String,
    /// Consul.
    pub identity: Option<WorkloadIdentity>,
    /// Consul.
    pub weights: Option<Weights>,
}

/// Consul's weights of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Weights {
    /// When passing.
    pub passing: i64,
    /// When warning.
    pub warning: i64,
}

/// How a service's health is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "Nomad's check has these flags")]
pub struct ServiceCheck {
    /// Its name.
    pub name: String,
    /// `tcp`, `http`, `script` or `grpc`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The script.
    pub command: String,
    /// Its arguments.
    #[serde(with = "go")]
    pub args: Vec<String>,
    /// The HTTP path.
    pub path: String,
    /// `http` or `https`.
    pub protocol: String,
    /// The port, when it is not the service's.
    pub port_label: String,
    /// Consul.
    pub expose: bool,
    /// Which address is asked.
    pub address_mode: String,
    /// The wait between checks.
    pub interval: Nanos,
    /// How long one may take.
    pub timeout: Nanos,
    /// The status before the first.
    pub initial_status: String,
    /// The name TLS expects.
    #[serde(rename = "TLSServerName")]
    pub tls_server_name: String,
    /// Whether TLS is not verified.
    #[serde(rename = "TLSSkipVerify")]
    pub tls_skip_verify: bool,
    /// The HTTP method.
    pub method: String,
    /// HTTP headers.
    #[serde(with = "go")]
    pub header: BTreeMap<String, Vec<String>>,
    /// When a failing check restarts the task.
    pub check_restart: Option<CheckRestart>,
    /// The gRPC service.
    #[serde(rename = "GRPCService")]
    pub grpc_service: String,
    /// Whether gRPC uses TLS.
    #[serde(rename = "GRPCUseTLS")]
    pub grpc_use_tls: bool,
    /// The task that runs a script.
    pub task_name: String,
    /// Successes in a row before it passes.
    pub success_before_passing: i64,
    /// Failures in a row before it is critical.
    pub failures_before_critical: i64,
    /// Failures in a row before it warns.
    pub failures_before_warning: i64,
    /// The HTTP body.
    pub body: String,
    /// How an update treats it.
    pub on_update: String,
    /// For people.
    pub notes: String,
}

/// When a failing check restarts the task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CheckRestart {
    /// Failures in a row.
    pub limit: i64,
    /// How long after a start they are not counted.
    pub grace: Nanos,
    /// Whether warnings do not count.
    pub ignore_warnings: bool,
}
