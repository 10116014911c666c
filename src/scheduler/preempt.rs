//! ◆ Whose allocations go when there is no room for a job of higher priority.
//!
//! Only allocations of jobs whose priority is at least ten lower may go: the lowest priorities first, among equals those
//! that come nearest to what is lacking, and none that need not.

use std::sync::Arc;

use super::assign::Ask;
use super::rank::as_f64;
use crate::model::usage::{Capacity, NodeUse, Shortage, Sum};
use crate::model::{Allocation, JobKey};

/// How much lower a priority must be.
const PRIORITY_GAP: i64 = 10;
/// What every allocation costs that goes beyond what its group would move at once.
const CROWD_PENALTY: f64 = 50.0;

/// Who has to go from a node so that `ask` fits; none if that cannot be had.
pub fn victims(
    ask: &Ask,
    capacity: &Capacity,
    usage: &NodeUse,
    others: &[Arc<Allocation>],
    asker: (&JobKey, i64),
) -> Option<Vec<Arc<Allocation>>> {
    let (key, priority) = asker;
    let may_go = |alloc: &&Arc<Allocation>| {
        priority_of(alloc) <= priority - PRIORITY_GAP && alloc.job_key() != *key
    };
    let mut left: Vec<Arc<Allocation>> = others.iter().filter(may_go).cloned().collect();
    let mut usage = usage.clone();
    let mut gone: Vec<Arc<Allocation>> = Vec::new();
    while let Err(shortage) = ask.fits(capacity, &usage) {
        let next = choose(&shortage, &left, &gone, ask)?;
        let next = left.swap_remove(next);
        usage.remove(&next);
        gone.push(next);
    }
    spare(ask, capacity, &mut usage, &mut gone);
    Some(gone)
}

fn priority_of(alloc: &Allocation) -> i64 {
    alloc.job.as_ref().map_or(i64::MAX, |job| job.priority)
}

/// Who goes next: the holder of a port that is lacking, or the best of the lowest priority.
fn choose(
    shortage: &Shortage,
    left: &[Arc<Allocation>],
    gone: &[Arc<Allocation>],
    ask: &Ask,
) -> Option<usize> {
    if let Some(holder) = shortage.holder() {
        return left.iter().position(|alloc| alloc.id == *holder);
    }
    let lowest = left.iter().map(|alloc| priority_of(alloc)).min()?;
    let cost = |alloc: &Arc<Allocation>| distance(ask.sum(), alloc) + crowd(alloc, gone);
    (0..left.len())
        .filter(|at| priority_of(&left[*at]) == lowest)
        .min_by(|a, b| cost(&left[*a]).total_cmp(&cost(&left[*b])))
}

/// How far an allocation is from just what is asked for.
fn distance(ask: Sum, alloc: &Allocation) -> f64 {
    let has = Sum::of(&alloc.allocated_resources);
    let part = |wanted: i64, has: i64| {
        if wanted == 0 { 0.0 } else { (as_f64(wanted) - as_f64(has)) / as_f64(wanted) }
    };
    part(ask.cpu, has.cpu).hypot(part(ask.memory, has.memory))
}

fn crowd(alloc: &Allocation, gone: &[Arc<Allocation>]) -> f64 {
    let parallel =
        alloc.group().and_then(|group| group.migrate.as_ref()).map_or(1, |m| m.max_parallel);
    let same = |other: &&Arc<Allocation>| {
        other.task_group == alloc.task_group && other.job_key() == alloc.job_key()
    };
    let already = i64::try_from(gone.iter().filter(same).count()).unwrap_or(i64::MAX);
    if parallel > 0 && already + 1 > parallel {
        as_f64(already + 1 - parallel) * CROWD_PENALTY
    } else {
        0.0
    }
}

/// Lets those stay without whom it fits as well, the highest priority first.
fn spare(ask: &Ask, capacity: &Capacity, usage: &mut NodeUse, gone: &mut Vec<Arc<Allocation>>) {
    let mut order: Vec<Arc<Allocation>> = gone.clone();
    order.sort_by_key(|alloc| std::cmp::Reverse(priority_of(alloc)));
    for alloc in order {
        usage.add(&alloc);
        if ask.fits(capacity, usage).is_ok() {
            gone.retain(|other| other.id != alloc.id);
        } else {
            usage.remove(&alloc);
        }
    }
}

/// How little is lost by these: near 1 for few and unimportant ones.
pub fn score(victims: &[Arc<Allocation>]) -> f64 {
    let mut jobs: Vec<(JobKey, i64)> =
        victims.iter().map(|alloc| (alloc.job_key(), priority_of(alloc))).collect();
    jobs.sort();
    jobs.dedup();
    let highest = jobs.iter().map(|(_, priority)| *priority).max().unwrap_or(0);
    let sum: i64 = jobs.iter().map(|(_, priority)| *priority).sum();
    let net = as_f64(highest) + if highest == 0 { 0.0 } else { as_f64(sum) / as_f64(highest) };
    1.0 / (1.0 + (0.0048 * (net - 2048.0)).exp())
}
