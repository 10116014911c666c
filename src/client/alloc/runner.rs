//! ◇ Acts for one allocation: waits for an order, a change of a task or a time, steps the [`Lifecycle`], does what it
//! says, and tells the servers how it is.
//!
//! A terminal state is told only when what the tasks shared is undone, so that whoever is placed next finds its
//! ports and addresses free.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc, watch};

use super::attach;
use super::dir::AllocDir;
use super::health::{self, Verdict};
use super::lifecycle::{Action, Event, Lifecycle, Role};
use super::order::{AllocLine, Order, View};
use super::status;
use crate::client::error::ClientError;
use crate::client::journal::{AllocRow, Entry, TaskRow};
use crate::client::site::{self, Site};
use crate::client::status::StatusBoard;
use crate::client::task::event::Happening;
use crate::client::task::lifecycle::Delay;
use crate::client::task::order::{Order as TaskOrder, TaskLine};
use crate::client::task::prepare::Attached;
use crate::client::task::runner as task_runner;
use crate::model::allocation::{AllocDeploymentStatus, TaskPhase};
use crate::model::{Allocation, ClientStatus, TaskState, Timestamp};
use crate::sys::report;
use crate::sys::tasks::{Stop, Tasks};

/// Orders an allocation may have waiting.
const MAILBOX: usize = 16;

enum Done {
    /// What the tasks share is there, or cannot be made.
    Attached(Result<Box<(Attached, AllocRow)>, String>),
    /// It is undone; the failures.
    Detached(Vec<String>),
    /// Nothing is left; the failures.
    Removed(Vec<String>),
}

/// An allocation to run.
pub(in crate::client) struct Start {
    pub site: Arc<Site>,
    pub board: Arc<StatusBoard>,
    pub row: AllocRow,
    /// As an earlier agent left them; none for an allocation that is new.
    pub tasks: Option<BTreeMap<String, TaskRow>>,
    /// Told when the allocation ended or is gone.
    pub changed: Arc<Notify>,
}

struct Runner {
    site: Arc<Site>,
    board: Arc<StatusBoard>,
    row: AllocRow,
    dir: AllocDir,
    life: Lifecycle,
    lines: BTreeMap<String, TaskLine>,
    attached: watch::Sender<Arc<Attached>>,
    changed: Arc<Notify>,
    tasks_changed: Arc<Notify>,
    wake: Option<Timestamp>,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    told: Option<Allocation>,
    /// Whether what the tasks share is being made.
    attaching: bool,
    gone: bool,
    out: watch::Sender<View>,
}

/// Begins to act for an allocation. Returns when its tasks are found again, or wait for their turn.
pub(in crate::client) async fn run(start: Start, tasks: &Tasks) -> AllocLine {
    let (orders, mailbox) = mpsc::channel(MAILBOX);
    let mut runner = Runner::new(start, tasks).await;
    runner.begin();
    let line = AllocLine { orders, view: runner.out.subscribe(), tasks: runner.lines.clone() };
    let name = runner.row.alloc.id.short().to_owned();
    tasks.spawn(&name, runner.run(mailbox, tasks.stop_token()));
    line
}

impl Runner {
    async fn new(start: Start, tasks: &Tasks) -> Self {
        let Start { site, board, row, tasks: mut rows, changed } = start;
        let is_new = rows.is_none();
        let tasks_changed = Arc::new(Notify::new());
        let attached = watch::channel(Arc::new(Attached::default())).0;
        let mut lines = BTreeMap::new();
        let group = row.alloc.group().cloned().unwrap_or_default();
        for task in &group.tasks {
            let row_of_task = rows
                .as_mut()
                .map(|rows| rows.remove(&task.name).unwrap_or_default())
                .filter(|_| !is_new);
            let start = task_runner::Start {
                site: Arc::clone(&site),
                alloc: Arc::clone(&row.alloc),
                task: task.name.clone(),
                row: row_of_task,
                attached: attached.subscribe(),
                changed: Arc::clone(&tasks_changed),
            };
            lines.insert(task.name.clone(), task_runner::run(start, tasks).await);
        }
        let reports = group.tasks.iter().filter_map(|task| {
            lines.get(&task.name).map(|line: &TaskLine| (task, line.view.borrow().report))
        });
        let life = Lifecycle::new(reports, group.shutdown_delay);
        let view = View {
            alloc: Arc::clone(&row.alloc),
            ended: row.ended,
            stopping: row.ended,
            gone: false,
        };
        Self {
            dir: AllocDir::new(&site.settings.alloc_dir, &row.alloc.id),
            site,
            board,
            row,
            life,
            lines,
            attached,
            changed,
            tasks_changed,
            wake: None,
            work: FuturesUnordered::new(),
            told: None,
            attaching: false,
            gone: false,
            out: watch::channel(view).0,
        }
    }

    /// The first step, new or after a restart of the agent.
    fn begin(&mut self) {
        if self.row.doomed {
            self.destroy();
        } else if self.row.ended || self.tasks_are_over() {
            // Nothing to set up; what is undone already is undone again at no cost.
            self.work.push(Box::pin(detached(self.parts())));
        } else {
            self.attaching = true;
            self.work.push(Box::pin(attached(self.parts())));
        }
    }

    fn tasks_are_over(&self) -> bool {
        !self.lines.is_empty()
            && self.lines.values().all(|line| line.view.borrow().state.state == TaskPhase::Dead)
    }

    fn parts(&self) -> (Arc<Site>, AllocRow, AllocDir) {
        (Arc::clone(&self.site), self.row.clone(), self.dir.clone())
    }

    async fn run(mut self, mut mailbox: mpsc::Receiver<Order>, stop: Stop) {
        self.publish();
        while !self.gone {
            let actions = tokio::select! {
                biased;
                // Tasks go on; the next agent takes them over.
                () = stop.cancelled() => {
                    self.finish_undoing().await;
                    return;
                }
                order = mailbox.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return,
                },
                // A stream gives up nothing when it is not polled to its end.
                Some(done) = self.work.next() => self.completed(done),
                () = self.tasks_changed.notified() => self.look(),
                () = site::until(self.wake) => {
                    self.wake = None;
                    self.life.step(Event::Tick, site::now())
                }
            };
            self.act_all(actions).await;
            self.watch_health().await;
            self.publish();
        }
    }

    /// What is being undone is undone to its end, within the grace of whoever stops this: half of it would stay on the
    /// machine if no agent came after this one. What is being made is left to the next agent.
    async fn finish_undoing(&mut self) {
        while !self.attaching && !self.gone {
            let Some(done) = self.work.next().await else { return };
            self.completed(done);
            self.publish();
        }
    }

    fn delay(&self) -> Delay {
        let skip = self.row.alloc.desired_transition.no_shutdown_delay == Some(true);
        if skip { Delay::Skip } else { Delay::Observe }
    }

    async fn obey(&mut self, order: Order) -> Vec<Action> {
        match order {
            Order::Update(alloc) => self.update(alloc).await,
            Order::Destroy => {
                self.row.doomed = true;
                self.save();
                if self.row.ended {
                    self.destroy();
                    return Vec::new();
                }
                self.life.step(Event::Stop(Delay::Skip), site::now())
            }
            Order::StartOver { reason, reply } => {
                let refused = self.life.is_stopping() || self.row.alloc.is_server_terminal();
                // Whoever asked may have gone.
                drop(reply.send(if refused { Err(ClientError::ShouldNotRun) } else { Ok(()) }));
                if refused {
                    return Vec::new();
                }
                self.life.step(Event::StartOver { reason }, site::now())
            }
        }
    }

    async fn update(&mut self, alloc: Arc<Allocation>) -> Vec<Action> {
        if alloc.deployment_id != self.row.alloc.deployment_id {
            self.row.health = None;
            self.row.since = site::now();
        }
        self.row.alloc = Arc::clone(&alloc);
        self.save();
        for line in self.lines.values() {
            line.tell(TaskOrder::Update(Arc::clone(&alloc))).await;
        }
        if alloc.is_server_terminal() {
            return self.life.step(Event::Stop(self.delay()), site::now());
        }
        Vec::new()
    }

    fn completed(&mut self, done: Done) -> Vec<Action> {
        match done {
            Done::Attached(result) => self.attached(result),
            Done::Detached(failures) => {
                self.tell_failures(&failures);
                self.row.ended = true;
                self.save();
                if self.row.doomed {
                    self.destroy();
                }
                Vec::new()
            }
            Done::Removed(failures) => {
                self.tell_failures(&failures);
                if failures.is_empty() {
                    self.forget();
                } else {
                    // The row stays, so the next agent tries again.
                    self.gone = true;
                }
                Vec::new()
            }
        }
    }

    fn attached(&mut self, result: Result<Box<(Attached, AllocRow)>, String>) -> Vec<Action> {
        self.attaching = false;
        let mut actions = match result {
            Ok(made) => {
                self.row.network = made.1.network;
                self.attached.send_replace(Arc::new(made.0));
                self.life.step(Event::Ready, site::now())
            }
            Err(reason) => {
                tracing::warn!(alloc = %self.row.alloc.id, %reason, "cannot be set up");
                self.life.step(Event::NotReady(reason), site::now())
            }
        };
        if self.life.is_done() {
            actions.push(Action::Finish);
        } else if self.row.alloc.is_server_terminal() {
            // Of an earlier agent: tasks that run are stopped in order, as they would have been.
            actions.extend(self.life.step(Event::Stop(self.delay()), site::now()));
        }
        actions
    }

    fn tell_failures(&self, failures: &[String]) {
        for failure in failures {
            tracing::warn!(alloc = %self.row.alloc.id, %failure, "something is left behind");
        }
    }

    fn forget(&mut self) {
        self.gone = true;
        if let Err(error) = self.site.journal.note(vec![Entry::Forget(&self.row.alloc.id)]) {
            tracing::warn!(alloc = %self.row.alloc.id, error = %report::chain(&error), "not forgotten");
        }
    }

    fn destroy(&mut self) {
        self.work.push(Box::pin(removed(self.parts())));
    }

    fn look(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (task, line) in &self.lines {
            let report = line.view.borrow().report;
            let event = Event::Report { task: task.clone(), report };
            actions.extend(self.life.step(event, site::now()));
        }
        actions
    }

    async fn act_all(&mut self, actions: Vec<Action>) {
        for action in actions {
            self.act(action).await;
        }
    }

    async fn act(&mut self, action: Action) {
        let (task, order) = match action {
            Action::Open(task) => (task, TaskOrder::Open),
            Action::Kill { task, delay } => (task, TaskOrder::Kill(delay)),
            Action::Tell { task, happening } => (task, TaskOrder::Tell(happening)),
            Action::Fail { task, reason } => (task, TaskOrder::Fail(reason)),
            Action::StartOver { task, reason } => (task, TaskOrder::StartOver(reason)),
            Action::WakeAt(time) => {
                self.wake_at(time);
                return;
            }
            // What is being made is undone when it is there.
            Action::Finish if self.attaching => return,
            Action::Finish => {
                self.work.push(Box::pin(detached(self.parts())));
                return;
            }
        };
        if let Some(line) = self.lines.get(&task) {
            line.tell(order).await;
        }
    }

    fn wake_at(&mut self, time: Timestamp) {
        self.wake = Some(self.wake.map_or(time, |earlier| earlier.min(time)));
    }

    fn task_states(&self) -> BTreeMap<String, TaskState> {
        self.lines
            .iter()
            .map(|(task, line)| (task.clone(), line.view.borrow().state.clone()))
            .collect()
    }

    async fn watch_health(&mut self) {
        let Some(terms) = health::Terms::of(&self.row.alloc) else { return };
        if self.row.health.is_some() || self.row.ended {
            return;
        }
        let Some(group) = self.row.alloc.group() else { return };
        let states = self.task_states();
        let tasks = group
            .tasks
            .iter()
            .filter_map(|task| {
                Some((task.name.clone(), (Role::of(task), states.get(&task.name)?.clone())))
            })
            .collect();
        let now = site::now();
        let healthy = match health::look(terms, self.row.since, &tasks, now) {
            Verdict::Undecided(at) => {
                self.wake_at(at);
                return;
            }
            Verdict::Healthy => true,
            Verdict::Unhealthy(reasons) => {
                for (task, message) in reasons {
                    let happening = Happening::Source { source: "Alloc Unhealthy", message };
                    if let Some(line) = self.lines.get(&task) {
                        line.tell(TaskOrder::Tell(happening)).await;
                    }
                }
                false
            }
        };
        let canary = self.row.alloc.deployment_status.as_ref().is_some_and(|status| status.canary);
        self.row.health = Some(AllocDeploymentStatus {
            healthy: Some(healthy),
            timestamp: now,
            canary,
            modify_index: 0,
        });
        self.save();
    }

    /// How it is, for the servers.
    fn told(&self) -> Allocation {
        let states = self.task_states();
        let (mut client_status, mut description) = status::derive(&states);
        if client_status.is_terminal() && !self.row.ended {
            let began = states.values().any(|state| !state.started_at.is_never());
            (client_status, description) = if began {
                (ClientStatus::Running, "Tasks are running")
            } else {
                (ClientStatus::Pending, "No tasks have started")
            };
        }
        let alloc = &self.row.alloc;
        Allocation {
            id: alloc.id.clone(),
            namespace: alloc.namespace.clone(),
            job_id: alloc.job_id.clone(),
            node_id: alloc.node_id.clone(),
            task_group: alloc.task_group.clone(),
            client_status,
            client_description: description.to_owned(),
            task_states: states,
            deployment_status: self.row.health.clone(),
            deployment_id: alloc.deployment_id.clone(),
            network_status: self.attached.borrow().status.clone(),
            ..Allocation::default()
        }
    }

    fn publish(&mut self) {
        let told = self.told();
        let view = View {
            alloc: Arc::clone(&self.row.alloc),
            ended: self.row.ended,
            stopping: self.life.is_stopping() || self.row.ended,
            gone: self.gone,
        };
        if self.told.as_ref() != Some(&told) && !self.gone {
            self.told = Some(told.clone());
            self.board.put(told);
        }
        let ends = view.ended || view.gone;
        self.out.send_replace(view);
        if ends {
            self.changed.notify_one();
        }
    }

    fn save(&self) {
        if let Err(error) = self.site.journal.note(vec![Entry::Alloc(&self.row)]) {
            tracing::warn!(alloc = %self.row.alloc.id, error = %report::chain(&error), "state not kept");
        }
    }
}

async fn attached((site, row, dir): (Arc<Site>, AllocRow, AllocDir)) -> Done {
    Done::Attached(attach::attach(site, row, dir).await.map(Box::new))
}

async fn detached((site, row, dir): (Arc<Site>, AllocRow, AllocDir)) -> Done {
    Done::Detached(attach::detach(site, row, dir).await)
}

async fn removed((site, row, dir): (Arc<Site>, AllocRow, AllocDir)) -> Done {
    Done::Removed(attach::remove(site, row, dir).await)
}
