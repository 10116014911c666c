//! ◆ Policies of jobs and groups as clients send them. Durations are nanoseconds.

use serde::{Deserialize, Serialize};

use super::{Dict, List};
use crate::model::policy;
use crate::model::{JobType, Nanos};

/// How a change is rolled out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UpdateStrategy {
    pub stagger: Option<i64>,
    pub max_parallel: Option<i64>,
    pub health_check: Option<String>,
    pub min_healthy_time: Option<i64>,
    pub healthy_deadline: Option<i64>,
    pub progress_deadline: Option<i64>,
    pub canary: Option<i64>,
    pub auto_revert: Option<bool>,
    pub auto_promote: Option<bool>,
}

/// When a task that ended is started again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartPolicy {
    pub interval: Option<i64>,
    pub attempts: Option<i64>,
    pub delay: Option<i64>,
    pub mode: Option<String>,
    pub render_templates: Option<bool>,
}

/// When a failed allocation is replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ReschedulePolicy {
    pub attempts: Option<i64>,
    pub interval: Option<i64>,
    pub delay: Option<i64>,
    pub delay_function: Option<String>,
    pub max_delay: Option<i64>,
    pub unlimited: Option<bool>,
}

/// How allocations leave a drained node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MigrateStrategy {
    pub max_parallel: Option<i64>,
    pub health_check: Option<String>,
    pub min_healthy_time: Option<i64>,
    pub healthy_deadline: Option<i64>,
}

/// What happens when a node is not heard of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DisconnectStrategy {
    pub lost_after: Option<i64>,
    pub stop_on_client_after: Option<i64>,
    pub replace: Option<bool>,
    pub reconcile: Option<String>,
}

/// When a batch job is launched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PeriodicConfig {
    pub enabled: Option<bool>,
    pub spec: Option<String>,
    pub specs: List<String>,
    pub spec_type: Option<String>,
    pub prohibit_overlap: Option<bool>,
    pub time_zone: Option<String>,
}

/// A job that is a template for dispatched ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ParameterizedJobConfig {
    pub payload: String,
    pub meta_required: List<String>,
    pub meta_optional: List<String>,
}

/// Enterprise; read so that it can be refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Multiregion {
    pub strategy: Option<MultiregionStrategy>,
    pub regions: List<MultiregionRegion>,
}

/// Enterprise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MultiregionStrategy {
    pub max_parallel: Option<i64>,
    pub on_failure: Option<String>,
}

/// Enterprise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MultiregionRegion {
    pub name: String,
    pub count: Option<i64>,
    pub datacenters: List<String>,
    pub node_pool: String,
    pub meta: Dict<String>,
}

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

fn nanos(given: Option<i64>, default: i64) -> Nanos {
    Nanos(given.unwrap_or(default))
}

impl UpdateStrategy {
    /// What a job of type service or system gets when it says nothing.
    pub(super) fn standard() -> Self {
        Self {
            stagger: Some(30 * SECOND),
            max_parallel: Some(1),
            health_check: Some("checks".to_owned()),
            min_healthy_time: Some(10 * SECOND),
            healthy_deadline: Some(5 * MINUTE),
            progress_deadline: Some(10 * MINUTE),
            canary: Some(0),
            auto_revert: Some(false),
            auto_promote: Some(false),
        }
    }

    /// This one, and what it does not say from `base`.
    pub(super) fn over(self, base: Self) -> Self {
        Self {
            stagger: self.stagger.or(base.stagger),
            max_parallel: self.max_parallel.or(base.max_parallel),
            health_check: self.health_check.or(base.health_check),
            min_healthy_time: self.min_healthy_time.or(base.min_healthy_time),
            healthy_deadline: self.healthy_deadline.or(base.healthy_deadline),
            progress_deadline: self.progress_deadline.or(base.progress_deadline),
            canary: self.canary.or(base.canary),
            auto_revert: self.auto_revert.or(base.auto_revert),
            auto_promote: self.auto_promote.or(base.auto_promote),
        }
    }

    /// Whether it says nothing, or zero only. Nomad: groups do not inherit such a one.
    pub(super) fn is_empty(&self) -> bool {
        let zero = |number: Option<i64>| number.unwrap_or_default() == 0;
        zero(self.stagger)
            && zero(self.max_parallel)
            && self.health_check.as_deref().unwrap_or_default().is_empty()
            && zero(self.min_healthy_time)
            && zero(self.healthy_deadline)
            && zero(self.progress_deadline)
            && zero(self.canary)
            && !self.auto_revert.unwrap_or_default()
            && !self.auto_promote.unwrap_or_default()
    }

    pub(super) fn canonical(self) -> policy::UpdateStrategy {
        let full = self.over(Self::standard());
        policy::UpdateStrategy {
            stagger: nanos(full.stagger, 0),
            max_parallel: full.max_parallel.unwrap_or_default(),
            health_check: full.health_check.unwrap_or_default(),
            min_healthy_time: nanos(full.min_healthy_time, 0),
            healthy_deadline: nanos(full.healthy_deadline, 0),
            progress_deadline: nanos(full.progress_deadline, 0),
            auto_revert: full.auto_revert.unwrap_or_default(),
            auto_promote: full.auto_promote.unwrap_or_default(),
            canary: full.canary.unwrap_or_default(),
        }
    }
}

impl RestartPolicy {
    /// What a group of a job of that type gets when it says nothing.
    pub(super) fn standard(kind: JobType) -> Self {
        let (attempts, interval) = match kind {
            JobType::Service | JobType::System => (2, 30 * MINUTE),
            JobType::Batch | JobType::Sysbatch => (3, 24 * HOUR),
        };
        Self {
            attempts: Some(attempts),
            interval: Some(interval),
            delay: Some(15 * SECOND),
            mode: Some("fail".to_owned()),
            render_templates: Some(false),
        }
    }

    /// This one, and what it does not say from `base`.
    pub(super) fn over(self, base: Self) -> Self {
        Self {
            attempts: self.attempts.or(base.attempts),
            interval: self.interval.or(base.interval),
            delay: self.delay.or(base.delay),
            mode: self.mode.or(base.mode),
            render_templates: self.render_templates.or(base.render_templates),
        }
    }

    pub(super) fn canonical(self) -> policy::RestartPolicy {
        policy::RestartPolicy {
            attempts: self.attempts.unwrap_or_default(),
            interval: nanos(self.interval, 0),
            delay: nanos(self.delay, 0),
            mode: self.mode.unwrap_or_default(),
            render_templates: self.render_templates.unwrap_or_default(),
        }
    }
}

impl ReschedulePolicy {
    fn standard(kind: JobType) -> Self {
        let of = |attempts, interval, delay, function: &str, max_delay, unlimited| Self {
            attempts: Some(attempts),
            interval: Some(interval),
            delay: Some(delay),
            delay_function: Some(function.to_owned()),
            max_delay: Some(max_delay),
            unlimited: Some(unlimited),
        };
        match kind {
            JobType::Service => of(0, 0, 30 * SECOND, "exponential", HOUR, true),
            JobType::Batch => of(1, 24 * HOUR, 5 * SECOND, "constant", 0, false),
            JobType::System | JobType::Sysbatch => of(0, 0, 0, "", 0, false),
        }
    }

    /// This one, and what it does not say from `base`.
    pub(super) fn over(self, base: Self) -> Self {
        Self {
            attempts: self.attempts.or(base.attempts),
            interval: self.interval.or(base.interval),
            delay: self.delay.or(base.delay),
            delay_function: self.delay_function.or(base.delay_function),
            max_delay: self.max_delay.or(base.max_delay),
            unlimited: self.unlimited.or(base.unlimited),
        }
    }

    pub(super) fn canonical(self, kind: JobType) -> policy::ReschedulePolicy {
        let full = self.over(Self::standard(kind));
        policy::ReschedulePolicy {
            attempts: full.attempts.unwrap_or_default(),
            interval: nanos(full.interval, 0),
            delay: nanos(full.delay, 0),
            delay_function: full.delay_function.unwrap_or_default(),
            max_delay: nanos(full.max_delay, 0),
            unlimited: full.unlimited.unwrap_or_default(),
        }
    }
}

impl MigrateStrategy {
    /// This one, and what it does not say from `base`.
    pub(super) fn over(self, base: Self) -> Self {
        Self {
            max_parallel: self.max_parallel.or(base.max_parallel),
            health_check: self.health_check.or(base.health_check),
            min_healthy_time: self.min_healthy_time.or(base.min_healthy_time),
            healthy_deadline: self.healthy_deadline.or(base.healthy_deadline),
        }
    }

    pub(super) fn canonical(self) -> policy::MigrateStrategy {
        policy::MigrateStrategy {
            max_parallel: self.max_parallel.unwrap_or(1),
            health_check: self.health_check.unwrap_or_else(|| "checks".to_owned()),
            min_healthy_time: nanos(self.min_healthy_time, 10 * SECOND),
            healthy_deadline: nanos(self.healthy_deadline, 5 * MINUTE),
        }
    }
}

impl DisconnectStrategy {
    pub(super) fn canonical(self) -> policy::DisconnectStrategy {
        policy::DisconnectStrategy {
            lost_after: nanos(self.lost_after, 0),
            stop_on_client_after: self.stop_on_client_after.map(Nanos),
            replace: Some(self.replace.unwrap_or(true)),
            reconcile: self
                .reconcile
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| "best_score".to_owned()),
        }
    }
}

impl PeriodicConfig {
    pub(super) fn canonical(self) -> policy::PeriodicConfig {
        let text = |given: Option<String>, default: &str| {
            given.filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned())
        };
        policy::PeriodicConfig {
            enabled: self.enabled.unwrap_or(true),
            spec: self.spec.unwrap_or_default(),
            specs: self.specs.unwrap_or_default(),
            spec_type: text(self.spec_type, "cron"),
            prohibit_overlap: self.prohibit_overlap.unwrap_or_default(),
            time_zone: text(self.time_zone, "UTC"),
        }
    }
}

impl ParameterizedJobConfig {
    pub(super) fn canonical(self) -> policy::ParameterizedJobConfig {
        let payload = if self.payload.is_empty() { "optional".to_owned() } else { self.payload };
        policy::ParameterizedJobConfig {
            payload,
            meta_required: self.meta_required.unwrap_or_default(),
            meta_optional: self.meta_optional.unwrap_or_default(),
        }
    }
}
