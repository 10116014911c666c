//! ◆ Rules of the policies of groups.

use crate::api::admission::Errors;
use crate::api::duration;
use crate::model::policy::{
    DisconnectStrategy, MigrateStrategy, ReschedulePolicy, RestartPolicy, UpdateStrategy,
};
use crate::model::{JobType, Nanos};

fn text(nanos: Nanos) -> String {
    duration::format(nanos)
}

/// Of restarts.
pub(super) fn restart(policy: &RestartPolicy, errors: &mut Errors) {
    const MIN_INTERVAL: Nanos = Nanos::from_secs(5);
    errors.check(policy.mode == "delay" || policy.mode == "fail", || {
        format!("Unsupported restart mode: \"{}\"", policy.mode)
    });
    errors.check(policy.attempts != 0 || policy.mode == "fail", || {
        format!("Restart policy \"{}\" with {} attempts is ambiguous", policy.mode, policy.attempts)
    });
    errors.check(policy.interval >= MIN_INTERVAL, || {
        format!(
            "Interval can not be less than {} (got {})",
            text(MIN_INTERVAL),
            text(policy.interval)
        )
    });
    errors.check(policy.attempts.saturating_mul(policy.delay.0) <= policy.interval.0, || {
        format!(
            "Nomad can't restart the TaskGroup {} times in an interval of {} with a delay of {}",
            policy.attempts,
            text(policy.interval),
            text(policy.delay)
        )
    });
}

/// Of reschedules. A policy that allows none has no rules.
pub(super) fn reschedule(policy: &ReschedulePolicy, errors: &mut Errors) {
    const MIN_DELAY: Nanos = Nanos::from_secs(5);
    const MIN_INTERVAL: Nanos = Nanos::from_secs(15);
    const FUNCTIONS: [&str; 3] = ["constant", "exponential", "fibonacci"];
    if policy.attempts <= 0 && !policy.unlimited {
        return;
    }
    if policy.attempts > 0 {
        errors.check(policy.interval.0 > 0, || {
            "Interval must be a non zero value if Attempts > 0".to_owned()
        });
        if policy.unlimited {
            errors.push(format!(
                "Reschedule Policy with Attempts = {}, Interval = {}, and Unlimited = true is ambiguous",
                policy.attempts,
                text(policy.interval)
            ));
            errors.push("If Attempts >0, Unlimited cannot also be set to true");
        }
    }
    let function = policy.delay_function.as_str();
    let delay_fits = policy.delay >= MIN_DELAY;
    errors.check(delay_fits, || {
        format!("Delay cannot be less than {} (got {})", text(MIN_DELAY), text(policy.delay))
    });
    let known = FUNCTIONS.contains(&function);
    errors.check(known, || {
        format!("Invalid delay function \"{function}\", must be one of [\"constant\" \"exponential\" \"fibonacci\"]")
    });
    if function != "constant" {
        errors.check(policy.max_delay >= MIN_DELAY, || {
            format!(
                "Max Delay cannot be less than {} (got {})",
                text(MIN_DELAY),
                text(policy.delay)
            )
        });
        errors.check(policy.max_delay >= policy.delay, || {
            format!(
                "Max Delay cannot be less than Delay {} (got {})",
                text(policy.delay),
                text(policy.max_delay)
            )
        });
    }
    if !policy.unlimited {
        errors.check(policy.interval >= MIN_INTERVAL, || {
            format!(
                "Interval cannot be less than {} (got {})",
                text(MIN_INTERVAL),
                text(policy.interval)
            )
        });
        if delay_fits && known {
            attempts_fit(policy, errors);
        }
    }
}

/// Whether all attempts fit into the interval.
fn attempts_fit(policy: &ReschedulePolicy, errors: &mut Errors) {
    let (possible, needed) = viable(policy);
    if possible >= policy.attempts {
        return;
    }
    let ceiling = if policy.delay_function == "constant" {
        String::new()
    } else {
        format!(", and delay ceiling {}", text(policy.max_delay))
    };
    let and = if ceiling.is_empty() { " and" } else { "," };
    errors.push(format!(
        "Nomad can only make {possible} attempts in {} with initial delay {}{and} delay function \"{}\"{ceiling}",
        text(policy.interval),
        text(policy.delay),
        policy.delay_function
    ));
    errors.push(format!(
        "Set the interval to at least {} to accommodate {} attempts",
        text(duration::round(needed, Nanos::from_secs(60))),
        policy.attempts
    ));
}

/// How many attempts fit into the interval, and the interval that all of them need.
fn viable(policy: &ReschedulePolicy) -> (i64, Nanos) {
    /// More attempts are not counted one by one.
    const COUNTED: i64 = 10_000;
    let (delay, ceiling, interval) = (policy.delay.0, policy.max_delay.0, policy.interval.0);
    if policy.delay_function == "constant" {
        let needed = policy.attempts.saturating_mul(delay);
        let possible = if interval >= needed { policy.attempts } else { interval / delay.max(1) };
        return (possible, Nanos(needed));
    }
    let counted = policy.attempts.min(COUNTED);
    let (mut needed, mut possible) = (0i64, 0i64);
    let (mut last, mut before) = (delay, 0i64);
    for attempt in 0..counted {
        // Nomad: as long as waits grow, the last one alone counts; from the ceiling on they add up.
        let next = match (policy.delay_function.as_str(), attempt) {
            (_, 0) => delay,
            ("exponential", _) => last.saturating_mul(2),
            (_, 1) => delay,
            (_, _) => last.saturating_add(before),
        };
        needed = if next > ceiling { needed.saturating_add(ceiling) } else { next };
        (before, last) = (last, next);
        possible += i64::from(needed < interval);
    }
    let rest = (policy.attempts - counted).saturating_mul(ceiling);
    let needed = needed.saturating_add(rest);
    let fits = possible == counted && (rest == 0 || needed < interval);
    (if fits { policy.attempts } else { possible.min(counted) }, Nanos(needed))
}

/// Of updates.
pub(super) fn update(update: &UpdateStrategy, errors: &mut Errors) {
    let zero = Nanos::ZERO;
    errors
        .check(["checks", "task_states", "manual"].contains(&update.health_check.as_str()), || {
            format!("Invalid health check given: \"{}\"", update.health_check)
        });
    errors.check(update.max_parallel >= 0, || {
        format!("Max parallel can not be less than zero: {} < 0", update.max_parallel)
    });
    errors.check(update.canary >= 0, || {
        format!("Canary count can not be less than zero: {} < 0", update.canary)
    });
    errors.check(update.canary != 0 || !update.auto_promote, || {
        "Auto Promote requires a Canary count greater than zero".to_owned()
    });
    errors.check(update.min_healthy_time >= zero, || {
        format!("Minimum healthy time may not be less than zero: {}", text(update.min_healthy_time))
    });
    errors.check(update.healthy_deadline > zero, || {
        format!("Healthy deadline must be greater than zero: {}", text(update.healthy_deadline))
    });
    errors.check(update.progress_deadline >= zero, || {
        format!("Progress deadline must be zero or greater: {}", text(update.progress_deadline))
    });
    errors.check(update.min_healthy_time < update.healthy_deadline, || {
        format!(
            "Minimum healthy time must be less than healthy deadline: {} > {}",
            text(update.min_healthy_time),
            text(update.healthy_deadline)
        )
    });
    let deadline = update.progress_deadline;
    errors.check(deadline == zero || update.healthy_deadline < deadline, || {
        format!(
            "Healthy deadline must be less than progress deadline: {} > {}",
            text(update.healthy_deadline),
            text(deadline)
        )
    });
    errors.check(update.stagger > zero, || {
        format!("Stagger must be greater than zero: {}", text(update.stagger))
    });
}

/// Of migrations.
pub(super) fn migrate(migrate: &MigrateStrategy, errors: &mut Errors) {
    errors.check(migrate.max_parallel >= 0, || {
        format!("MaxParallel must be >= 0 but found {}", migrate.max_parallel)
    });
    errors.check(["checks", "task_states"].contains(&migrate.health_check.as_str()), || {
        format!("Invalid HealthCheck: \"{}\"", migrate.health_check)
    });
    errors.check(migrate.min_healthy_time.0 >= 0, || {
        format!("MinHealthyTime is {} and must be >= 0", text(migrate.min_healthy_time))
    });
    errors.check(migrate.healthy_deadline.0 >= 0, || {
        format!("HealthyDeadline is {} and must be >= 0", text(migrate.healthy_deadline))
    });
    errors.check(migrate.min_healthy_time <= migrate.healthy_deadline, || {
        "MinHealthyTime must be less than HealthyDeadline".to_owned()
    });
}

/// Of disconnects.
pub(super) fn disconnect(strategy: &DisconnectStrategy, kind: JobType, errors: &mut Errors) {
    const RECONCILE: [&str; 4] =
        ["best_score", "keep_original", "keep_replacement", "longest_running"];
    if let Some(stop_after) = strategy.stop_on_client_after {
        errors.check(matches!(kind, JobType::Service | JobType::Batch), || {
            "stop_after can only be used with service or batch job types".to_owned()
        });
        errors.check(stop_after.0 >= 0, || "stop_after cannot be a negative duration".to_owned());
        errors.check(strategy.lost_after == Nanos::ZERO, || {
            "Disconnect cannot be configured with both lost_after and stop_after".to_owned()
        });
    }
    errors.check(strategy.lost_after.0 >= 0, || {
        "lost_after cannot be a negative duration".to_owned()
    });
    errors.check(RECONCILE.contains(&strategy.reconcile.as_str()), || {
        format!("reconcile option is invalid: {}", strategy.reconcile)
    });
}
