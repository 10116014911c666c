//! ◆ How Nomad shows nouns: list stubs, and the older fields that single answers still carry.

use serde_json::{Map, Value, json};

use crate::model::allocation::{AllocNetworkStatus, ClientStatus, DesiredTransition, TaskEvent};
use crate::model::job::JobSummary;
use crate::model::resources::Resources;
use crate::model::{Allocation, Evaluation, Job, Node};

/// A value's JSON; `null` for what cannot be written, which plain data always can.
pub(super) fn value<T: serde::Serialize>(noun: &T) -> Value {
    serde_json::to_value(noun).unwrap_or_default()
}

/// A job in a list.
pub(super) fn job_stub(job: &Job, summary: Option<&JobSummary>, with_meta: bool) -> Value {
    let mut stub = json!({
        "ID": job.id,
        "ParentID": job.parent_id,
        "Name": job.name,
        "Namespace": job.namespace,
        "Datacenters": job.datacenters,
        "NodePool": job.node_pool,
        "Multiregion": job.multiregion,
        "Type": job.kind,
        "Priority": job.priority,
        "Periodic": job.periodic.is_some(),
        "ParameterizedJob": job.parameterized_job.is_some(),
        "Stop": job.stop,
        "Status": job.status,
        "StatusDescription": job.status_description,
        "JobSummary": summary.map(summary_view),
        "CreateIndex": job.create_index,
        "ModifyIndex": job.modify_index,
        "JobModifyIndex": job.job_modify_index,
        "SubmitTime": job.submit_time,
    });
    if with_meta && let Some(stub) = stub.as_object_mut() {
        stub.insert("Meta".to_owned(), value(&job.meta));
    }
    stub
}

/// A job's summary. Nomad: children are counted as none where there can be none.
pub(super) fn summary_view(summary: &JobSummary) -> Value {
    let mut view = value(summary);
    if view["Children"].is_null() {
        view["Children"] = json!({ "Pending": 0, "Running": 0, "Dead": 0 });
    }
    view
}

/// What a list of allocations shows of each.
#[derive(Debug, Clone, Copy)]
pub(super) struct AllocStubOptions {
    /// With what it was given.
    pub(super) resources: bool,
    /// With its tasks.
    pub(super) task_states: bool,
}

/// An allocation in a list.
pub(super) fn alloc_stub(alloc: &Allocation, options: AllocStubOptions) -> Value {
    let tasks = if options.task_states { task_states(alloc) } else { Value::Null };
    let mut stub = json!({
        "ID": alloc.id,
        "EvalID": alloc.eval_id,
        "Name": alloc.name,
        "Namespace": alloc.namespace,
        "NodeID": alloc.node_id,
        "NodeName": alloc.node_name,
        "JobID": alloc.job_id,
        "JobType": alloc.job.as_ref().map(|job| job.kind).unwrap_or_default(),
        "JobVersion": alloc.version(),
        "TaskGroup": alloc.task_group,
        "DesiredStatus": alloc.desired_status,
        "DesiredDescription": alloc.desired_description,
        "DesiredTransition": transition_view(&alloc.desired_transition),
        "ClientStatus": alloc.client_status,
        "ClientDescription": alloc.client_description,
        "TaskStates": tasks,
        "DeploymentStatus": alloc.deployment_status,
        "FollowupEvalID": alloc.followup_eval_id,
        "NextAllocation": alloc.next_allocation,
        "RescheduleTracker": alloc.reschedule_tracker,
        "PreemptedAllocations": null_when_empty(value(&alloc.preempted_allocations)),
        "PreemptedByAllocation": alloc.preempted_by_allocation,
        "CreateIndex": alloc.create_index,
        "ModifyIndex": alloc.modify_index,
        "CreateTime": alloc.create_time,
        "ModifyTime": alloc.modify_time,
    });
    if options.resources
        && let Some(stub) = stub.as_object_mut()
    {
        stub.insert("AllocatedResources".to_owned(), value(&alloc.allocated_resources));
    }
    stub
}

/// Nomad: what was never said is null.
fn transition_view(transition: &DesiredTransition) -> Value {
    json!({
        "Migrate": transition.migrate,
        "Reschedule": transition.reschedule,
        "ForceReschedule": transition.force_reschedule,
        "NoShutdownDelay": transition.no_shutdown_delay,
        "MigrateDisablePlacement": transition.migrate_disable_placement,
    })
}

fn null_when_empty(list: Value) -> Value {
    if list.as_array().is_some_and(Vec::is_empty) { Value::Null } else { list }
}

/// An allocation by itself, with the fields that older clients read.
pub(super) fn alloc_view(alloc: &Allocation) -> Value {
    let mut view = value(alloc);
    view["TaskStates"] = task_states(alloc);
    // Nomad: one on the host's network has an empty status, once its node has seen to it.
    if alloc.network_status.is_none() && alloc.client_status != ClientStatus::Pending {
        view["NetworkStatus"] = value(&AllocNetworkStatus::default());
    }
    if !alloc.desired_transition.is_none() {
        view["DesiredTransition"] = transition_view(&alloc.desired_transition);
    }
    let shared = Resources {
        disk_mb: alloc.allocated_resources.shared.disk_mb,
        networks: alloc.allocated_resources.shared.networks.clone(),
        ..Resources::default()
    };
    let mut total = shared.clone();
    let mut tasks = Map::new();
    for (name, given) in &alloc.allocated_resources.tasks {
        let memory_max = given.memory.memory_max_mb.max(given.memory.memory_mb);
        let own = Resources {
            cpu: given.cpu.cpu_shares,
            memory_mb: given.memory.memory_mb,
            memory_max_mb: given.memory.memory_max_mb,
            ..Resources::default()
        };
        total.cpu += own.cpu;
        total.memory_mb += own.memory_mb;
        total.memory_max_mb += memory_max;
        tasks.insert(name.clone(), value(&own));
    }
    view["Resources"] = value(&total);
    view["SharedResources"] = value(&shared);
    view["TaskResources"] = Value::Object(tasks);
    view["SigningKeyID"] = Value::String(String::new());
    view
}

fn task_states(alloc: &Allocation) -> Value {
    if alloc.task_states.is_empty() {
        return Value::Null;
    }
    let states = alloc.task_states.iter().map(|(name, state)| {
        let mut view = value(state);
        view["Events"] = null_when_empty(state.events.iter().map(event_view).collect());
        (name.clone(), view)
    });
    Value::Object(states.collect())
}

/// A task's event with the flat fields that clients of old read.
fn event_view(event: &TaskEvent) -> Value {
    let detail = |key: &str| event.details.get(key).cloned().unwrap_or_default();
    let number = |key: &str| detail(key).parse::<i64>().unwrap_or(0);
    let nanos = |key: &str| {
        crate::api::duration::parse(&detail(key))
            .map_or_else(|_| number(key), |duration| duration.0)
    };
    json!({
        "Type": event.kind,
        "Time": event.time,
        "DisplayMessage": event.display_message,
        "Details": event.details,
        "Message": event.message,
        "FailsTask": detail("fails_task") == "true",
        "RestartReason": detail("restart_reason"),
        "SetupError": detail("setup_error"),
        "DriverError": detail("driver_error"),
        "DriverMessage": detail("driver_message"),
        "ExitCode": number("exit_code"),
        "Signal": number("signal"),
        "KillReason": detail("kill_reason"),
        "KillTimeout": nanos("kill_timeout"),
        "KillError": detail("kill_error"),
        "StartDelay": number("start_delay"),
        "DownloadError": detail("download_error"),
        "ValidationError": detail("validation_error"),
        "DiskLimit": number("disk_limit"),
        "FailedSibling": detail("failed_sibling"),
        "VaultError": detail("vault_renewal_error"),
        "TaskSignalReason": detail("task_signal_reason"),
        "TaskSignal": detail("task_signal"),
        "GenericSource": detail("generic_source"),
    })
}

/// An evaluation by itself or in a list.
pub(super) fn eval_view(eval: &Evaluation) -> Value {
    value(eval)
}

/// An evaluation beside the one that was asked for.
pub(super) fn eval_stub(eval: &Evaluation) -> Value {
    let wait_until = (!eval.wait_until.is_never()).then(|| eval.wait_until.rfc3339());
    json!({
        "ID": eval.id,
        "Namespace": eval.namespace,
        "Priority": eval.priority,
        "Type": eval.kind,
        "TriggeredBy": eval.triggered_by,
        "JobID": eval.job_id,
        "NodeID": eval.node_id,
        "DeploymentID": eval.deployment_id,
        "Status": eval.status,
        "StatusDescription": eval.status_description,
        "WaitUntil": wait_until,
        "NextEval": eval.next_eval,
        "PreviousEval": eval.previous_eval,
        "BlockedEval": eval.blocked_eval,
        "CreateIndex": eval.create_index,
        "ModifyIndex": eval.modify_index,
        "CreateTime": eval.create_time,
        "ModifyTime": eval.modify_time,
    })
}

/// What a list of nodes shows beside the usual.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NodeStubOptions {
    /// What they have and what of it is reserved.
    pub resources: bool,
    /// The name of the operating system.
    pub os: bool,
}

/// A node in a list.
pub(super) fn node_stub(node: &Node, options: NodeStubOptions) -> Value {
    let address = node.http_addr.rsplit_once(':').map_or(node.http_addr.as_str(), |(host, _)| host);
    let version = node.attributes.get("nomad.version").cloned().unwrap_or_default();
    let mut stub = json!({
        "Address": address.trim_matches(['[', ']']),
        "ID": node.id,
        "Datacenter": node.datacenter,
        "Name": node.name,
        "NodePool": node.node_pool,
        "NodeClass": node.node_class,
        "Version": version,
        "Drain": node.drain_strategy.is_some(),
        "SchedulingEligibility": node.scheduling_eligibility,
        "Status": node.status,
        "StatusDescription": node.status_description,
        "Drivers": node.drivers,
        "HostVolumes": node.host_volumes,
        "LastDrain": node.last_drain,
        "CreateIndex": node.create_index,
        "ModifyIndex": node.modify_index,
    });
    if options.os {
        let os = node.attributes.get("os.name").cloned().unwrap_or_default();
        stub["Attributes"] = json!({ "os.name": os });
    }
    if options.resources {
        stub["NodeResources"] = value(&node.node_resources);
        stub["ReservedResources"] = value(&node.reserved_resources);
    }
    stub
}

/// A node by itself. Its secret is never shown.
pub(super) fn node_view(node: &Node) -> Value {
    let mut view = value(node);
    view["SecretID"] = Value::String(String::new());
    view["Drain"] = Value::Bool(node.drain_strategy.is_some());
    view
}

#[cfg(test)]
mod tests;
