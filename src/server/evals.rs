//! ◇ The loop of evaluations: the broker and those that wait for room, one behind the other.

use tokio::sync::mpsc;

use super::blocked::{self, Blocked};
use super::eval_broker::{self, Delivery, EvalBroker, WaiterId};
use super::{Server, drive, now};
use crate::model::{EvalId, EvalStatus, EvalTrigger, Evaluation, Index, JobKey, Nanos, Timestamp};
use crate::scheduler::seed::Sequence;
use crate::state::Intent;
use crate::sys::tasks::Tasks;
use std::sync::Arc;

/// The wait before what no worker came to terms with is looked at again …
const FOLLOW_UP: Nanos = Nanos::from_secs(60);
/// … and how many seconds more at most, by chance.
const FOLLOW_UP_SPREAD: u32 = 300;

/// What the loop is told.
#[derive(Debug)]
pub(super) enum Event {
    /// An evaluation is new or changed.
    Eval(Arc<Evaluation>),
    /// A worker waits.
    Dequeue(WaiterId),
    /// A worker dealt with its evaluation.
    Ack(EvalId, u64),
    /// A worker could not.
    Nack(EvalId, u64),
    /// Nodes of a class may have gained room.
    Gained(String, Index),
    /// A job is gone.
    Purged(JobKey),
    /// The scheduler's settings changed.
    Settings {
        /// Whether evaluations wait.
        paused: bool,
    },
}

/// The loop.
pub(super) struct Evals {
    broker: EvalBroker,
    blocked: Blocked,
    workers: Vec<mpsc::Sender<Delivery>>,
    server: Server,
    tasks: Tasks,
}

impl Evals {
    /// A loop for these workers; what the state knows is taken in first.
    pub(super) fn new(server: Server, tasks: Tasks, workers: Vec<mpsc::Sender<Delivery>>) -> Self {
        let mut evals = Self {
            broker: EvalBroker::default(),
            blocked: Blocked::default(),
            workers,
            server,
            tasks,
        };
        let state = evals.server.state();
        if super::scheduler_config(&state).pause_eval_broker {
            evals.broker.pause();
        }
        for eval in state.evals().filter(|eval| !eval.is_terminal()) {
            evals.take(Event::Eval(Arc::clone(eval)), now());
        }
        evals
    }

    pub(super) fn turn(&mut self, events: Vec<Event>, now: Timestamp) -> Option<Timestamp> {
        for event in events {
            self.take(event, now);
        }
        let woken = self.blocked.tick(now);
        self.unblock(woken, now);
        let due = self.broker.tick(now);
        self.perform(due);
        let deadlines = [self.broker.deadline(), self.blocked.deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn take(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Eval(eval) => self.eval(eval, now),
            Event::Dequeue(waiter) => {
                let actions = self.broker.dequeue(waiter, now);
                self.perform(actions);
            }
            Event::Ack(id, token) => {
                let actions = self.broker.ack(&id, token, now);
                self.perform(actions);
            }
            Event::Nack(id, token) => {
                let actions = self.broker.nack(&id, token, now);
                self.perform(actions);
            }
            Event::Gained(class, index) => {
                let woken = self.blocked.gain(&class, index);
                self.unblock(woken, now);
            }
            Event::Purged(key) => self.blocked.forget(&key),
            Event::Settings { paused: true } => self.broker.pause(),
            Event::Settings { paused: false } => {
                let actions = self.broker.go_on(now);
                self.perform(actions);
                let woken = self.blocked.gain_all();
                self.unblock(woken, now);
            }
        }
    }

    fn eval(&mut self, eval: Arc<Evaluation>, now: Timestamp) {
        match eval.status {
            EvalStatus::Pending => {
                let actions = self.broker.enqueue(eval, now);
                self.perform(actions);
            }
            EvalStatus::Blocked => {
                let woken = self.blocked.block(eval, now);
                self.unblock(woken, now);
            }
            EvalStatus::Complete if eval.failed_tg_allocs.is_empty() => {
                self.blocked.forget(&eval.job_key());
            }
            EvalStatus::Complete | EvalStatus::Failed | EvalStatus::Canceled => {}
        }
    }

    fn unblock(&mut self, actions: Vec<blocked::Action>, now: Timestamp) {
        for action in actions {
            match action {
                blocked::Action::Unblock(eval) => {
                    let actions = self.broker.enqueue(eval, now);
                    self.perform(actions);
                }
                blocked::Action::Cancel(id) => self.cancel(&[id]),
            }
        }
    }

    fn perform(&mut self, actions: Vec<eval_broker::Action>) {
        let mut cancelled = Vec::new();
        for action in actions {
            match action {
                eval_broker::Action::Deliver(waiter, delivery) => {
                    let worker = usize::try_from(waiter).ok().and_then(|at| self.workers.get(at));
                    // A worker asks once and has room for the answer; one that ended is told to stop, as this is.
                    if let Some(worker) = worker
                        && worker.try_send(delivery).is_err()
                    {
                        tracing::warn!("a worker that asked for an evaluation is gone");
                    }
                }
                eval_broker::Action::Cancel(id) => cancelled.push(id),
                eval_broker::Action::Fail(eval) => self.fail(&eval),
            }
        }
        self.cancel(&cancelled);
    }

    fn cancel(&self, ids: &[EvalId]) {
        let state = self.server.state();
        let cancelled: Vec<Evaluation> = ids
            .iter()
            .filter_map(|id| state.eval(id))
            .filter(|eval| !eval.is_terminal())
            .map(|eval| Evaluation {
                status: EvalStatus::Canceled,
                status_description: "canceled after more recent eval was processed".to_owned(),
                modify_time: now(),
                ..Evaluation::clone(eval)
            })
            .collect();
        if !cancelled.is_empty() {
            self.propose("cancel", Intent::UpsertEvals(cancelled));
        }
    }

    /// Marks it failed and looks again later.
    fn fail(&self, eval: &Evaluation) {
        let now = now();
        let mut chance = Sequence::new(crate::sys::ids::random_u64());
        let spread = Nanos::from_secs(i64::from(chance.below(FOLLOW_UP_SPREAD)));
        let next = Evaluation {
            id: EvalId::from(crate::sys::ids::uuid()),
            status: EvalStatus::Pending,
            status_description: String::new(),
            triggered_by: EvalTrigger::FailedFollowUp,
            wait_until: now.plus(FOLLOW_UP).plus(spread),
            previous_eval: eval.id.clone(),
            create_time: now,
            modify_time: now,
            ..eval.clone()
        };
        let failed = Evaluation {
            status: EvalStatus::Failed,
            status_description: "evaluation reached delivery limit (3)".to_owned(),
            next_eval: next.id.clone(),
            modify_time: now,
            ..eval.clone()
        };
        tracing::warn!(eval = %eval.id, job = %eval.job_id, "no worker came to terms with an evaluation");
        self.propose("fail", Intent::UpsertEvals(vec![failed, next]));
    }

    /// Proposes beside the loop, which must not wait for itself.
    fn propose(&self, name: &str, intent: Intent) {
        let server = self.server.clone();
        self.tasks.spawn(name, async move {
            if let Err(error) = server.propose(intent).await {
                tracing::warn!(%error, "evaluations could not be updated");
            }
        });
    }
}

/// Runs the loop.
pub(super) async fn run(mut evals: Evals, mailbox: mpsc::Receiver<Event>) {
    let stop = evals.tasks.stop_token();
    drive::drive(mailbox, stop, |events, now| evals.turn(events, now)).await;
}
