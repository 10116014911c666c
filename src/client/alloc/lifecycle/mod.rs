//! ◆ The order in which the tasks of an allocation live and die.
//!
//! ```text
//!            Ready                      everything is dead
//!  SettingUp ─────▶ Running ──────────────────────────────────▶ Done
//!      │               │  ▲ all wait again
//!      │     StartOver ▼  │
//!      │           StartingOver
//!      │               │
//!      │   Stop · a task failed · the leader ended · only sidecars are left
//!      │               ▼
//!      │           Lingering ── group shutdown_delay (Stop only) ──▶ Stopping ──▶ Done
//!      │                                                              ▲
//!      └──── Stop, NotReady ──────────────────────────────────────────┘
//!
//!  Running opens:   prestart ▶ main ▶ poststart              (poststop when all others are dead)
//!  Stopping kills:  leader ▶ the others ▶ sidecars, each awaited, then opens poststop
//! ```
//!
//! Which gate is open follows from how the tasks are, so a restarted agent needs no memory of its own here.

use std::collections::BTreeMap;

use crate::client::task::event::Happening;
use crate::client::task::lifecycle::Delay;
use crate::model::task::Task;
use crate::model::{Nanos, Timestamp};

/// When a task runs in the life of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Before the main tasks, and must succeed.
    Prestart,
    /// From before the main tasks on, beside them.
    PrestartSidecar,
    /// A main task.
    Main,
    /// Once the main tasks run.
    Poststart,
    /// Once the main tasks run, beside them.
    PoststartSidecar,
    /// When all others are dead.
    Poststop,
}

impl Role {
    /// The role the job gives to `task`.
    pub fn of(task: &Task) -> Self {
        let Some(lifecycle) = &task.lifecycle else { return Self::Main };
        match (lifecycle.hook.as_str(), lifecycle.sidecar) {
            ("prestart", false) => Self::Prestart,
            ("prestart", true) => Self::PrestartSidecar,
            ("poststart", false) => Self::Poststart,
            ("poststart", true) => Self::PoststartSidecar,
            ("poststop", _) => Self::Poststop,
            (_, _) => Self::Main,
        }
    }

    /// Whether it runs beside the main tasks and ends with them.
    pub fn is_sidecar(self) -> bool {
        match self {
            Self::PrestartSidecar | Self::PoststartSidecar => true,
            Self::Prestart | Self::Main | Self::Poststart | Self::Poststop => false,
        }
    }
}

/// How a task is, as its runner says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Where it stands.
    pub stand: Stand,
    /// How many orders to start over it has obeyed.
    pub rounds: u64,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// Waits for its turn.
    Waiting,
    /// Is being started, for the first time or again.
    Pending,
    /// Runs.
    Running,
    /// Is over.
    Dead {
        /// Whether it failed.
        failed: bool,
    },
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What the tasks share is there.
    Ready,
    /// What the tasks share cannot be made; the reason is for people.
    NotReady(String),
    /// A task is like this now.
    Report {
        /// Its name.
        task: String,
        /// How it is.
        report: Report,
    },
    /// End it all.
    Stop(Delay),
    /// Stop all tasks and run them again in order.
    StartOver {
        /// For people.
        reason: String,
    },
    /// A time that was asked for has come.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It is the task's turn.
    Open(String),
    /// Stop the task.
    Kill {
        /// Its name.
        task: String,
        /// Whether it is given its shutdown delay.
        delay: Delay,
    },
    /// Record this about the task.
    Tell {
        /// Its name.
        task: String,
        /// What.
        happening: Happening,
    },
    /// The task will never be started, and has failed.
    Fail {
        /// Its name.
        task: String,
        /// For people.
        reason: String,
    },
    /// The task waits for its turn again, after it has been stopped if it runs.
    StartOver {
        /// Its name.
        task: String,
        /// For people.
        reason: String,
    },
    /// Send `Tick` at this time.
    WakeAt(Timestamp),
    /// No task runs or will run: undo what they shared.
    Finish,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    SettingUp,
    Running,
    StartingOver,
    Lingering { until: Timestamp },
    Stopping { delay: Delay },
    Done,
}

#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "they change apart from each other")]
struct Entry {
    role: Role,
    leader: bool,
    report: Report,
    opened: bool,
    killed: bool,
}

impl Entry {
    fn is_dead(&self) -> bool {
        matches!(self.report.stand, Stand::Dead { .. })
    }

    fn failed(&self) -> bool {
        self.report.stand == Stand::Dead { failed: true }
    }

    fn has_begun(&self) -> bool {
        matches!(self.report.stand, Stand::Running | Stand::Dead { .. })
    }
}

/// The tasks of one allocation.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    stage: Stage,
    tasks: BTreeMap<String, Entry>,
    shutdown_delay: Nanos,
    rounds: u64,
    ready: bool,
}

impl Lifecycle {
    /// The tasks of a group, each as its runner says it is.
    pub fn new<'a>(
        tasks: impl IntoIterator<Item = (&'a Task, Report)>,
        shutdown_delay: Option<Nanos>,
    ) -> Self {
        let entry = |(task, report): (&Task, Report)| {
            let entry = Entry {
                role: Role::of(task),
                leader: task.leader,
                report,
                opened: false,
                killed: false,
            };
            (task.name.clone(), entry)
        };
        Self {
            stage: Stage::SettingUp,
            tasks: tasks.into_iter().map(entry).collect(),
            shutdown_delay: shutdown_delay.unwrap_or_default(),
            rounds: 0,
            ready: false,
        }
    }

    /// Whether it is over.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Whether it is being ended, or has.
    pub fn is_stopping(&self) -> bool {
        match self.stage {
            Stage::Lingering { .. } | Stage::Stopping { .. } | Stage::Done => true,
            Stage::SettingUp | Stage::Running | Stage::StartingOver => false,
        }
    }

    /// What follows from `event`.
    pub fn step(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Ready => {
                self.ready = true;
                if self.stage == Stage::SettingUp {
                    self.stage = Stage::Running;
                }
            }
            Event::NotReady(reason) => self.give_up(&reason, &mut actions),
            Event::Report { task, report } => {
                if let Some(entry) = self.tasks.get_mut(&task) {
                    entry.report = report;
                }
            }
            Event::Stop(delay) => self.stop(delay, now, &mut actions),
            Event::StartOver { reason } => self.start_over(&reason, &mut actions),
            Event::Tick => self.tick(now, &mut actions),
        }
        self.settle(&mut actions);
        actions
    }

    fn give_up(&mut self, reason: &str, actions: &mut Vec<Action>) {
        if self.stage != Stage::SettingUp {
            return;
        }
        self.stage = Stage::Stopping { delay: Delay::Skip };
        for (task, entry) in self.tasks.iter_mut().filter(|(_, entry)| !entry.is_dead()) {
            entry.killed = true;
            actions.push(Action::Fail { task: task.clone(), reason: reason.to_owned() });
        }
    }

    fn stop(&mut self, delay: Delay, now: Timestamp, actions: &mut Vec<Action>) {
        match self.stage {
            Stage::SettingUp | Stage::Running | Stage::StartingOver => {}
            Stage::Lingering { .. } if delay == Delay::Skip => {}
            Stage::Lingering { .. } | Stage::Stopping { .. } | Stage::Done => return,
        }
        let live = self.tasks.values().any(|entry| entry.has_begun() && !entry.is_dead());
        if delay == Delay::Observe && self.shutdown_delay.0 > 0 && live {
            let until = now.plus(self.shutdown_delay);
            self.stage = Stage::Lingering { until };
            let happening = Happening::WaitingForShutdownDelay(self.shutdown_delay);
            actions.extend(
                self.live().map(|task| Action::Tell {
                    task: task.to_owned(),
                    happening: happening.clone(),
                }),
            );
            actions.push(Action::WakeAt(until));
        } else {
            self.stage = Stage::Stopping { delay };
        }
    }

    fn start_over(&mut self, reason: &str, actions: &mut Vec<Action>) {
        if self.stage != Stage::Running {
            return;
        }
        self.stage = Stage::StartingOver;
        self.rounds += 1;
        for (task, entry) in &mut self.tasks {
            (entry.opened, entry.killed) = (false, false);
            actions.push(Action::StartOver { task: task.clone(), reason: reason.to_owned() });
        }
    }

    fn tick(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if let Stage::Lingering { until } = self.stage {
            if now >= until {
                self.stage = Stage::Stopping { delay: Delay::Observe };
            } else {
                actions.push(Action::WakeAt(until));
            }
        }
    }

    fn live(&self) -> impl Iterator<Item = &str> {
        self.tasks
            .iter()
            .filter(|(_, entry)| !entry.is_dead() && entry.role != Role::Poststop)
            .map(|(task, _)| task.as_str())
    }

    /// Looks at how everything is and does what is due.
    fn settle(&mut self, actions: &mut Vec<Action>) {
        if self.stage == Stage::StartingOver {
            let back = |entry: &Entry| {
                entry.report.rounds >= self.rounds && entry.report.stand == Stand::Waiting
            };
            if self.tasks.values().all(back) {
                self.stage = Stage::Running;
            }
        }
        if self.stage == Stage::Running {
            self.look_for_an_end(actions);
        }
        if self.stage == Stage::Running {
            self.open_gates(actions);
        }
        if let Stage::Stopping { delay } = self.stage {
            self.kill_next(delay, actions);
        }
        let all_dead = self.tasks.values().all(Entry::is_dead);
        if all_dead && matches!(self.stage, Stage::Running | Stage::Stopping { .. }) {
            self.stage = Stage::Done;
            actions.push(Action::Finish);
        }
    }

    fn look_for_an_end(&mut self, actions: &mut Vec<Action>) {
        let Some(cause) = self.end() else { return };
        self.stage = Stage::Stopping { delay: Delay::Observe };
        let live: Vec<String> = self.live().map(str::to_owned).collect();
        actions
            .extend(live.into_iter().map(|task| Action::Tell { task, happening: cause.clone() }));
    }

    /// Why the rest of the group has to end, if it has to.
    fn end(&self) -> Option<Happening> {
        self.live().next()?;
        let before_poststop = || self.tasks.iter().filter(|(_, e)| e.role != Role::Poststop);
        if let Some((task, _)) = before_poststop().find(|(_, entry)| entry.failed()) {
            return Some(Happening::SiblingFailed(task.clone()));
        }
        if before_poststop().any(|(_, entry)| entry.leader && entry.is_dead()) {
            return Some(Happening::LeaderDead);
        }
        let mains_dead = before_poststop().all(|(_, e)| e.role.is_sidecar() || e.is_dead());
        mains_dead.then_some(Happening::MainDead)
    }

    fn open_gates(&mut self, actions: &mut Vec<Action>) {
        let main_began =
            self.tasks.values().any(|entry| entry.role == Role::Main && entry.has_begun());
        let prestarted = self.tasks.values().all(|entry| match entry.role {
            Role::Prestart => main_began || entry.report.stand == Stand::Dead { failed: false },
            Role::PrestartSidecar => main_began || entry.has_begun(),
            Role::Main | Role::Poststart | Role::PoststartSidecar | Role::Poststop => true,
        });
        let main_up = prestarted
            && self.tasks.values().all(|entry| entry.role != Role::Main || entry.has_begun());
        let others_dead =
            self.tasks.values().all(|entry| entry.role == Role::Poststop || entry.is_dead());
        for (task, entry) in &mut self.tasks {
            let open = match entry.role {
                Role::Prestart | Role::PrestartSidecar => true,
                Role::Main => prestarted,
                Role::Poststart | Role::PoststartSidecar => main_up,
                Role::Poststop => others_dead,
            };
            if !open || entry.opened || entry.report.stand != Stand::Waiting {
                continue;
            }
            entry.opened = true;
            // A prestart task whose end was missed while the agent was away does not run beside the main tasks.
            if entry.role == Role::Prestart && main_began {
                actions.push(Action::Kill { task: task.clone(), delay: Delay::Skip });
            } else {
                actions.push(Action::Open(task.clone()));
            }
        }
    }

    fn kill_next(&mut self, delay: Delay, actions: &mut Vec<Action>) {
        let rank = |entry: &Entry| match entry.role {
            Role::Poststop => 3,
            Role::PrestartSidecar | Role::PoststartSidecar => 2,
            Role::Prestart | Role::Main | Role::Poststart if entry.leader => 0,
            Role::Prestart | Role::Main | Role::Poststart => 1,
        };
        let Some(next) = self.tasks.values().filter(|e| !e.is_dead()).map(rank).min() else {
            return;
        };
        let ready = self.ready;
        for (task, entry) in &mut self.tasks {
            if entry.is_dead() || rank(entry) != next {
                continue;
            }
            let runs_poststop = next == 3 && ready;
            if runs_poststop && !entry.opened {
                entry.opened = true;
                actions.push(Action::Open(task.clone()));
            } else if !runs_poststop && !entry.killed {
                entry.killed = true;
                actions.push(Action::Kill { task: task.clone(), delay });
            }
        }
    }
}

#[cfg(test)]
mod tests;
