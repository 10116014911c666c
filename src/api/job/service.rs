//! ◆ Services and checks as clients send them.

use serde::{Deserialize, Serialize};

use super::connect::ConsulConnect;
use super::identity::WorkloadIdentity;
use super::{Dict, List, list};
use crate::model::{Nanos, service};

/// A service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Service {
    pub name: String,
    pub tags: List<String>,
    pub canary_tags: List<String>,
    pub enable_tag_override: bool,
    pub port_label: String,
    pub address_mode: String,
    pub address: String,
    pub checks: List<ServiceCheck>,
    pub check_restart: Option<CheckRestart>,
    pub connect: Option<ConsulConnect>,
    pub meta: Dict<String>,
    pub canary_meta: Dict<String>,
    pub tagged_addresses: Dict<String>,
    pub task_name: String,
    pub on_update: String,
    pub identity: Option<WorkloadIdentity>,
    pub weights: Option<ServiceWeights>,
    pub provider: String,
    pub cluster: String,
    pub kind: String,
    /// Servers show it; what clients send here is ignored.
    #[serde(skip_serializing)]
    pub namespace: String,
}

/// Consul's weights of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceWeights {
    pub passing: i64,
    pub warning: i64,
}

/// How a service's health is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "Nomad's check has these flags")]
pub struct ServiceCheck {
    pub name: String,
    #[serde(rename = "Type")]
    pub kind: String,
    pub command: String,
    pub args: List<String>,
    pub path: String,
    pub protocol: String,
    pub port_label: String,
    pub expose: bool,
    pub address_mode: String,
    pub advertise: String,
    pub interval: i64,
    pub timeout: i64,
    pub initial_status: String,
    pub notes: String,
    #[serde(rename = "TLSServerName")]
    pub tls_server_name: String,
    #[serde(rename = "TLSSkipVerify")]
    pub tls_skip_verify: bool,
    pub header: Dict<List<String>>,
    pub method: String,
    pub check_restart: Option<CheckRestart>,
    #[serde(rename = "GRPCService")]
    pub grpc_service: String,
    #[serde(rename = "GRPCUseTLS")]
    pub grpc_use_tls: bool,
    pub task_name: String,
    pub success_before_passing: i64,
    pub failures_before_critical: i64,
    pub failures_before_warning: i64,
    pub body: String,
    pub on_update: String,
}

/// When a failing check restarts the task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CheckRestart {
    pub limit: i64,
    pub grace: Option<i64>,
    pub ignore_warnings: bool,
}

/// Whose service it is: names that a service's name may refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) namespace: &'a str,
    pub(super) job: &'a str,
    pub(super) group: &'a str,
    pub(super) task: Option<&'a str>,
}

impl Owner<'_> {
    /// The owner's part of an identity's name.
    fn label(&self) -> &str {
        self.task.unwrap_or("group")
    }

    fn base(&self) -> String {
        format!("{}-{}-{}", self.job, self.group, self.label())
    }

    fn expand(&self, name: &str) -> String {
        name.replace("${JOB}", self.job)
            .replace("${TASKGROUP}", self.group)
            .replace("${TASK}", self.label())
            .replace("${BASE}", &self.base())
    }
}

impl Service {
    pub(super) fn canonical(self, owner: Owner<'_>) -> service::Service {
        let or = |given: String, default: &str| {
            if given.is_empty() { default.to_owned() } else { given }
        };
        let name = match (self.name.is_empty(), owner.task) {
            (false, _) => owner.expand(&self.name),
            (true, Some(_)) => owner.base(),
            (true, None) => format!("{}-{}", owner.job, owner.group),
        };
        let on_update = or(self.on_update, "require_healthy");
        let task_name = owner.task.map_or(self.task_name, ToOwned::to_owned);
        let restart = self.check_restart;
        let checks = list(self.checks, |check| {
            let mut check = check.canonical(&name, restart.as_ref(), &on_update);
            if owner.task.is_some() {
                check.task_name.clone_from(&task_name);
            }
            check
        });
        let identity = self.identity.map(|identity| {
            let mut identity = identity.canonical();
            let task = if task_name.is_empty() { String::new() } else { format!("{task_name}-") };
            identity.name = format!("consul-service_{task}{name}-{}", self.port_label);
            identity.service_name.clone_from(&name);
            identity
        });
        service::Service {
            task_name,
            port_label: self.port_label,
            address_mode: or(self.address_mode, "auto"),
            address: self.address,
            enable_tag_override: self.enable_tag_override,
            tags: self.tags.unwrap_or_default(),
            canary_tags: self.canary_tags.unwrap_or_default(),
            checks,
            connect: self.connect.map(ConsulConnect::canonical),
            meta: self.meta.unwrap_or_default(),
            canary_meta: self.canary_meta.unwrap_or_default(),
            tagged_addresses: self.tagged_addresses.unwrap_or_default(),
            namespace: owner.namespace.to_owned(),
            on_update,
            provider: or(self.provider, "consul"),
            cluster: or(self.cluster, "default"),
            kind: self.kind,
            identity,
            weights: self.weights.map(|weights| service::Weights {
                passing: weights.passing,
                warning: weights.warning,
            }),
            name,
        }
    }
}

impl ServiceCheck {
    fn canonical(
        self,
        service: &str,
        restart: Option<&CheckRestart>,
        on_update: &str,
    ) -> service::ServiceCheck {
        let or = |given: String, default: &str| {
            if given.is_empty() { default.to_owned() } else { given }
        };
        let header = self.header.unwrap_or_default();
        service::ServiceCheck {
            name: or(self.name, &format!("service: \"{service}\" check")),
            kind: self.kind.to_lowercase(),
            command: self.command,
            args: self.args.unwrap_or_default(),
            path: self.path,
            protocol: self.protocol,
            port_label: self.port_label,
            expose: self.expose,
            address_mode: self.address_mode,
            interval: Nanos(self.interval),
            timeout: Nanos(self.timeout),
            initial_status: self.initial_status,
            tls_server_name: self.tls_server_name,
            tls_skip_verify: self.tls_skip_verify,
            method: self.method,
            header: header
                .into_iter()
                .map(|(name, values)| (canonical_header(&name), values.unwrap_or_default()))
                .collect(),
            check_restart: CheckRestart::canonical(self.check_restart, restart),
            grpc_service: self.grpc_service,
            grpc_use_tls: self.grpc_use_tls,
            task_name: self.task_name,
            success_before_passing: self.success_before_passing,
            failures_before_critical: self.failures_before_critical,
            failures_before_warning: self.failures_before_warning,
            body: self.body,
            on_update: or(self.on_update, on_update),
            notes: self.notes,
        }
    }
}

impl CheckRestart {
    /// A check's own, and what it does not say from the service's.
    fn canonical(own: Option<Self>, service: Option<&Self>) -> Option<service::CheckRestart> {
        let own = own.or_else(|| service.cloned())?;
        let base = service.cloned().unwrap_or_default();
        Some(service::CheckRestart {
            limit: if own.limit == 0 { base.limit } else { own.limit },
            grace: Nanos(own.grace.or(base.grace).unwrap_or(1_000_000_000)),
            ignore_warnings: own.ignore_warnings || base.ignore_warnings,
        })
    }
}

/// `x-some-name` as Go writes header names: `X-Some-Name`. Names with other characters stay as they are.
fn canonical_header(name: &str) -> String {
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)) {
        return name.to_owned();
    }
    let mut start = true;
    name.chars()
        .map(|c| {
            let c = if start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            start = c == '-';
            c
        })
        .collect()
}
