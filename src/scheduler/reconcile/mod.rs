//! ◆ What is there against what is wanted, for service and batch jobs.
//!
//! ```text
//! allocations of a group
//!   ├ stale canaries                      → stop
//!   ├ by what became of the node          → migrate, lost, disconnecting, reconnecting   (set.rs)
//!   ├ failed                              → replaced now, later or never                 (reschedule.rs)
//!   ├ more than wanted                    → stop, highest names first                    (stop.rs)
//!   ├ of an older version                 → ignore, in place, destructive                (updated.rs)
//!   └ fewer than wanted                   → place, lowest free names first
//! ```
//!
//! How many are replaced at once follows from the deployment (deployment.rs). Nothing is placed here: the result says
//! which names want a place.

mod deployment;
mod group;
mod names;
mod set;
mod stop;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

pub use set::{Set, by_node, ran_successfully};

use super::input::Input;
use super::placer::Placer;
use crate::model::plan::{DeploymentStatusUpdate, DesiredUpdates};
use crate::model::{
    Allocation, ClientStatus, Deployment, DeploymentId, DeploymentStatus, EvalId, Evaluation, Job,
    Timestamp,
};

/// Why an allocation is stopped, in Nomad's words.
pub mod reason {
    /// The job changed or there are too many.
    pub const NOT_NEEDED: &str = "alloc not needed due to job update";
    /// It is replaced by a newer version.
    pub const UPDATING: &str = "alloc is being updated due to job update";
    /// It moves to another node.
    pub const MIGRATING: &str = "alloc is being migrated";
    /// It failed and is replaced.
    pub const RESCHEDULED: &str = "alloc was rescheduled because it failed";
    /// Its node is down.
    pub const LOST: &str = "alloc is lost since its node is down";
    /// Its node is not heard of.
    pub const UNKNOWN: &str = "alloc is unknown since its node is disconnected";
    /// It came back and another took its place.
    pub const RECONNECTED: &str = "alloc not needed due to disconnected client reconnect";
    /// A node it may not be on.
    pub const TAINTED: &str = "alloc not needed as node is tainted";
}

/// What is to be changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// New allocations.
    pub place: Vec<Place>,
    /// Allocations whose place a new version takes.
    pub replace: Vec<Arc<Allocation>>,
    /// Allocations as they become where they are.
    pub in_place: Vec<Allocation>,
    /// Allocations that end.
    pub stop: Vec<Stop>,
    /// Allocations that change in nothing but what the servers note of them.
    pub notes: Vec<Allocation>,
    /// The job's deployment, if it is new or changed.
    pub deployment: Option<Deployment>,
    /// The deployment that placements of this version belong to.
    pub deployment_id: DeploymentId,
    /// Deployments that end.
    pub deployment_updates: Vec<DeploymentStatusUpdate>,
    /// Counts for people.
    pub desired: BTreeMap<String, DesiredUpdates>,
    /// Evaluations that follow at a time.
    pub follow_ups: Vec<Evaluation>,
}

/// An allocation that wants a place.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// The job, perhaps in an older version.
    pub job: Arc<Job>,
    /// The one it replaces.
    pub previous: Option<Arc<Allocation>>,
    /// Why that one is stopped, if this is what stops it: it goes on when there is no place for its replacement.
    pub stops: Option<&'static str>,
    /// Whether the previous one failed.
    pub reschedule: bool,
    /// Whether it is a canary.
    pub canary: bool,
}

/// An allocation that ends.
#[derive(Debug, Clone)]
pub struct Stop {
    /// Which.
    pub alloc: Arc<Allocation>,
    /// What becomes of it when its node cannot say.
    pub client_status: Option<ClientStatus>,
    /// Why.
    pub reason: &'static str,
    /// The evaluation that looks at it again.
    pub follow_up: EvalId,
}

/// Compares, for one evaluation.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts about the deployment, each of its own")]
pub struct Reconciler<'p, 'a> {
    input: &'a Input<'a>,
    placer: &'p mut Placer<'a>,
    now: Timestamp,
    is_batch: bool,
    /// The deployment of this version of the job that goes on.
    deployment: Option<Deployment>,
    /// The one before.
    old_deployment: Option<Arc<Deployment>>,
    deployment_is_new: bool,
    canaries_changed: bool,
    paused: bool,
    failed: bool,
    changes: Changes,
}

impl<'p, 'a> Reconciler<'p, 'a> {
    /// For this input.
    pub fn new(input: &'a Input<'a>, placer: &'p mut Placer<'a>, now: Timestamp) -> Self {
        Self {
            input,
            placer,
            now,
            is_batch: input.kind() == crate::model::JobType::Batch,
            deployment: None,
            old_deployment: None,
            deployment_is_new: false,
            canaries_changed: false,
            paused: false,
            failed: false,
            changes: Changes::default(),
        }
    }

    /// What is to be changed.
    pub fn reconcile(mut self) -> Changes {
        self.adopt_deployment();
        let job = self.input.job.clone().filter(|job| !job.is_stopped());
        let Some(job) = job else {
            self.stop_all(&self.input.allocs.clone());
            return self.changes;
        };
        let mut groups: BTreeMap<&str, Set> =
            job.task_groups.iter().map(|group| (group.name.as_str(), Set::new())).collect();
        let mut orphans = Set::new();
        for alloc in &self.input.allocs {
            match groups.get_mut(alloc.task_group.as_str()) {
                Some(set) => set.push(Arc::clone(alloc)),
                None => orphans.push(Arc::clone(alloc)),
            }
        }
        self.stop_all(&orphans);
        let mut complete = true;
        for group in &job.task_groups {
            let mut allocs = groups.remove(group.name.as_str()).unwrap_or_default();
            allocs.sort_by(|a, b| {
                (a.index(), a.create_index, &a.id).cmp(&(b.index(), b.create_index, &b.id))
            });
            complete &= self.group(&job, group, allocs);
        }
        self.changes.deployment_id = self.deployment_id();
        self.settle_deployment(complete);
        self.drop_moot_notes();
        self.changes
    }

    /// What is stopped or replaced anyway needs no note.
    fn drop_moot_notes(&mut self) {
        let Changes { notes, stop, replace, .. } = &mut self.changes;
        let stopped = stop.iter().map(|stop| &stop.alloc.id);
        let gone: HashSet<_> = stopped.chain(replace.iter().map(|alloc| &alloc.id)).collect();
        notes.retain(|note| !gone.contains(&note.id));
    }

    /// Nothing of these should be.
    fn stop_all(&mut self, allocs: &[Arc<Allocation>]) {
        let sorted = by_node(allocs.to_vec(), self.input.lookup, self.now);
        let running = |set: Set| set.into_iter().filter(|a| !a.is_terminal());
        let alive = [sorted.untainted, sorted.migrate, sorted.reconnecting, sorted.disconnecting];
        for alloc in alive.into_iter().flat_map(running) {
            self.count(&alloc.task_group, |d| d.stop += 1);
            self.stop(alloc, reason::NOT_NEEDED);
        }
        for alloc in running(sorted.lost) {
            self.count(&alloc.task_group, |d| d.stop += 1);
            self.stop_lost(alloc);
        }
        for alloc in &sorted.ignore {
            self.count(&alloc.task_group, |d| d.ignore += 1);
        }
    }

    fn count(&mut self, group: &str, change: impl FnOnce(&mut DesiredUpdates)) {
        if let Some(desired) = self.changes.desired.get_mut(group) {
            change(desired);
        } else {
            change(self.changes.desired.entry(group.to_owned()).or_default());
        }
    }

    fn stop(&mut self, alloc: Arc<Allocation>, reason: &'static str) {
        let follow_up = EvalId::default();
        self.changes.stop.push(Stop { alloc, client_status: None, reason, follow_up });
    }

    fn stop_lost(&mut self, alloc: Arc<Allocation>) {
        let client_status = Some(ClientStatus::Lost);
        let follow_up = EvalId::default();
        self.changes.stop.push(Stop { alloc, client_status, reason: reason::LOST, follow_up });
    }

    /// An evaluation of this job that waits until `at`.
    fn follow_up(&mut self, at: Timestamp, kind: FollowUp) -> EvalId {
        let eval = self.input.eval;
        let id = EvalId::from(self.placer.fresh_id());
        let (triggered_by, text) = match kind {
            FollowUp::Reschedule => {
                (crate::model::EvalTrigger::AllocReschedule, "created for delayed rescheduling")
            }
            FollowUp::Disconnect => (
                crate::model::EvalTrigger::MaxDisconnectTimeout,
                "created for delayed disconnect timeout",
            ),
        };
        self.changes.follow_ups.push(Evaluation {
            id: id.clone(),
            namespace: eval.namespace.clone(),
            priority: eval.priority,
            kind: self.input.kind().as_str().to_owned(),
            triggered_by,
            job_id: eval.job_id.clone(),
            job_modify_index: eval.job_modify_index,
            status_description: text.to_owned(),
            wait_until: at,
            previous_eval: eval.id.clone(),
            create_time: self.now,
            modify_time: self.now,
            ..Evaluation::default()
        });
        id
    }
}

#[derive(Debug, Clone, Copy)]
enum FollowUp {
    Reschedule,
    Disconnect,
}

fn status_update(
    deployment: &Deployment,
    status: DeploymentStatus,
    text: &str,
) -> DeploymentStatusUpdate {
    DeploymentStatusUpdate {
        deployment_id: deployment.id.clone(),
        status,
        status_description: text.to_owned(),
    }
}
