//! ◆ What a deployment needs: the next step when allocations are healthy, replacements for unhealthy ones, an end
//! when there is no progress, the way back to the last stable version, promotion.
//!
//! ```text
//! running ──all healthy (the scheduler says so)──▶ successful
//!    │ └─canaries healthy, auto_promote──▶ promoted ──▶ running
//!    ├──no progress by the deadline──────────────┐
//!    ├──unhealthy, and no deadline is set────────┼──▶ failed ──auto_revert──▶ the job is the last stable version again
//!    └──unhealthy, and no replacement is allowed─┘
//! paused: nothing is done
//! ```
//!
//! Level-triggered: [`look`] says what the present state needs; [`Memory`] keeps what was already done about it.

use std::sync::Arc;

use crate::model::deployment::DeploymentState;
use crate::model::plan::DeploymentStatusUpdate;
use crate::model::{AllocId, Allocation, Deployment, DeploymentStatus, Index, Job, Timestamp};
use crate::scheduler::reschedule;

/// A deployment and what belongs to it.
#[derive(Debug)]
pub struct View<'a> {
    /// The deployment.
    pub deployment: &'a Deployment,
    /// Its allocations.
    pub allocs: Vec<Arc<Allocation>>,
    /// The kept versions of its job, newest first.
    pub versions: Vec<Arc<Job>>,
}

/// What was already done about a deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Health up to this index led to an evaluation.
    pub handled: Index,
}

/// What a deployment needs.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The scheduler should look: somebody is healthy.
    Evaluate,
    /// These failed or are unhealthy and may be replaced; the scheduler should look.
    Replace(Vec<AllocId>),
    /// All canaries are healthy.
    Promote,
    /// It is given up; the job goes back to the version that is given, if one is.
    Fail(DeploymentStatusUpdate, Option<Box<Job>>),
}

/// What the deployment needs now.
pub fn look(view: &View<'_>, memory: &mut Memory, now: Timestamp) -> Vec<Action> {
    let deployment = view.deployment;
    match deployment.status {
        DeploymentStatus::Running | DeploymentStatus::Initializing => {}
        DeploymentStatus::Pending
        | DeploymentStatus::Paused
        | DeploymentStatus::Blocked
        | DeploymentStatus::Unblocking
        | DeploymentStatus::Successful
        | DeploymentStatus::Failed
        | DeploymentStatus::Cancelled => return Vec::new(),
    }
    if let Some(why) = failure(view, now) {
        return vec![fail(view, why)];
    }
    let mut actions = Vec::new();
    let replace: Vec<AllocId> =
        view.allocs.iter().filter(|alloc| wants_replacement(alloc)).map(|a| a.id.clone()).collect();
    if !replace.is_empty() {
        actions.push(Action::Replace(replace));
    }
    let news = view.allocs.iter().filter_map(|alloc| healthy_since(alloc)).max().unwrap_or(0);
    if news > memory.handled {
        memory.handled = news;
        actions.push(Action::Evaluate);
    }
    if may_promote(view) {
        actions.push(Action::Promote);
    }
    actions
}

/// When to look again though nothing changes.
pub fn deadline(deployment: &Deployment) -> Option<Timestamp> {
    if deployment.status != DeploymentStatus::Running {
        return None;
    }
    let waiting = deployment.task_groups.values().filter(|group| lacks_progress(group));
    waiting.map(|group| group.require_progress_by).min()
}

fn healthy_since(alloc: &Allocation) -> Option<Index> {
    let status = alloc.deployment_status.as_ref()?;
    (status.healthy == Some(true)).then_some(status.modify_index)
}

fn is_unhealthy(alloc: &Allocation) -> bool {
    alloc.deployment_status.as_ref().is_some_and(|status| status.healthy == Some(false))
}

/// Unhealthy or failed, not replaced yet and not marked for it.
fn wants_replacement(alloc: &Allocation) -> bool {
    let failed = is_unhealthy(alloc) || alloc.client_status == crate::model::ClientStatus::Failed;
    failed
        && !alloc.is_server_terminal()
        && alloc.next_allocation.is_empty()
        && !alloc.desired_transition.should_reschedule()
}

/// Whether the group still owes healthy allocations by a deadline. One that only waits for a promotion does not.
fn lacks_progress(group: &DeploymentState) -> bool {
    let owes = if group.desired_canaries > 0 && !group.promoted {
        group.healthy_allocs < group.desired_canaries
    } else {
        group.healthy_allocs < group.desired_total
    };
    owes && group.progress_deadline.0 > 0 && !group.require_progress_by.is_never()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    NoProgress,
    Unhealthy,
}

fn failure(view: &View<'_>, now: Timestamp) -> Option<Why> {
    let groups = &view.deployment.task_groups;
    if groups.values().any(|group| lacks_progress(group) && group.require_progress_by <= now) {
        return Some(Why::NoProgress);
    }
    let lost_cause = |alloc: &&Arc<Allocation>| {
        let Some(group) = groups.get(&alloc.task_group) else { return false };
        let no_deadline = group.progress_deadline.0 == 0;
        is_unhealthy(alloc)
            && alloc.next_allocation.is_empty()
            && !alloc.is_server_terminal()
            && (no_deadline || !may_be_replaced(alloc))
    };
    view.allocs.iter().any(|alloc| lost_cause(&alloc)).then_some(Why::Unhealthy)
}

/// Whether attempts are left. A group without a policy waits for the deadline, as a person may still help.
fn may_be_replaced(alloc: &Allocation) -> bool {
    let Some(policy) = alloc.group().and_then(|group| group.reschedule_policy.as_ref()) else {
        return true;
    };
    if policy.unlimited || policy.attempts == 0 {
        return true;
    }
    let used = alloc.reschedule_tracker.as_ref().map_or(0, |tracker| tracker.events.len());
    i64::try_from(used).unwrap_or(i64::MAX) < policy.attempts
        && reschedule::next_delay(alloc) < policy.interval
}

fn fail(view: &View<'_>, why: Why) -> Action {
    let text = match why {
        Why::NoProgress => "Failed due to progress deadline",
        Why::Unhealthy => "Failed due to unhealthy allocations",
    };
    let reverts = view.deployment.task_groups.values().any(|group| {
        let guilty = match why {
            Why::NoProgress => lacks_progress(group),
            Why::Unhealthy => group.unhealthy_allocs > 0,
        };
        guilty && group.auto_revert
    });
    let (text, revert) = if reverts {
        rollback(view.deployment, &view.versions, text)
    } else {
        (text.to_owned(), None)
    };
    Action::Fail(status(view.deployment, &text), revert.map(Box::new))
}

fn status(deployment: &Deployment, text: &str) -> DeploymentStatusUpdate {
    DeploymentStatusUpdate {
        deployment_id: deployment.id.clone(),
        status: DeploymentStatus::Failed,
        status_description: text.to_owned(),
    }
}

/// The version to go back to, and the sentence that says so.
pub fn rollback(
    deployment: &Deployment,
    versions: &[Arc<Job>],
    text: &str,
) -> (String, Option<Job>) {
    let current = versions.iter().find(|job| job.version == deployment.job_version);
    let stable = versions.iter().find(|job| job.stable && job.version < deployment.job_version);
    let (Some(stable), Some(current)) = (stable, current) else {
        return (format!("{text} - no stable job version to auto revert to"), None);
    };
    let back = Job {
        version: current.version,
        create_index: current.create_index,
        modify_index: current.modify_index,
        job_modify_index: current.job_modify_index,
        status: current.status,
        status_description: current.status_description.clone(),
        stable: current.stable,
        submit_time: current.submit_time,
        nomad_token_id: current.nomad_token_id.clone(),
        version_tag: current.version_tag.clone(),
        ..Job::clone(stable)
    };
    if back == **current {
        let text = format!(
            "{text} - not rolling back to stable job version {} as current job has same specification",
            stable.version
        );
        return (text, None);
    }
    (format!("{text} - rolling back to job version {}", stable.version), Some(back))
}

/// Whether all canaries are healthy and every group that has some wants to be promoted by itself.
fn may_promote(view: &View<'_>) -> bool {
    let mut with_canaries = view
        .deployment
        .task_groups
        .iter()
        .filter(|(_, group)| group.desired_canaries > 0)
        .peekable();
    let healthy = |name: &str| {
        let of_group = |alloc: &&Arc<Allocation>| {
            alloc.task_group == name
                && !alloc.is_terminal()
                && alloc
                    .deployment_status
                    .as_ref()
                    .is_some_and(|status| status.canary && status.healthy == Some(true))
        };
        i64::try_from(view.allocs.iter().filter(of_group).count()).unwrap_or(i64::MAX)
    };
    view.deployment.requires_promotion()
        && with_canaries.peek().is_some()
        && with_canaries.all(|(name, group)| {
            group.auto_promote && (group.promoted || healthy(name) >= group.desired_canaries)
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::allocation::AllocDeploymentStatus;
    use crate::model::{ClientStatus, Nanos};

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    fn deployment(change: impl FnOnce(&mut DeploymentState)) -> Deployment {
        let mut group = DeploymentState {
            desired_total: 2,
            progress_deadline: Nanos::from_secs(60),
            require_progress_by: NOW.plus(Nanos::from_secs(60)),
            ..DeploymentState::default()
        };
        change(&mut group);
        Deployment {
            id: "d".into(),
            job_version: 1,
            status: DeploymentStatus::Running,
            task_groups: BTreeMap::from([("app".to_owned(), group)]),
            ..Deployment::default()
        }
    }

    fn alloc(id: &str, healthy: Option<bool>, index: Index) -> Arc<Allocation> {
        Arc::new(Allocation {
            id: id.into(),
            task_group: "app".into(),
            deployment_status: Some(AllocDeploymentStatus {
                healthy,
                modify_index: index,
                ..AllocDeploymentStatus::default()
            }),
            ..Allocation::default()
        })
    }

    fn job(version: u64, stable: bool, priority: i64) -> Arc<Job> {
        Arc::new(Job { priority, stable, version, ..Job::default() })
    }

    fn view(deployment: &Deployment, allocs: Vec<Arc<Allocation>>) -> View<'_> {
        View { deployment, allocs, versions: vec![job(1, false, 2), job(0, true, 1)] }
    }

    #[test]
    fn health_leads_to_one_evaluation() {
        let running = deployment(|_| {});
        let mut memory = Memory::default();
        let view = view(&running, vec![alloc("a", Some(true), 7), alloc("b", None, 0)]);
        assert_eq!(look(&view, &mut memory, NOW), [Action::Evaluate]);
        assert_eq!(look(&view, &mut memory, NOW), []);
    }

    #[test]
    fn an_unhealthy_one_is_replaced_once() {
        let running = deployment(|_| {});
        let mut marked = Allocation::clone(&alloc("b", Some(false), 7));
        marked.desired_transition.reschedule = Some(true);
        let view = view(&running, vec![alloc("a", Some(false), 7), Arc::new(marked)]);
        let actions = look(&view, &mut Memory::default(), NOW);
        assert_eq!(actions, [Action::Replace(vec!["a".into()])]);
    }

    #[test]
    fn one_that_ended_badly_before_it_was_healthy_is_replaced() {
        let running = deployment(|_| {});
        let mut failed = Allocation::clone(&alloc("a", None, 0));
        failed.client_status = ClientStatus::Failed;
        let view = view(&running, vec![Arc::new(failed)]);
        assert_eq!(look(&view, &mut Memory::default(), NOW), [Action::Replace(vec!["a".into()])]);
    }

    #[test]
    fn without_a_deadline_the_first_unhealthy_one_fails_it() {
        let running = deployment(|group| group.progress_deadline = Nanos::ZERO);
        let view = view(&running, vec![alloc("a", Some(false), 7)]);
        let actions = look(&view, &mut Memory::default(), NOW);
        let [Action::Fail(update, None)] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!(update.status_description, "Failed due to unhealthy allocations");
    }

    #[test]
    fn no_progress_fails_it_and_goes_back_to_the_last_stable_version() {
        let running = deployment(|group| group.auto_revert = true);
        let view = view(&running, vec![alloc("a", None, 0)]);
        let due = deadline(&running).unwrap();
        assert!(look(&view, &mut Memory::default(), NOW).is_empty());
        let actions = look(&view, &mut Memory::default(), due);
        let [Action::Fail(update, Some(back))] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!(
            update.status_description,
            "Failed due to progress deadline - rolling back to job version 0"
        );
        assert_eq!(back.priority, 1);
    }

    #[test]
    fn it_does_not_go_back_to_the_same_specification() {
        let running = deployment(|_| {});
        let versions = [job(1, false, 1), job(0, true, 1)];
        let (text, back) = rollback(&running, &versions, "Failed");
        assert!(back.is_none() && text.contains("same specification"), "{text}");
    }

    #[test]
    fn one_that_waits_for_promotion_has_no_deadline_and_promotes_itself_if_it_may() {
        let canarying = deployment(|group| {
            group.desired_canaries = 1;
            group.healthy_allocs = 1;
            group.auto_promote = true;
        });
        assert_eq!(deadline(&canarying), None);
        let mut canary = Allocation::clone(&alloc("a", Some(true), 7));
        canary.deployment_status.as_mut().unwrap().canary = true;
        let view = view(&canarying, vec![Arc::new(canary)]);
        let actions = look(&view, &mut Memory { handled: 7 }, NOW);
        assert_eq!(actions, [Action::Promote]);
    }

    #[test]
    fn a_paused_one_is_left_alone() {
        let mut paused = deployment(|group| group.progress_deadline = Nanos::ZERO);
        paused.status = DeploymentStatus::Paused;
        let view = view(&paused, vec![alloc("a", Some(false), 7)]);
        assert!(look(&view, &mut Memory::default(), Timestamp(i64::MAX)).is_empty());
    }
}
