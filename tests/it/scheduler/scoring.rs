//! `oracle/scoring.json`: scores of nodes, spreads, penalties, preemption, and the waits of replacements.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use stead::model::allocation::RescheduleEvent;
use stead::model::node::NodeDevice;
use stead::model::policy::ReschedulePolicy;
use stead::model::*;
use stead::scheduler::{Algorithm, reschedule};

use super::oracle;
use super::world::{World, group, job, node};

fn list<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

fn world_of(case: &Value) -> World {
    let mut world = World::new();
    if case["algorithm"] == "spread" {
        world.config.scheduler_algorithm = Algorithm::Spread;
    }
    if case["input"]["preemption"] == true {
        world.config.preemption_config.service_scheduler_enabled = true;
        world.config.preemption_config.batch_scheduler_enabled = true;
    }
    for given in case["nodes"].as_array().expect("as the table has it") {
        let number = |key: &str| given[key].as_i64().unwrap_or(0);
        let mut node = node(
            given["name"].as_str().expect("as the table has it"),
            number("cpu"),
            number("memory_mb"),
        );
        node.reserved_resources.cpu.cpu_shares = number("reserved_cpu");
        node.reserved_resources.memory.memory_mb = number("reserved_memory_mb");
        if let Some(meta) = given["meta"].as_object() {
            for (key, value) in meta {
                node.meta.insert(key.clone(), value.as_str().expect("as the table has it").into());
            }
        }
        for key in ["datacenter", "dc"] {
            if let Some(datacenter) = given[key].as_str() {
                node.datacenter = datacenter.into();
            }
        }
        node.node_resources.devices = list::<NodeDevice>(&given["devices"]);
        world.add_node(node);
    }
    world
}

fn job_of(id: &str, given: &Value) -> Job {
    let groups = given["groups"].as_array().expect("as the table has it").iter().map(|g| {
        let number = |key: &str| g[key].as_i64().unwrap_or(0);
        let mut made = group(
            g["name"].as_str().expect("as the table has it"),
            number("count"),
            number("cpu"),
            number("memory_mb"),
        );
        made.affinities = list(&g["affinities"]);
        made.spreads = list(&g["spreads"]);
        made.tasks[0].resources.devices = list(&g["devices"]);
        made
    });
    let kind = match given["type"].as_str().expect("as the table has it") {
        "batch" => JobType::Batch,
        "system" => JobType::System,
        _ => JobType::Service,
    };
    let mut made = job(id, kind, groups.collect());
    made.affinities = list(&given["affinities"]);
    made.spreads = list(&given["spreads"]);
    made.priority = given["priority"].as_i64().unwrap_or(50);
    made
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

/// Places what the recorded scheduler placed, one allocation at a time and where it placed it, and compares every score
/// that both saw.
fn placements(case: &Value) -> Result<(), String> {
    let mut world = world_of(case);
    for (number, entry) in case["jobs"].as_array().expect("as the table has it").iter().enumerate()
    {
        let mut whole = job_of(&format!("job-{number}"), &entry["job"]);
        let counts: Vec<i64> = whole.task_groups.iter().map(|g| g.count).collect();
        if whole.kind != JobType::System {
            whole.task_groups.iter_mut().for_each(|g| g.count = 0);
        }
        let key = whole.key();
        let mut done: BTreeMap<String, i64> = BTreeMap::new();
        let registered = world.register(whole);
        for placement in entry["placements"].as_array().expect("as the table has it") {
            let name = placement["alloc"].as_str().expect("as the table has it");
            let group = name.split('[').next().expect("as the table has it").to_owned();
            // The wanted count enters the scores; how many there are so far decides what is placed.
            let mut now = Job::clone(&registered);
            for (at, g) in now.task_groups.iter_mut().enumerate() {
                g.count = counts[at];
            }
            world.jobs.insert(key.clone(), vec![Arc::new(now)]);
            let eval = world.evaluation(&registered);
            let outcome = world.decide(&eval);
            *done.entry(group.clone()).or_default() += 1;
            compare(&world, &outcome, placement, &group)?;
            place_as_recorded(&mut world, &outcome, placement, &group)?;
        }
    }
    Ok(())
}

fn first_of<'a>(
    outcome: &'a stead::scheduler::Outcome,
    group: &str,
    node: Option<&str>,
) -> Option<&'a Allocation> {
    let mut all: Vec<&Allocation> = outcome
        .plan
        .node_allocation
        .values()
        .flatten()
        .filter(|a| a.task_group == group && node.is_none_or(|n| a.node_id.as_str() == n))
        .collect();
    all.sort_by_key(|a| a.index());
    all.first().copied()
}

fn compare(
    world: &World,
    outcome: &stead::scheduler::Outcome,
    placement: &Value,
    group: &str,
) -> Result<(), String> {
    let is_system = outcome.plan.job.as_ref().expect("as the table has it").kind == JobType::System;
    let node = is_system.then(|| placement["node"].as_str().expect("as the table has it"));
    let Some(ours) = first_of(outcome, group, node) else {
        return Err(format!("{}: not placed: {:?}", placement["alloc"], outcome.failed));
    };
    let mut compared = 0;
    for theirs in placement["scores"].as_array().expect("as the table has it") {
        let id = theirs["node"].as_str().expect("as the table has it");
        let seen = ours.metrics.score_meta_data.iter().find(|s| s.node_id.as_str() == id);
        let Some(seen) = seen else { continue };
        compared += 1;
        let parts = theirs["scores"].as_object().expect("as the table has it");
        for (part, value) in parts {
            let value = value.as_f64().expect("as the table has it");
            let have = seen.scores.get(part).copied().unwrap_or(0.0);
            if !near(have, value) {
                return Err(format!(
                    "{} on {id}: {part} is {have}, not {value}",
                    placement["alloc"]
                ));
            }
        }
        let norm = theirs["norm_score"].as_f64().expect("as the table has it");
        if !near(seen.norm_score, norm) {
            return Err(format!(
                "{} on {id}: score is {}, not {norm}",
                placement["alloc"], seen.norm_score
            ));
        }
    }
    let recorded = placement["scores"].as_array().expect("as the table has it").len();
    if compared == 0 && recorded > 0 && world.nodes.len() <= 5 {
        return Err(format!("{}: no node was seen by both", placement["alloc"]));
    }
    Ok(())
}

/// The world goes on with the recorded choice: where scores are equal, theirs was by chance.
fn place_as_recorded(
    world: &mut World,
    outcome: &stead::scheduler::Outcome,
    placement: &Value,
    group: &str,
) -> Result<(), String> {
    let node = placement["node"].as_str().expect("as the table has it");
    let Some(ours) = first_of(outcome, group, None) else { return Err("nothing placed".into()) };
    let mut alloc = ours.clone();
    alloc.node_id = NodeId::from(node);
    alloc.name =
        format!("{}.{}", alloc.job_id, placement["alloc"].as_str().expect("as the table has it"));
    alloc.id = AllocId::from(format!("{}-{}", alloc.id, alloc.name));
    let mut one = outcome.clone();
    one.plan.deployment = None;
    one.plan.node_allocation.clear();
    let is_for = |gone: &Allocation| ours.preempted_allocations.contains(&gone.id);
    for gone in one.plan.node_preemptions.values_mut() {
        gone.retain(is_for);
    }
    one.plan.node_allocation.insert(alloc.node_id.clone(), vec![alloc]);
    world.apply(&one);
    Ok(())
}

/// A series of failures, each replaced at once: the waits.
fn waits(case: &Value) -> Result<(), String> {
    let number = |key: &str| case["input"][key].as_i64().expect("as the table has it");
    let policy = ReschedulePolicy {
        delay: Nanos::from_secs(number("delay_s")),
        max_delay: Nanos::from_secs(number("max_delay_s")),
        delay_function: case["input"]["delay_function"]
            .as_str()
            .expect("as the table has it")
            .into(),
        unlimited: true,
        ..ReschedulePolicy::default()
    };
    let mut events: Vec<RescheduleEvent> = Vec::new();
    let mut now = Timestamp(1_700_000_000_000_000_000);
    for wanted in case["output"]["delays_s"].as_array().expect("as the table has it") {
        let delay = reschedule::delay(&policy, &events, now);
        if Some(delay.0 / 1_000_000_000) != wanted.as_i64() {
            return Err(format!("wait {} is {delay:?}, not {wanted} s", events.len()));
        }
        now = now.plus(delay);
        events.push(RescheduleEvent { reschedule_time: now, delay, ..RescheduleEvent::default() });
    }
    Ok(())
}

#[test]
fn scores_are_as_recorded() {
    oracle::check("scoring", "scheduler", |case| {
        match case["kind"].as_str().expect("as the table has it") {
            "placement" => Some(placements(case)),
            "reschedule" => Some(waits(case)),
            _ => None,
        }
    });
}
