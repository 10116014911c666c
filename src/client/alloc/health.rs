//! ◆ Whether an allocation counts as healthy in its deployment.
//!
//! ```text
//!  Watching ── all tasks run, and the last has for min_healthy_time ──▶ Healthy
//!      ├────── a task is dead that should not be ─────────────────────▶ Unhealthy
//!      └────── healthy_deadline has passed ───────────────────────────▶ Unhealthy
//! ```
//!
//! A task that is started again puts the clock back. Checks of services are not looked at yet.

use std::collections::BTreeMap;

use super::lifecycle::Role;
use crate::client::task::duration;
use crate::model::allocation::TaskPhase;
use crate::model::{Allocation, JobType, Nanos, TaskState, Timestamp};

/// What makes an allocation healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long everything must run.
    pub min_healthy_time: Nanos,
    /// How long it may take until then.
    pub healthy_deadline: Nanos,
}

impl Terms {
    /// The terms for `alloc`; none when nobody waits for its health, or a person decides it.
    pub fn of(alloc: &Allocation) -> Option<Self> {
        let decided =
            alloc.deployment_status.as_ref().is_some_and(|status| status.healthy.is_some());
        let (job, group) = (alloc.job.as_ref()?, alloc.group()?);
        if decided || alloc.is_server_terminal() {
            return None;
        }
        if !alloc.deployment_id.is_empty() {
            let update = group.update.as_ref().filter(|update| update.health_check != "manual")?;
            return Some(Self {
                min_healthy_time: update.min_healthy_time,
                healthy_deadline: update.healthy_deadline,
            });
        }
        // Nomad: without a deployment health matters to a drain, which knows service jobs only.
        let migrate = group.migrate.as_ref().filter(|_| job.kind == JobType::Service)?;
        Some(Self {
            min_healthy_time: migrate.min_healthy_time,
            healthy_deadline: migrate.healthy_deadline,
        })
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Look again when a task changes, at the latest at this time.
    Undecided(Timestamp),
    /// It is.
    Healthy,
    /// It is not, and why, by task.
    Unhealthy(BTreeMap<String, String>),
}

/// Looks at the tasks. `since` is when the watching began.
pub fn look(
    terms: Terms,
    since: Timestamp,
    tasks: &BTreeMap<String, (Role, TaskState)>,
    now: Timestamp,
) -> Verdict {
    let deadline = since.plus(terms.healthy_deadline);
    let counted = || tasks.iter().filter(|(_, (role, state))| counts(*role, state));
    if counted().any(|(_, (_, state))| state.state == TaskPhase::Dead) {
        return Verdict::Unhealthy(reasons(terms, tasks));
    }
    let mut healthy_at = None;
    if counted().all(|(_, (_, state))| state.state == TaskPhase::Running) {
        let latest = counted().map(|(_, (_, state))| state.started_at).max().unwrap_or(since);
        healthy_at = Some(latest.plus(terms.min_healthy_time));
    }
    match healthy_at {
        Some(at) if now >= at && at <= deadline => Verdict::Healthy,
        Some(_) | None if now >= deadline => Verdict::Unhealthy(reasons(terms, tasks)),
        Some(at) => Verdict::Undecided(at.min(deadline)),
        None => Verdict::Undecided(deadline),
    }
}

fn counts(role: Role, state: &TaskState) -> bool {
    match role {
        Role::Poststop => false,
        Role::Prestart | Role::Poststart => !state.is_successful(),
        Role::Main | Role::PrestartSidecar | Role::PoststartSidecar => true,
    }
}

fn reasons(terms: Terms, tasks: &BTreeMap<String, (Role, TaskState)>) -> BTreeMap<String, String> {
    let deadline = duration::go(terms.healthy_deadline);
    tasks
        .iter()
        .filter(|(_, (role, state))| counts(*role, state))
        .map(|(task, (_, state))| {
            let reason = match state.state {
                TaskPhase::Dead => "Unhealthy because of dead task".to_owned(),
                TaskPhase::Pending => format!("Task not running by healthy_deadline of {deadline}"),
                TaskPhase::Running => format!(
                    "Task not running for min_healthy_time of {} by healthy_deadline of {deadline}",
                    duration::go(terms.min_healthy_time)
                ),
            };
            (task.clone(), reason)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { min_healthy_time: Nanos(10), healthy_deadline: Nanos(100) };

    fn tasks(list: &[(Role, TaskPhase, i64)]) -> BTreeMap<String, (Role, TaskState)> {
        list.iter()
            .enumerate()
            .map(|(n, (role, state, started))| {
                let state = TaskState {
                    state: *state,
                    started_at: Timestamp(*started),
                    ..TaskState::default()
                };
                (format!("t{n}"), (*role, state))
            })
            .collect()
    }

    fn at(list: &[(Role, TaskPhase, i64)], now: i64) -> Verdict {
        look(TERMS, Timestamp(1000), &tasks(list), Timestamp(now))
    }

    #[test]
    fn healthy_when_the_last_task_has_run_long_enough() {
        let both = [(Role::Main, TaskPhase::Running, 1001), (Role::Main, TaskPhase::Running, 1020)];
        assert_eq!(at(&both, 1029), Verdict::Undecided(Timestamp(1030)));
        assert_eq!(at(&both, 1030), Verdict::Healthy);
    }

    #[test]
    fn a_pending_task_is_waited_for_until_the_deadline() {
        let one = [(Role::Main, TaskPhase::Pending, 1001)];
        assert_eq!(at(&one, 1050), Verdict::Undecided(Timestamp(1100)));
        let Verdict::Unhealthy(reasons) = at(&one, 1100) else { panic!("not unhealthy") };
        assert_eq!(reasons["t0"], "Task not running by healthy_deadline of 100ns");
    }

    #[test]
    fn a_dead_main_task_is_unhealthy_at_once_and_a_finished_prestart_is_not() {
        assert!(matches!(at(&[(Role::Main, TaskPhase::Dead, 1001)], 1002), Verdict::Unhealthy(_)));
        let list =
            [(Role::Prestart, TaskPhase::Dead, 1001), (Role::Main, TaskPhase::Running, 1005)];
        assert_eq!(at(&list, 1015), Verdict::Healthy);
        let late = [(Role::Main, TaskPhase::Running, 1095)];
        assert!(matches!(at(&late, 1105), Verdict::Unhealthy(_)));
    }
}
