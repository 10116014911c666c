//! ◇ Acts for one task: waits for an order, an ending or a time, steps the [`Lifecycle`], does what it says.
//!
//! The task outlives this loop: when the agent stops, the loop ends and the process goes on; the next agent
//! finds it through the row that is in the journal before the driver is asked to start anything.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::event::{Exit, Happening};
use super::lifecycle::{Action, Event, Lifecycle, Terms};
use super::order::{Order, Reply, TaskLine, View};
use super::prepare::{self, Attached, Place, Prepared};
use super::restart::OnSuccess;
use crate::client::alloc::lifecycle::{Report, Role, Stand};
use crate::client::error::ClientError;
use crate::client::journal::{Entry, TaskRow};
use crate::client::site::{self, Site};
use crate::driver::{ExitResult, StoredHandle, TaskHandle};
use crate::image::Image;
use crate::model::allocation::TaskPhase;
use crate::model::{Allocation, JobType, Timestamp};
use crate::sys::report;
use crate::sys::tasks::{Stop, Tasks};

/// Orders a task may have waiting.
const MAILBOX: usize = 64;

/// What a finished piece of work tells the loop.
enum Done {
    Prepared(Box<Prepared>),
    NotPrepared {
        reason: String,
        hopeless: bool,
    },
    Started(TaskHandle),
    NotStarted {
        reason: String,
        hopeless: bool,
    },
    Exited(ExitResult),
    Lost(String),
    /// Nothing of the dead task is left.
    Cleaned,
    Nothing,
}

/// A task to run.
pub(in crate::client) struct Start {
    pub site: Arc<Site>,
    pub alloc: Arc<Allocation>,
    pub task: String,
    /// As an earlier agent left it.
    pub row: Option<TaskRow>,
    /// What the allocation gives it; set before its turn comes.
    pub attached: watch::Receiver<Arc<Attached>>,
    /// Told when something changed.
    pub changed: Arc<Notify>,
}

struct Runner {
    site: Arc<Site>,
    alloc: Arc<Allocation>,
    task: String,
    attached: watch::Receiver<Arc<Attached>>,
    changed: Arc<Notify>,
    life: Lifecycle,
    row: TaskRow,
    prepared: Option<Box<Prepared>>,
    handle: Option<TaskHandle>,
    /// Keeps the image in the store while the task may run.
    image: Option<Image>,
    /// The way back into the own mailbox, for what is told while work goes on.
    mailbox: mpsc::WeakSender<Order>,
    wake: Option<Timestamp>,
    preparing: CancellationToken,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    out: watch::Sender<View>,
}

/// Begins to act for a task. Returns its line at once; the task waits for its turn, or is found again.
pub(in crate::client) async fn run(start: Start, tasks: &Tasks) -> TaskLine {
    let (orders, mailbox) = mpsc::channel(MAILBOX);
    let mut runner = Runner::new(start, orders.downgrade()).await;
    runner.publish();
    let view = runner.out.subscribe();
    let name = format!("{}/{}", runner.alloc.id.short(), runner.task);
    tasks.spawn(&name, runner.run(mailbox, tasks.stop_token()));
    TaskLine { orders, view }
}

/// What the job says about the end of `task`.
fn terms(site: &Site, alloc: &Allocation, task: &str) -> Terms {
    let Ok(place) = Place::find(alloc, task) else {
        return Terms {
            policy: crate::model::policy::RestartPolicy::default(),
            on_success: OnSuccess::Complete,
            kill_timeout: site.settings.max_kill_timeout,
            shutdown_delay: crate::model::Nanos::ZERO,
        };
    };
    let role = Role::of(place.task);
    let goes_on = role == Role::Main || role.is_sidecar();
    let on_success = match place.job.kind {
        JobType::Service | JobType::System if goes_on => OnSuccess::Restart,
        JobType::Service | JobType::System | JobType::Batch | JobType::Sysbatch => {
            OnSuccess::Complete
        }
    };
    Terms {
        policy: place.task.restart_policy.clone(),
        on_success,
        kill_timeout: place.task.kill_timeout.min(site.settings.max_kill_timeout),
        shutdown_delay: place.task.shutdown_delay,
    }
}

impl Runner {
    async fn new(start: Start, mailbox: mpsc::WeakSender<Order>) -> Self {
        let Start { site, alloc, task, row, attached, changed } = start;
        let terms = terms(&site, &alloc, &task);
        let is_new = row.is_none();
        let row = row.unwrap_or_default();
        let mut work: FuturesUnordered<BoxFuture<'static, Done>> = FuturesUnordered::new();
        let found = if is_new { None } else { find(&site, &alloc, &task, &row).await };
        let image = row.image.as_ref().and_then(|id| site.images.as_ref()?.get(&id.parse().ok()?));
        let tracker = row.tracker.clone();
        let (life, handle) = match (row.state.state, found) {
            (TaskPhase::Dead, found) => {
                work.extend(
                    found.map(|found| -> BoxFuture<'static, Done> { Box::pin(clean(found)) }),
                );
                (Lifecycle::ended(terms, tracker, row.state.failed), None)
            }
            (TaskPhase::Pending | TaskPhase::Running, Some(found)) => {
                work.push(Box::pin(taken_over(found.clone())));
                (Lifecycle::taken_over(terms, tracker), Some(found))
            }
            (TaskPhase::Pending | TaskPhase::Running, None) => {
                (Lifecycle::new(terms, tracker), None)
            }
        };
        let view = View {
            state: row.state.clone(),
            report: Report { stand: Stand::Waiting, rounds: 0 },
            handle: None,
            running: false,
            image: None,
        };
        let mut runner = Self {
            site,
            alloc,
            task,
            attached,
            changed,
            life,
            row,
            prepared: None,
            handle,
            image,
            mailbox,
            wake: None,
            preparing: CancellationToken::new(),
            work,
            out: watch::channel(view).0,
        };
        if is_new {
            runner.tell(&Happening::Received);
        }
        runner
    }

    async fn run(mut self, mut mailbox: mpsc::Receiver<Order>, stop: Stop) {
        loop {
            let event = tokio::select! {
                biased;
                // The process goes on; a later agent finds it again.
                () = stop.cancelled() => return,
                order = mailbox.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                // A stream gives up nothing when it is not polled to its end.
                Some(done) = self.work.next() => self.completed(done),
                () = site::until(self.wake) => {
                    self.wake = None;
                    Some(Event::Tick)
                }
            };
            if let Some(event) = event {
                let actions = self.life.step(event, site::moment());
                for action in actions {
                    self.act(action);
                }
                self.settle();
            }
            self.publish();
        }
    }

    fn obey(&mut self, order: Order) -> Option<Event> {
        match order {
            Order::Open => Some(Event::Open),
            Order::Kill(delay) => Some(Event::Kill { because: None, delay }),
            Order::Fail(reason) => Some(Event::Fail(reason)),
            Order::StartOver(reason) => Some(Event::StartOver { reason }),
            Order::Tell(happening) => {
                self.tell(&happening);
                None
            }
            Order::Restart { reason, counted_as, reply } => {
                let running = self.life.is_running();
                answer(reply, if running { Ok(()) } else { Err(ClientError::NotRunning) });
                running.then_some(Event::Restart { reason, counted_as })
            }
            Order::Signal { name, number, reply } => {
                let sent = self.signal(&name, number);
                answer(reply, sent);
                None
            }
            Order::Update(alloc) => {
                self.life.set_terms(terms(&self.site, &alloc, &self.task));
                self.alloc = alloc;
                None
            }
        }
    }

    fn signal(&mut self, name: &str, number: i32) -> Result<(), ClientError> {
        let handle = self.handle.as_ref().filter(|_| self.life.is_running());
        let handle = handle.ok_or(ClientError::NotRunning)?.clone();
        self.tell(&Happening::Signaling(name.to_owned()));
        handle.signal(number).map_err(|source| ClientError::Driver {
            task: self.task.clone(),
            doing: "signal",
            source,
        })
    }

    fn completed(&mut self, done: Done) -> Option<Event> {
        match done {
            Done::Prepared(prepared) => {
                self.prepared = Some(prepared);
                Some(Event::Prepared)
            }
            Done::NotPrepared { reason, hopeless } => Some(Event::NotPrepared { reason, hopeless }),
            Done::Started(handle) => {
                self.work.push(Box::pin(ended(handle.clone())));
                self.handle = Some(handle);
                Some(Event::Started)
            }
            Done::NotStarted { reason, hopeless } => Some(Event::NotStarted { reason, hopeless }),
            Done::Exited(exit) => Some(Event::Exited(Exit {
                code: exit.exit_code,
                signal: exit.signal,
                oom_killed: exit.oom_killed,
                message: exit.err.unwrap_or_default(),
            })),
            Done::Lost(reason) => Some(Event::Lost(reason)),
            Done::Cleaned => {
                (self.handle, self.image) = (None, None);
                (self.row.handle, self.row.image) = (None, None);
                self.save();
                None
            }
            Done::Nothing => None,
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Prepare => self.prepare(),
            Action::Abandon => self.preparing.cancel(),
            Action::Start => self.start(),
            Action::Signal => self.send_kill_signal(),
            Action::ForceKill => {
                if let Some(handle) = self.handle.clone() {
                    self.work.push(Box::pin(force(handle)));
                }
            }
            Action::Tell(happening) => self.tell(&happening),
            Action::CountRestart => {
                self.row.state.restarts += 1;
                self.row.state.last_restart = site::now();
            }
            Action::WakeAt(time) => self.wake = Some(time),
        }
    }

    fn prepare(&mut self) {
        if self.row.state.started_at.is_never() {
            self.tell(&Happening::Setup("Building Task Directory"));
        }
        self.preparing = CancellationToken::new();
        let cancelled = self.preparing.clone();
        let (site, alloc) = (Arc::clone(&self.site), Arc::clone(&self.alloc));
        let (task, old) = (self.task.clone(), self.handle.take());
        let attached = Arc::clone(&self.attached.borrow());
        let mailbox = self.mailbox.clone();
        let tell = move |happening| {
            // A full or closed mailbox loses a sentence about progress, nothing else.
            if let Some(mailbox) = mailbox.upgrade() {
                drop(mailbox.try_send(Order::Tell(happening)));
            }
        };
        let made = async move {
            if let Some(old) = old
                && let Err(error) = old.destroy().await
            {
                return Done::NotPrepared { reason: report::chain(&error), hopeless: false };
            }
            match prepare::prepare(&site, &alloc, &task, &attached, tell).await {
                Ok(prepared) => Done::Prepared(Box::new(prepared)),
                Err(error) => Done::NotPrepared {
                    reason: report::chain(&error),
                    hopeless: error.is_hopeless(),
                },
            }
        };
        self.work.push(Box::pin(async move {
            tokio::select! {
                biased;
                // Half an image is kept by its store; nothing else is made while preparing.
                () = cancelled.cancelled() => Done::Nothing,
                done = made => done,
            }
        }));
    }

    /// Nothing is written first: the allocation's row is on the disk, and where the driver keeps what it knows of
    /// the task follows from the allocation's id.
    fn start(&mut self) {
        let Some(prepared) = self.prepared.take() else { return };
        self.row.kill_signal = prepared.kill_signal;
        self.row.image = prepared.image.as_ref().map(|image| image.id.to_string());
        let Prepared { driver, plan, context, image, .. } = *prepared;
        self.image = image;
        let driver = match self.site.drivers.get(&driver) {
            Ok(driver) => driver,
            Err(error) => {
                let reason = report::chain(&error);
                let failed = async move { Done::NotStarted { reason, hopeless: true } };
                self.work.push(Box::pin(failed));
                return;
            }
        };
        self.row.handle = Some(driver.handle_of(&context));
        self.work.push(Box::pin(async move {
            match driver.start(plan, context).await {
                Ok(handle) => Done::Started(handle),
                Err(error) => Done::NotStarted {
                    hopeless: !error.is_recoverable(),
                    reason: report::chain(&error),
                },
            }
        }));
    }

    fn send_kill_signal(&mut self) {
        let Some(handle) = &self.handle else { return };
        if let Err(error) = handle.signal(self.row.kill_signal) {
            // It ended in this moment, or cannot be reached: then SIGKILL follows.
            tracing::debug!(alloc = %self.alloc.id, task = %self.task, error = %report::chain(&error), "kill signal");
        }
    }

    /// Brings the recorded state in step with the life, and removes what a dead task left.
    fn settle(&mut self) {
        let (phase, now) = (self.life.phase(), site::now());
        let state = &mut self.row.state;
        if phase == TaskPhase::Running && state.state != TaskPhase::Running {
            state.started_at = now;
        }
        if phase == TaskPhase::Dead && state.state != TaskPhase::Dead {
            state.finished_at = now;
            if let Some(handle) = self.handle.clone() {
                self.work.push(Box::pin(clean(handle)));
            }
        }
        if phase != TaskPhase::Dead {
            state.finished_at = Timestamp::NEVER;
        }
        state.state = phase;
        state.failed = self.life.has_failed();
        self.row.tracker = self.life.tracker().clone();
        self.save();
    }

    fn tell(&mut self, happening: &Happening) {
        self.row.state.push(happening.at(site::now()));
    }

    fn save(&self) {
        let entry = Entry::Task(&self.alloc.id, &self.task, &self.row);
        if let Err(error) = self.site.journal.note(vec![entry]) {
            tracing::warn!(alloc = %self.alloc.id, task = %self.task, error = %report::chain(&error), "task state not kept");
        }
    }

    fn publish(&mut self) {
        let cleaning = self.life.phase() == TaskPhase::Dead && self.handle.is_some();
        if cleaning {
            return;
        }
        let stand = match self.life.phase() {
            TaskPhase::Pending if self.life.is_waiting() => Stand::Waiting,
            TaskPhase::Pending => Stand::Pending,
            TaskPhase::Running => Stand::Running,
            TaskPhase::Dead => Stand::Dead { failed: self.life.has_failed() },
        };
        let view = View {
            state: self.row.state.clone(),
            report: Report { stand, rounds: self.life.rounds() },
            handle: self.handle.clone(),
            running: self.life.is_running(),
            image: self.image.as_ref().map(|image| image.id),
        };
        self.out.send_replace(view);
        self.changed.notify_one();
    }
}

fn answer(reply: Reply, result: Result<(), ClientError>) {
    // Whoever asked may have gone.
    drop(reply.send(result));
}

/// The task as an earlier agent left it; none when that never came to starting it.
async fn find(site: &Site, alloc: &Allocation, task: &str, row: &TaskRow) -> Option<TaskHandle> {
    let stored = row.handle.clone().or_else(|| {
        let state = site.task_state_dir(alloc.id.as_str(), task);
        let place = Place::find(alloc, task).ok().filter(|_| state.exists())?;
        Some(StoredHandle {
            driver: place.task.driver.clone(),
            alloc_id: alloc.id.to_string(),
            task: task.to_owned(),
            state,
            cgroup_parent: site.settings.cgroup_parent.clone(),
        })
    })?;
    let driver = site.drivers.get(&stored.driver).ok()?;
    Some(driver.recover(stored).await)
}

async fn ended(handle: TaskHandle) -> Done {
    Done::Exited(handle.wait().await)
}

/// As [`ended`], for a task that an earlier agent started: an ending that nobody saw is no failure of the task.
async fn taken_over(handle: TaskHandle) -> Done {
    let exit = handle.wait().await;
    match exit.err {
        Some(reason) => Done::Lost(reason),
        None => Done::Exited(exit),
    }
}

async fn force(handle: TaskHandle) -> Done {
    if let Err(error) = handle.kill().await {
        tracing::warn!(error = %report::chain(&error), "task cannot be killed yet");
    }
    Done::Nothing
}

/// Removes what the driver kept of a dead task. What cannot be removed now is tried again with the allocation.
async fn clean(handle: TaskHandle) -> Done {
    if let Err(error) = handle.destroy().await {
        tracing::warn!(error = %report::chain(&error), "task leaves something behind");
    }
    Done::Cleaned
}
