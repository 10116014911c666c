//! ◆ Service and batch jobs: reconcile, then find a place for each name that wants one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::input::Input;
use super::outcome::Outcome;
use super::placer::{Placed, Placer, Wish};
use super::reconcile::{Changes, Place, Reconciler, Stop, reason};
use super::reschedule;
use crate::model::allocation::AllocDeploymentStatus;
use crate::model::plan::PlanAnnotations;
use crate::model::{
    AllocId, AllocMetric, Allocation, ClientStatus, DesiredStatus, EvalId, EvalStatus, EvalTrigger,
    Evaluation, Job, NodeId, Plan, Timestamp,
};

/// Decides about a service or batch job.
pub fn schedule(input: &Input<'_>, seed: u64, now: Timestamp) -> Outcome {
    let mut placer = Placer::new(input, seed);
    let changes = Reconciler::new(input, &mut placer, now).reconcile();
    let mut draft = Draft::new(input, placer, now);
    draft.carry_out(changes);
    draft.finish()
}

/// A plan in the making.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) placer: Placer<'a>,
    pub(super) now: Timestamp,
    pub(super) outcome: Outcome,
    /// How many had to go, by the group they had to go for.
    preemptions: BTreeMap<String, u64>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(input: &'a Input<'a>, placer: Placer<'a>, now: Timestamp) -> Self {
        let plan = Plan {
            eval_id: input.eval.id.clone(),
            priority: input.job.as_ref().map_or(input.eval.priority, |job| job.priority),
            all_at_once: input.job.as_ref().is_some_and(|job| job.all_at_once),
            job: input.job.clone(),
            snapshot_index: input.snapshot_index,
            ..Plan::default()
        };
        let outcome = Outcome { plan, ..Outcome::default() };
        Self { input, placer, now, outcome, preemptions: BTreeMap::new() }
    }

    fn carry_out(&mut self, changes: Changes) {
        let Changes {
            place,
            replace,
            in_place,
            stop,
            notes,
            deployment,
            deployment_id,
            deployment_updates,
            desired,
            follow_ups,
        } = changes;
        self.outcome.queued = desired.keys().map(|group| (group.clone(), 0)).collect();
        self.outcome.plan.annotations =
            Some(PlanAnnotations { desired_tg_updates: desired, preempted_allocs: Vec::new() });
        self.outcome.deployment_id = match (&deployment, &self.input.deployment) {
            (Some(new), _) => new.id.clone(),
            (None, Some(old)) => old.id.clone(),
            (None, None) => deployment_id.clone(),
        };
        self.outcome.plan.deployment = deployment;
        self.outcome.plan.deployment_updates = deployment_updates;
        self.outcome.follow_ups = follow_ups;
        for stop in stop {
            self.placer.leave(&stop.alloc);
            self.stop(&stop);
        }
        for mut alloc in in_place {
            if alloc.deployment_id != deployment_id {
                alloc.deployment_id = deployment_id.clone();
                alloc.deployment_status = None;
            }
            self.update(alloc);
        }
        for note in notes {
            self.update(note.detached());
        }
        let replacements = replace.into_iter().filter_map(|alloc| {
            Some(Place {
                name: alloc.name.clone(),
                group: alloc.task_group.clone(),
                job: self.input.job.clone()?,
                canary: false,
                reschedule: false,
                stops: Some(reason::UPDATING),
                previous: Some(alloc),
            })
        });
        let all: Vec<Place> = replacements.chain(place).collect();
        for place in all {
            self.place(&place, &deployment_id);
        }
    }

    /// An allocation as it becomes where it is.
    pub(super) fn update(&mut self, alloc: Allocation) {
        let node = alloc.node_id.clone();
        self.outcome.plan.node_allocation.entry(node).or_default().push(alloc);
    }

    /// Ends an allocation. Its room must have been given to the placer before.
    pub(super) fn stop(&mut self, stop: &Stop) {
        let mut ended = stop.alloc.detached();
        ended.desired_status = DesiredStatus::Stop;
        stop.reason.clone_into(&mut ended.desired_description);
        if let Some(status) = stop.client_status {
            ended.client_status = status;
        }
        if !stop.follow_up.is_empty() {
            ended.followup_eval_id = stop.follow_up.clone();
        }
        ended.modify_time = self.now;
        let node = ended.node_id.clone();
        self.outcome.plan.node_update.entry(node).or_default().push(ended);
    }

    fn place(&mut self, place: &Place, deployment: &crate::model::DeploymentId) {
        if let Some(failed) = self.outcome.failed.get_mut(&place.group) {
            failed.coalesced_failures += 1;
            self.queue(&place.group);
            return;
        }
        let Some(group) = place.job.group(&place.group) else { return };
        let previous = place.previous.as_deref();
        let penalised = penalised(previous);
        let sticky = previous.filter(|_| group.ephemeral_disk.sticky && !place.reschedule);
        let wish = Wish { penalised: &penalised, preferred: sticky.map(|alloc| &alloc.node_id) };
        let stops = place.stops.zip(place.previous.clone());
        if let Some((_, alloc)) = &stops {
            self.placer.leave(alloc);
        }
        match self.placer.place(&place.job, group, &wish) {
            Ok(placed) => {
                if let Some((reason, alloc)) = stops {
                    let follow_up = EvalId::default();
                    self.stop(&Stop { alloc, client_status: None, reason, follow_up });
                }
                self.settle(place, placed, deployment);
            }
            Err(metrics) => {
                if let Some((_, alloc)) = &stops {
                    self.placer.stay(alloc);
                }
                self.fail(&place.group, *metrics);
            }
        }
    }

    pub(super) fn fail(&mut self, group: &str, metrics: AllocMetric) {
        self.queue(group);
        self.outcome.failed.insert(group.to_owned(), metrics);
    }

    fn queue(&mut self, group: &str) {
        *self.outcome.queued.entry(group.to_owned()).or_default() += 1;
    }

    fn settle(&mut self, place: &Place, placed: Placed, deployment: &crate::model::DeploymentId) {
        let is_current =
            self.input.job.as_ref().is_some_and(|job| job.version == place.job.version);
        let mut alloc = self.allocation(&place.job, &place.group, place.name.clone(), placed);
        if is_current {
            alloc.deployment_id = deployment.clone();
        }
        if place.canary {
            alloc.deployment_status =
                Some(AllocDeploymentStatus { canary: true, ..AllocDeploymentStatus::default() });
        }
        if let Some(previous) = &place.previous {
            alloc.previous_allocation = previous.id.clone();
            if place.reschedule {
                alloc.reschedule_tracker = Some(reschedule::tracker(previous, self.now));
            } else if previous.client_status == ClientStatus::Failed || place.stops.is_none() {
                alloc.reschedule_tracker.clone_from(&previous.reschedule_tracker);
            }
        }
        self.update(alloc);
    }

    /// A new allocation, its room taken.
    pub(super) fn allocation(
        &mut self,
        job: &Arc<Job>,
        group: &str,
        name: String,
        placed: Placed,
    ) -> Allocation {
        let id = AllocId::from(self.placer.fresh_id());
        self.placer.take(&placed.node, group, &id, &placed.resources);
        let preempted_allocations = self.evict(group, &id, &placed);
        Allocation {
            id,
            namespace: job.namespace.clone(),
            eval_id: self.input.eval.id.clone(),
            name,
            node_id: placed.node.id.clone(),
            node_name: placed.node.name.clone(),
            job_id: job.id.clone(),
            job: None,
            job_version: Some(job.version),
            job_create_index: Some(job.create_index),
            task_group: group.to_owned(),
            allocated_resources: placed.resources,
            metrics: placed.metrics,
            preempted_allocations,
            desired_status: DesiredStatus::Run,
            client_status: ClientStatus::Pending,
            create_time: self.now,
            modify_time: self.now,
            ..Allocation::default()
        }
    }

    /// Makes those go that have to for this one.
    fn evict(&mut self, group: &str, by: &AllocId, placed: &Placed) -> Vec<AllocId> {
        for victim in &placed.preempted {
            let mut evicted = victim.detached();
            evicted.desired_status = DesiredStatus::Evict;
            evicted.desired_description = format!("Preempted by alloc ID {by}");
            evicted.preempted_by_allocation = by.clone();
            evicted.modify_time = self.now;
            let node = evicted.node_id.clone();
            self.outcome.plan.node_preemptions.entry(node).or_default().push(evicted);
            *self.preemptions.entry(group.to_owned()).or_default() += 1;
        }
        placed.preempted.iter().map(|victim| victim.id.clone()).collect()
    }

    pub(super) fn finish(mut self) -> Outcome {
        if !self.outcome.failed.is_empty() {
            let (class_eligibility, escaped) = self.placer.eligibility();
            let waiting = self.blocked(class_eligibility, escaped);
            self.outcome.blocked = Some(waiting);
        }
        if let Some(annotations) = &mut self.outcome.plan.annotations {
            for (group, count) in self.preemptions {
                annotations.desired_tg_updates.entry(group).or_default().preemptions += count;
            }
            let gone = self.outcome.plan.node_preemptions.values().flatten();
            annotations.preempted_allocs = gone.map(stub).collect();
        }
        self.outcome
    }

    /// The evaluation that waits for room: a new one, or this one again.
    pub(super) fn blocked(
        &mut self,
        class_eligibility: BTreeMap<String, bool>,
        escaped_computed_class: bool,
    ) -> Evaluation {
        let eval = self.input.eval;
        let failed_tg_allocs = self.outcome.failed.clone();
        let snapshot_index = self.input.snapshot_index;
        if eval.status == EvalStatus::Blocked {
            return Evaluation {
                class_eligibility,
                escaped_computed_class,
                failed_tg_allocs,
                queued_allocations: self.outcome.queued.clone(),
                snapshot_index,
                modify_time: self.now,
                ..eval.clone()
            };
        }
        Evaluation {
            id: EvalId::from(self.placer.fresh_id()),
            namespace: eval.namespace.clone(),
            priority: eval.priority,
            kind: eval.kind.clone(),
            triggered_by: EvalTrigger::QueuedAllocs,
            job_id: eval.job_id.clone(),
            job_modify_index: eval.job_modify_index,
            status: EvalStatus::Blocked,
            status_description: "created to place remaining allocations".to_owned(),
            previous_eval: eval.id.clone(),
            class_eligibility,
            escaped_computed_class,
            failed_tg_allocs,
            snapshot_index,
            create_time: self.now,
            modify_time: self.now,
            ..Evaluation::default()
        }
    }
}

/// What people are told of an allocation that has to go.
fn stub(alloc: &Allocation) -> serde_json::Value {
    serde_json::json!({
        "ID": alloc.id,
        "Namespace": alloc.namespace,
        "JobID": alloc.job_id,
        "TaskGroup": alloc.task_group,
        "Name": alloc.name,
        "NodeID": alloc.node_id,
        "NodeName": alloc.node_name,
        "PreemptedByAllocation": alloc.preempted_by_allocation,
    })
}

/// Nodes the allocation that is replaced, and those before it, failed on.
fn penalised(previous: Option<&Allocation>) -> Vec<NodeId> {
    let Some(alloc) = previous.filter(|alloc| alloc.client_status == ClientStatus::Failed) else {
        return Vec::new();
    };
    let events = alloc.reschedule_tracker.iter().flat_map(|tracker| &tracker.events);
    let mut nodes: Vec<NodeId> = events.map(|event| event.prev_node_id.clone()).collect();
    nodes.push(alloc.node_id.clone());
    nodes
}
