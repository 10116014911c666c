//! ◆ Whether and when a task that ended is started again on the same node.
//!
//! ```text
//!  ended ── killed ───────────────────────────────▶ No
//!        ── asked for by a person or a template ──▶ AtOnce          (not counted)
//!        ── attempts = 0 ─────────────────────────▶ No
//!        ── window over? count := 0, window := now; count += 1
//!        ── cannot succeed ───────────────────────▶ No
//!        ── success, and success ends this task ──▶ No
//!        ── count > attempts ── mode fail ────────▶ No
//!        │                   └─ mode delay ───────▶ After(end of the window)
//!        └─────────────────────────────────────────▶ After(delay + up to 25 %)
//! ```

use serde::{Deserialize, Serialize};

use crate::model::policy::RestartPolicy;
use crate::model::{Nanos, Timestamp};

/// How a run of a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to stop for good.
    Killed,
    /// It was stopped in order to be started again, by a person, a template or a secret.
    Asked,
    /// It was stopped because it is not healthy. Counted like a failure.
    Unhealthy,
    /// It ended by itself with this exit code and signal both 0.
    Succeeded,
    /// It ended by itself in another way.
    Failed,
    /// It could not be started; trying again may help.
    NotStarted,
    /// It could not be started, and never will be.
    Hopeless,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is over, and it ended well.
    Complete,
    /// It is over, and it failed; the reason is for people.
    Fail(String),
    /// It was killed, so there is nothing to say.
    Stay,
    /// Start again after the wait; the reason is for people, empty when there is none.
    Restart {
        /// Nomad's sentence.
        reason: &'static str,
        /// How long to wait first.
        delay: Nanos,
    },
}

/// Whether success ends a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnSuccess {
    /// Batch jobs, and everything but main tasks and sidecars.
    Complete,
    /// Main tasks and sidecars of service and system jobs: they are meant to run for ever.
    Restart,
}

/// Nomad's sentences, as its clients match them.
pub const WITHIN_POLICY: &str = "Restart within policy";
const NO_RESTARTS: &str = "Policy allows no restarts";
const UNRECOVERABLE: &str = "Error was unrecoverable";
const DELAYED: &str = "Exceeded allowed attempts, applying a delay";

/// Counts the restarts of one task. Survives the agent, so a crash of it gives no task new attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tracker {
    count: i64,
    window_start: Timestamp,
}

impl Tracker {
    /// What follows from `ending`. `jitter` is a random number; at most a quarter of the delay is made of it.
    pub fn decide(
        &mut self,
        policy: &RestartPolicy,
        on_success: OnSuccess,
        ending: Ending,
        now: Timestamp,
        jitter: u64,
    ) -> Verdict {
        match ending {
            Ending::Killed => return Verdict::Stay,
            Ending::Asked => return Verdict::Restart { reason: "", delay: Nanos::ZERO },
            Ending::Unhealthy
            | Ending::Succeeded
            | Ending::Failed
            | Ending::NotStarted
            | Ending::Hopeless => {}
        }
        let completes = ending == Ending::Succeeded && on_success == OnSuccess::Complete;
        if policy.attempts <= 0 {
            return if completes {
                Verdict::Complete
            } else {
                Verdict::Fail(NO_RESTARTS.to_owned())
            };
        }
        if self.window_start.is_never() || now > self.window_start.plus(policy.interval) {
            self.count = 0;
            self.window_start = now;
        }
        self.count += 1;
        if ending == Ending::Hopeless {
            return Verdict::Fail(UNRECOVERABLE.to_owned());
        }
        if completes {
            return Verdict::Complete;
        }
        if self.count <= policy.attempts {
            return Verdict::Restart {
                reason: WITHIN_POLICY,
                delay: jittered(policy.delay, jitter),
            };
        }
        if policy.mode == "delay" {
            let end = self.window_start.plus(policy.interval);
            return Verdict::Restart { reason: DELAYED, delay: Nanos(end.since(now).0.max(0)) };
        }
        Verdict::Fail(format!(
            "Exceeded allowed attempts {} in interval {} and mode is \"fail\"",
            policy.attempts,
            super::duration::go(policy.interval)
        ))
    }
}

fn jittered(delay: Nanos, jitter: u64) -> Nanos {
    let quarter = u64::try_from(delay.0 / 4).unwrap_or(0);
    let extra = jitter.checked_rem(quarter).unwrap_or(0);
    Nanos(delay.0.saturating_add(i64::try_from(extra).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(attempts: i64, mode: &str) -> RestartPolicy {
        RestartPolicy {
            attempts,
            interval: Nanos::from_secs(60),
            delay: Nanos::from_secs(4),
            mode: mode.to_owned(),
            render_templates: false,
        }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp(secs * 1_000_000_000)
    }

    fn restarts(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Restart { .. })
    }

    #[test]
    fn a_task_fails_when_its_attempts_are_used_up_and_gets_new_ones_with_the_next_window() {
        let mut tracker = Tracker::default();
        let policy = policy(2, "fail");
        let mut end = |now| tracker.decide(&policy, OnSuccess::Restart, Ending::Failed, at(now), 0);
        assert!(restarts(&end(100)) && restarts(&end(110)));
        assert_eq!(
            end(120),
            Verdict::Fail(
                "Exceeded allowed attempts 2 in interval 1m0s and mode is \"fail\"".to_owned()
            )
        );
        assert!(restarts(&end(161)));
    }

    #[test]
    fn mode_delay_waits_for_the_end_of_the_window() {
        let mut tracker = Tracker::default();
        let policy = policy(1, "delay");
        assert!(restarts(&tracker.decide(&policy, OnSuccess::Restart, Ending::Failed, at(100), 0)));
        assert_eq!(
            tracker.decide(&policy, OnSuccess::Restart, Ending::Failed, at(130), 0),
            Verdict::Restart { reason: DELAYED, delay: Nanos::from_secs(30) }
        );
    }

    #[test]
    fn success_ends_a_batch_task_and_restarts_a_service() {
        let policy = policy(1, "fail");
        let decide =
            |on_success, ending| Tracker::default().decide(&policy, on_success, ending, at(1), 0);
        assert_eq!(decide(OnSuccess::Complete, Ending::Succeeded), Verdict::Complete);
        assert!(restarts(&decide(OnSuccess::Restart, Ending::Succeeded)));
        assert_eq!(
            decide(OnSuccess::Restart, Ending::Hopeless),
            Verdict::Fail(UNRECOVERABLE.to_owned())
        );
    }

    #[test]
    fn a_restart_that_was_asked_for_is_neither_counted_nor_delayed() {
        let mut tracker = Tracker::default();
        let policy = policy(0, "fail");
        for _ in 0..5 {
            let verdict = tracker.decide(&policy, OnSuccess::Restart, Ending::Asked, at(1), 9);
            assert_eq!(verdict, Verdict::Restart { reason: "", delay: Nanos::ZERO });
        }
        assert_eq!(tracker, Tracker::default());
        assert_eq!(
            tracker.decide(&policy, OnSuccess::Restart, Ending::Failed, at(1), 0),
            Verdict::Fail(NO_RESTARTS.to_owned())
        );
    }

    proptest! {
        #[test]
        fn never_more_restarts_than_attempts_in_a_window(
            attempts in 1i64..5, gaps in proptest::collection::vec(0i64..40, 1..40), jitter: u64
        ) {
            let policy = policy(attempts, "fail");
            let (mut tracker, mut now) = (Tracker::default(), 1000);
            let mut granted: Vec<i64> = Vec::new();
            for gap in gaps {
                now += gap;
                let verdict = tracker.decide(&policy, OnSuccess::Restart, Ending::Failed, at(now), jitter);
                if let Verdict::Restart { delay, .. } = verdict {
                    prop_assert!(delay.0 >= policy.delay.0 && delay.0 <= policy.delay.0 * 5 / 4);
                    granted.push(now);
                }
                // Nomad's window does not slide, so across its edge up to twice the attempts are possible.
                let recent = granted.iter().filter(|t| now - **t <= 60).count();
                prop_assert!(recent <= 2 * usize::try_from(attempts).unwrap());
            }
        }
    }
}
