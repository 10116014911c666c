//! ◆ Who a task is to others, as clients send it: identities, secrets, Vault, Consul.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Dict, List};
use crate::model::{Nanos, task};

/// A token that tells others who a task is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WorkloadIdentity {
    pub name: String,
    pub audience: List<String>,
    pub change_mode: String,
    pub change_signal: String,
    pub env: bool,
    pub file: bool,
    pub filepath: String,
    pub service_name: String,
    #[serde(rename = "TTL")]
    pub ttl: i64,
    pub extra_claims: List<String>,
}

/// Where a task's Vault token comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Vault {
    pub policies: List<String>,
    pub role: String,
    pub namespace: Option<String>,
    pub cluster: String,
    pub env: Option<bool>,
    pub disable_file: Option<bool>,
    pub change_mode: Option<String>,
    pub change_signal: Option<String>,
    pub allow_token_expiration: Option<bool>,
}

/// Which Consul is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Consul {
    pub namespace: String,
    pub cluster: String,
    pub partition: String,
}

/// A secret a task refers to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Secret {
    pub name: String,
    pub provider: String,
    pub path: String,
    pub config: Option<Map<String, Value>>,
    pub env: Dict<String>,
}

impl WorkloadIdentity {
    pub(super) fn canonical(self) -> task::WorkloadIdentity {
        task::WorkloadIdentity {
            name: self.name,
            audience: self.audience.unwrap_or_default(),
            change_mode: self.change_mode,
            change_signal: self.change_signal.to_uppercase(),
            env: self.env,
            file: self.file,
            filepath: self.filepath,
            service_name: self.service_name,
            ttl: Nanos(self.ttl),
            extra_claims: self.extra_claims.unwrap_or_default(),
        }
    }
}

impl Vault {
    /// The servers' shape; policies are legacy and dropped.
    pub(super) fn canonical(self) -> Value {
        let text = |given: Option<String>, default: &str| given.unwrap_or_else(|| default.into());
        let mode = text(self.change_mode, "restart");
        let signal = if mode == "signal" { "SIGHUP" } else { "" };
        json!({
            "Role": self.role,
            "Namespace": text(self.namespace, ""),
            "Cluster": if self.cluster.is_empty() { "default" } else { &self.cluster },
            "Env": self.env.unwrap_or(true),
            "DisableFile": self.disable_file.unwrap_or_default(),
            "ChangeMode": mode,
            "ChangeSignal": text(self.change_signal, signal).to_uppercase(),
            "AllowTokenExpiration": self.allow_token_expiration.unwrap_or_default(),
        })
    }
}

impl Consul {
    pub(super) fn canonical(self) -> task::Consul {
        let cluster = if self.cluster.is_empty() { "default".to_owned() } else { self.cluster };
        task::Consul { namespace: self.namespace, cluster, partition: self.partition }
    }
}

impl Secret {
    /// The servers' shape.
    pub(super) fn canonical(self) -> Value {
        json!({
            "Name": self.name,
            "Provider": self.provider,
            "Path": self.path,
            "Config": self.config,
            "Env": self.env,
        })
    }
}
