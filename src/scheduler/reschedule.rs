//! ◆ When a failed allocation is replaced: how long the wait is, and whether there are attempts left.

use crate::model::allocation::{ClientStatus, DesiredStatus, RescheduleEvent, RescheduleTracker};
use crate::model::policy::ReschedulePolicy;
use crate::model::{Allocation, Nanos, Timestamp};

/// Earlier replacements that are remembered where attempts are not limited.
const KEPT_EVENTS: usize = 5;

/// When `alloc` is due to be replaced, if its policy replaces it at all.
pub fn due(alloc: &Allocation) -> Option<Timestamp> {
    let policy = policy_of(alloc)?;
    let failed_at = ended_at(alloc);
    let gone = alloc.desired_status == DesiredStatus::Stop;
    if gone || alloc.client_status != ClientStatus::Failed || failed_at.is_never() {
        return None;
    }
    is_eligible(alloc, policy, failed_at).then(|| failed_at.plus(next_delay(alloc)))
}

/// The policy of the group as it was placed; none when it never replaces.
pub fn policy_of(alloc: &Allocation) -> Option<&ReschedulePolicy> {
    let policy = alloc.group()?.reschedule_policy.as_ref()?;
    (policy.unlimited || policy.attempts > 0).then_some(policy)
}

/// When the last task ended; when that is not known, when the allocation last changed.
pub fn ended_at(alloc: &Allocation) -> Timestamp {
    let last = alloc.task_states.values().map(|state| state.finished_at).max();
    last.filter(|time| !time.is_never()).unwrap_or(alloc.modify_time)
}

fn is_eligible(alloc: &Allocation, policy: &ReschedulePolicy, failed_at: Timestamp) -> bool {
    if policy.unlimited {
        return true;
    }
    let Some(tracker) = &alloc.reschedule_tracker else { return policy.attempts > 0 };
    let within =
        |event: &&RescheduleEvent| failed_at.since(event.reschedule_time) < policy.interval;
    let used = tracker.events.iter().filter(within).count();
    i64::try_from(used).unwrap_or(i64::MAX) < policy.attempts && next_delay(alloc) < policy.interval
}

/// How long the wait for the next replacement is.
pub fn next_delay(alloc: &Allocation) -> Nanos {
    let Some(policy) = alloc.group().and_then(|group| group.reschedule_policy.as_ref()) else {
        return Nanos::ZERO;
    };
    let events = alloc.reschedule_tracker.as_ref().map(|t| t.events.as_slice()).unwrap_or_default();
    delay(policy, events, ended_at(alloc))
}

/// The wait after these replacements. Nomad: at its most it starts over when the allocation had lived longer than
/// that since the last replacement.
pub fn delay(policy: &ReschedulePolicy, events: &[RescheduleEvent], failed_at: Timestamp) -> Nanos {
    let Some(last) = events.last() else { return policy.delay };
    let before = events.len().checked_sub(2).and_then(|at| events.get(at));
    let next = match policy.delay_function.as_str() {
        "exponential" => Nanos(last.delay.0.saturating_mul(2)),
        "fibonacci" => match before {
            Some(before) if before.delay == policy.max_delay && last.delay == policy.delay => {
                last.delay
            }
            Some(before) => Nanos(last.delay.0.saturating_add(before.delay.0)),
            None => policy.delay,
        },
        _ => return policy.delay,
    };
    if policy.max_delay.0 <= 0 || next <= policy.max_delay {
        return next;
    }
    let lived = failed_at.since(last.reschedule_time);
    if lived > policy.max_delay { policy.delay } else { policy.max_delay }
}

/// The record of replacements that the one replacing `alloc` now starts with.
pub fn tracker(alloc: &Allocation, now: Timestamp) -> RescheduleTracker {
    let mut events: Vec<RescheduleEvent> =
        alloc.reschedule_tracker.as_ref().map(|t| t.events.clone()).unwrap_or_default();
    match policy_of(alloc) {
        Some(policy) if !policy.unlimited => {
            events.retain(|event| now.since(event.reschedule_time) <= policy.interval);
        }
        Some(_) | None => {
            let surplus = events.len().saturating_sub(KEPT_EVENTS - 1);
            events.drain(..surplus);
        }
    }
    events.push(RescheduleEvent {
        reschedule_time: now,
        prev_alloc_id: alloc.id.clone(),
        prev_node_id: alloc.node_id.clone(),
        delay: next_delay(alloc),
    });
    RescheduleTracker { events, last_reschedule: String::new() }
}
