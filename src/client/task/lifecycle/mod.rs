//! ◆ The life of one task on its node.
//!
//! ```text
//!          Open            Prepared           Started
//!  Waiting ───▶ Preparing ─────────▶ Starting ───────▶ Running ◀─────────── taken over after a
//!     ▲             │ NotPrepared        │ NotStarted     │ │               restart of the agent
//!     │             ▼                    ▼         Exited │ │ Kill, Restart
//!     │         ┌──────── verdict of the tracker ◀────────┘ ▼
//!     │ wait    │                          ▲             Lingering ── shutdown_delay ──▶ Stopping
//!     │ is over ▼                          └──────────────── Exited ──────────────────────┘ │
//!  Backoff ◀── Restart                                                 after kill_timeout: ForceKill
//!     │           │
//!     └▶ Preparing└── Complete, Fail, Stay ──▶ Dead
//!
//!  Waiting ── Fail ──▶ Dead      Running ── Lost ──▶ Preparing      (neither counts as a failure of the task)
//!  any ── StartOver (the whole group again) ──▶ … stopped if it runs … ──▶ Waiting
//! ```
//!
//! A kill is remembered in every state and wins over whatever else would follow. While the driver is starting
//! a task nothing can be killed yet; the kill follows the start.

use serde::{Deserialize, Serialize};

use super::event::{Exit, Happening};
use super::restart::{Ending, OnSuccess, Tracker, Verdict};
use crate::model::policy::RestartPolicy;
use crate::model::{Nanos, Timestamp, allocation::TaskPhase};

/// What the job says about the end of the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// When it is started again.
    pub policy: RestartPolicy,
    /// Whether success ends it.
    pub on_success: OnSuccess,
    /// How long it has between the kill signal and SIGKILL, already capped by the node.
    pub kill_timeout: Nanos,
    /// The wait before the kill signal.
    pub shutdown_delay: Nanos,
}

/// A point in time, with a random number for what must not happen in step on many nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Wall-clock time.
    pub time: Timestamp,
    /// Fresh for each step.
    pub random: u64,
}

/// Where the task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Waiting,
    Preparing,
    Starting,
    Running,
    Lingering { until: Timestamp },
    Stopping { force_at: Timestamp },
    Backoff { until: Timestamp },
    Dead { failed: bool },
}

/// Why a running task is being stopped, when it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// It ends by itself.
    None,
    /// It is started again afterwards; a restart that was not asked for by a person counts as failure.
    Again(Ending),
    /// It waits for its turn again afterwards.
    Over,
    /// It stays dead.
    ForGood,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Its turn in the group has come.
    Open,
    /// All is ready for the driver.
    Prepared,
    /// A preparation failed; `hopeless` when it always will.
    NotPrepared {
        /// For people.
        reason: String,
        /// Whether trying again is useless.
        hopeless: bool,
    },
    /// The driver runs it.
    Started,
    /// The driver could not run it.
    NotStarted {
        /// For people.
        reason: String,
        /// Whether trying again is useless.
        hopeless: bool,
    },
    /// Its process ended.
    Exited(Exit),
    /// It is gone, and how it ended nobody knows: the machine was restarted, or worse.
    Lost(String),
    /// It will never be started: what it needs cannot be made.
    Fail(String),
    /// Stop it for good.
    Kill {
        /// What is told first, beside the killing itself.
        because: Option<Happening>,
        /// Whether it is given its shutdown delay.
        delay: Delay,
    },
    /// Stop it and start it again, counted as the ending says.
    Restart {
        /// For people.
        reason: String,
        /// [`Ending::Asked`] or [`Ending::Unhealthy`].
        counted_as: Ending,
    },
    /// The whole group starts over: stop it, and wait for its turn.
    StartOver {
        /// For people.
        reason: String,
    },
    /// A time that was asked for has come.
    Tick,
}

/// Whether a killed task is given its shutdown delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delay {
    /// It is.
    Observe,
    /// It is not.
    Skip,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make everything ready; answered by `Prepared` or `NotPrepared`.
    Prepare,
    /// Give up the preparation that goes on; not answered.
    Abandon,
    /// Start it; answered by `Started` or `NotStarted`, and after `Started` once by `Exited`.
    Start,
    /// Send the kill signal.
    Signal,
    /// Send SIGKILL to all of it.
    ForceKill,
    /// Record this.
    Tell(Happening),
    /// It was started again: count it.
    CountRestart,
    /// Send `Tick` at this time. A later one replaces it.
    WakeAt(Timestamp),
}

/// A task's life: state, what is wanted, and its restarts.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    state: State,
    purpose: Purpose,
    terms: Terms,
    tracker: Tracker,
    rounds: u64,
}

/// How often a process that survives SIGKILL (it hangs in the kernel) is sent another.
const FORCE_AGAIN: Nanos = Nanos::from_secs(5);

impl Lifecycle {
    /// A task that waits for its turn.
    pub fn new(terms: Terms, tracker: Tracker) -> Self {
        Self { state: State::Waiting, purpose: Purpose::None, terms, tracker, rounds: 0 }
    }

    /// A task that was running when the agent stopped, and that the driver has found again. The driver tells
    /// its end, also if it came meanwhile.
    pub fn taken_over(terms: Terms, tracker: Tracker) -> Self {
        Self { state: State::Running, purpose: Purpose::None, terms, tracker, rounds: 0 }
    }

    /// A task that had ended when the agent stopped.
    pub fn ended(terms: Terms, tracker: Tracker, failed: bool) -> Self {
        Self { state: State::Dead { failed }, purpose: Purpose::None, terms, tracker, rounds: 0 }
    }

    /// The restarts so far.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// How often the group was told to start over.
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Whether it waits for its turn.
    pub fn is_waiting(&self) -> bool {
        self.state == State::Waiting
    }

    /// New terms, from an update in place.
    pub fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
    }

    /// Nomad's word for where it stands.
    pub fn phase(&self) -> TaskPhase {
        match self.state {
            State::Waiting | State::Preparing | State::Starting | State::Backoff { .. } => {
                TaskPhase::Pending
            }
            State::Running | State::Lingering { .. } | State::Stopping { .. } => TaskPhase::Running,
            State::Dead { .. } => TaskPhase::Dead,
        }
    }

    /// Whether it is over and failed.
    pub fn has_failed(&self) -> bool {
        self.state == State::Dead { failed: true }
    }

    /// Whether a signal, a restart or an exec session makes sense.
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// What follows from `event`.
    pub fn step(&mut self, event: Event, now: Moment) -> Vec<Action> {
        match event {
            Event::Open => self.open(),
            Event::Prepared => self.prepared(),
            Event::NotPrepared { reason, hopeless } => {
                let told = Happening::SetupFailure(reason);
                self.not_running(&State::Preparing, told, hopeless, now)
            }
            Event::Started => self.started(now),
            Event::NotStarted { reason, hopeless } => {
                let told = Happening::DriverFailure(reason);
                self.not_running(&State::Starting, told, hopeless, now)
            }
            Event::Exited(exit) => self.exited(exit, now),
            Event::Lost(reason) => self.lost(reason),
            Event::Fail(reason) => self.fail(reason),
            Event::Kill { because, delay } => self.kill(because, delay, now),
            Event::Restart { reason, counted_as } => self.restart(reason, counted_as, now),
            Event::StartOver { reason } => self.start_over(reason, now),
            Event::Tick => self.tick(now),
        }
    }

    fn open(&mut self) -> Vec<Action> {
        if self.state != State::Waiting {
            return Vec::new();
        }
        self.state = State::Preparing;
        vec![Action::Prepare]
    }

    fn prepared(&mut self) -> Vec<Action> {
        if self.state != State::Preparing {
            return Vec::new();
        }
        self.state = State::Starting;
        vec![Action::Start]
    }

    fn started(&mut self, now: Moment) -> Vec<Action> {
        if self.state != State::Starting {
            return Vec::new();
        }
        self.state = State::Running;
        let mut actions = vec![Action::Tell(Happening::Started)];
        if self.purpose != Purpose::None {
            actions.extend(self.send_signal(now));
        }
        actions
    }

    fn not_running(
        &mut self,
        expected: &State,
        told: Happening,
        hopeless: bool,
        now: Moment,
    ) -> Vec<Action> {
        if self.state != *expected {
            return Vec::new();
        }
        let mut actions = vec![Action::Tell(told)];
        let ending = if hopeless { Ending::Hopeless } else { Ending::NotStarted };
        actions.extend(self.follow(ending, now));
        actions
    }

    fn exited(&mut self, exit: Exit, now: Moment) -> Vec<Action> {
        match self.state {
            State::Running | State::Lingering { .. } | State::Stopping { .. } => {}
            State::Waiting
            | State::Preparing
            | State::Starting
            | State::Backoff { .. }
            | State::Dead { .. } => return Vec::new(),
        }
        let ending = match self.purpose {
            Purpose::Again(ending) => ending,
            Purpose::Over => Ending::Asked,
            Purpose::None | Purpose::ForGood if exit.is_success() => Ending::Succeeded,
            Purpose::None | Purpose::ForGood => Ending::Failed,
        };
        let mut actions = vec![Action::Tell(Happening::Terminated(exit))];
        actions.extend(self.follow(ending, now));
        actions
    }

    /// Not the task's fault, so nothing is counted.
    fn lost(&mut self, reason: String) -> Vec<Action> {
        if self.phase() != TaskPhase::Running {
            return Vec::new();
        }
        let told = Action::Tell(Happening::FailedRestore(reason));
        if self.purpose == Purpose::ForGood {
            self.state = State::Dead { failed: false };
            return vec![told, Action::Tell(Happening::Killed(None))];
        }
        self.purpose = Purpose::None;
        self.state = State::Preparing;
        vec![told, Action::Prepare]
    }

    fn fail(&mut self, reason: String) -> Vec<Action> {
        if self.state != State::Waiting {
            return Vec::new();
        }
        self.state = State::Dead { failed: true };
        vec![Action::Tell(Happening::SetupFailure(reason))]
    }

    /// What follows when nothing of the task runs any more.
    fn follow(&mut self, ending: Ending, now: Moment) -> Vec<Action> {
        match std::mem::replace(&mut self.purpose, Purpose::None) {
            Purpose::ForGood => {
                self.purpose = Purpose::ForGood;
                self.state = State::Dead { failed: false };
                return vec![Action::Tell(Happening::Killed(None))];
            }
            Purpose::Over => {
                self.state = State::Waiting;
                let told = Happening::Restarting { reason: "", delay: Nanos::ZERO };
                return vec![Action::Tell(told), Action::CountRestart];
            }
            Purpose::None | Purpose::Again(_) => {}
        }
        let Terms { policy, on_success, .. } = &self.terms;
        match self.tracker.decide(policy, *on_success, ending, now.time, now.random) {
            Verdict::Complete | Verdict::Stay => {
                self.state = State::Dead { failed: false };
                Vec::new()
            }
            Verdict::Fail(reason) => {
                self.state = State::Dead { failed: true };
                vec![Action::Tell(Happening::NotRestarting(reason))]
            }
            Verdict::Restart { reason, delay } => {
                let told = Action::Tell(Happening::Restarting { reason, delay });
                if delay.0 <= 0 {
                    self.state = State::Preparing;
                    return vec![told, Action::CountRestart, Action::Prepare];
                }
                let until = now.time.plus(delay);
                self.state = State::Backoff { until };
                vec![told, Action::CountRestart, Action::WakeAt(until)]
            }
        }
    }

    fn kill(&mut self, because: Option<Happening>, delay: Delay, now: Moment) -> Vec<Action> {
        if self.purpose == Purpose::ForGood || matches!(self.state, State::Dead { .. }) {
            return Vec::new();
        }
        let stopping = self.purpose != Purpose::None;
        self.purpose = Purpose::ForGood;
        let mut actions: Vec<Action> = because.into_iter().map(Action::Tell).collect();
        let timeout = self.terms.kill_timeout;
        actions.push(Action::Tell(Happening::Killing { timeout, reason: None }));
        match self.state {
            State::Waiting | State::Backoff { .. } => self.state = State::Dead { failed: false },
            State::Preparing => {
                self.state = State::Dead { failed: false };
                actions.push(Action::Abandon);
            }
            State::Starting | State::Dead { .. } => {}
            State::Lingering { .. } | State::Stopping { .. } | State::Running if stopping => {}
            State::Running | State::Lingering { .. } | State::Stopping { .. } => {
                let wait = self.terms.shutdown_delay;
                if delay == Delay::Observe && wait.0 > 0 {
                    let until = now.time.plus(wait);
                    self.state = State::Lingering { until };
                    actions.push(Action::Tell(Happening::WaitingForShutdownDelay(wait)));
                    actions.push(Action::WakeAt(until));
                } else {
                    actions.extend(self.send_signal(now));
                }
            }
        }
        actions
    }

    fn restart(&mut self, reason: String, counted_as: Ending, now: Moment) -> Vec<Action> {
        if self.state != State::Running {
            return Vec::new();
        }
        self.purpose = Purpose::Again(counted_as);
        let mut actions = vec![Action::Tell(Happening::RestartSignaled(reason))];
        actions.extend(self.send_signal(now));
        actions
    }

    fn send_signal(&mut self, now: Moment) -> Vec<Action> {
        let force_at = now.time.plus(self.terms.kill_timeout);
        self.state = State::Stopping { force_at };
        if self.terms.kill_timeout.0 <= 0 {
            let again = now.time.plus(FORCE_AGAIN);
            self.state = State::Stopping { force_at: again };
            return vec![Action::Signal, Action::ForceKill, Action::WakeAt(again)];
        }
        vec![Action::Signal, Action::WakeAt(force_at)]
    }

    fn start_over(&mut self, reason: String, now: Moment) -> Vec<Action> {
        if self.purpose == Purpose::ForGood && !matches!(self.state, State::Dead { .. }) {
            return Vec::new();
        }
        self.rounds += 1;
        let told = Action::Tell(Happening::RestartSignaled(reason));
        match self.state {
            State::Waiting => Vec::new(),
            State::Preparing => {
                self.state = State::Waiting;
                vec![told, Action::Abandon]
            }
            State::Starting => {
                self.purpose = Purpose::Over;
                vec![told]
            }
            State::Stopping { .. } => {
                self.purpose = Purpose::Over;
                vec![told]
            }
            State::Running | State::Lingering { .. } => {
                self.purpose = Purpose::Over;
                let mut actions = vec![told];
                actions.extend(self.send_signal(now));
                actions
            }
            State::Backoff { .. } | State::Dead { .. } => {
                self.purpose = Purpose::None;
                self.state = State::Waiting;
                vec![told, Action::CountRestart]
            }
        }
    }

    fn tick(&mut self, now: Moment) -> Vec<Action> {
        match self.state {
            State::Lingering { until } if now.time >= until => self.send_signal(now),
            State::Stopping { force_at } if now.time >= force_at => {
                let again = now.time.plus(FORCE_AGAIN);
                self.state = State::Stopping { force_at: again };
                vec![Action::ForceKill, Action::WakeAt(again)]
            }
            State::Backoff { until } if now.time >= until => {
                self.state = State::Preparing;
                vec![Action::Prepare]
            }
            State::Lingering { until: at }
            | State::Stopping { force_at: at }
            | State::Backoff { until: at } => vec![Action::WakeAt(at)],
            State::Waiting
            | State::Preparing
            | State::Starting
            | State::Running
            | State::Dead { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
