//! ◆ Which evaluation a worker gets next.
//!
//! ```text
//!              wait_until in the future ┌─────────┐ due
//! pending eval ────────────────────────▶│ delayed │─────┐
//!      │                                └─────────┘     ▼
//!      ├ nothing of its job under way ─────────────▶ ready ──deliver──▶ unacked ──ack──▶ gone
//!      │                                              ▲  ▲                │
//!      └ else ──▶ waiting ──the one before is acked───┘  └─── nack ───────┤ at most 3 times, then
//!                 (older ones are cancelled)                 or too late  └──────▶ failed
//! ```
//!
//! One evaluation of a job is under way at any time. Ready ones go by priority, then by age. The broker lives on the
//! leader and is made anew from the state when leadership changes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::model::{EvalId, Evaluation, Index, JobKey, Nanos, Timestamp};

/// How long a worker may take.
const NACK_AFTER: Nanos = Nanos::from_secs(60);
/// How often an evaluation is given to a worker.
const DELIVERY_LIMIT: u32 = 3;
/// The wait before an evaluation is given to a worker again: the first time …
const FIRST_RETRY: Nanos = Nanos::from_secs(1);
/// … and later.
const LATER_RETRY: Nanos = Nanos::from_secs(20);

/// A worker that waits for an evaluation.
pub type WaiterId = u64;

/// What the broker asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Give the evaluation to the worker.
    Deliver(WaiterId, Delivery),
    /// A newer evaluation of the same job takes its place.
    Cancel(EvalId),
    /// No worker came to terms with it.
    Fail(Arc<Evaluation>),
}

/// An evaluation in a worker's hands.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The evaluation.
    pub eval: Arc<Evaluation>,
    /// Which delivery this is: an answer to an earlier one counts for nothing.
    pub token: u64,
}

type Rank = (Reverse<i64>, Index, EvalId);

#[derive(Debug)]
struct Unacked {
    token: u64,
    deadline: Timestamp,
}

/// The broker.
#[derive(Debug, Default)]
pub struct EvalBroker {
    evals: HashMap<EvalId, Arc<Evaluation>>,
    ready: BTreeSet<Rank>,
    delayed: BTreeSet<(Timestamp, EvalId)>,
    unacked: HashMap<EvalId, Unacked>,
    /// The evaluation of a job that is ready or unacked.
    under_way: HashMap<JobKey, EvalId>,
    /// Others of the job, newest last.
    waiting: HashMap<JobKey, BTreeSet<(Index, EvalId)>>,
    deliveries: HashMap<EvalId, u32>,
    /// What came back while it was unacked.
    again: HashMap<EvalId, Arc<Evaluation>>,
    waiters: VecDeque<WaiterId>,
    paused: bool,
    tokens: u64,
}

impl EvalBroker {
    /// Takes an evaluation in. One that is known already is not taken twice.
    pub fn enqueue(&mut self, eval: Arc<Evaluation>, now: Timestamp) -> Vec<Action> {
        let id = eval.id.clone();
        if self.unacked.contains_key(&id) {
            // It came back (it waited for room, and there is some) before its worker said it was done with it.
            self.again.insert(id, eval);
            return Vec::new();
        }
        if self.evals.contains_key(&id) {
            return Vec::new();
        }
        self.evals.insert(id.clone(), Arc::clone(&eval));
        if eval.wait_until > now {
            self.delayed.insert((eval.wait_until, id));
            return Vec::new();
        }
        self.admit(&eval);
        self.deliver(now)
    }

    /// Makes it ready, unless another of its job is under way.
    fn admit(&mut self, eval: &Arc<Evaluation>) {
        let key = eval.job_key();
        if self.under_way.contains_key(&key) {
            let order = (eval.create_index, eval.id.clone());
            self.waiting.entry(key).or_default().insert(order);
            return;
        }
        self.under_way.insert(key, eval.id.clone());
        self.ready.insert(rank(eval));
    }

    /// A worker asks for an evaluation.
    pub fn dequeue(&mut self, waiter: WaiterId, now: Timestamp) -> Vec<Action> {
        self.waiters.push_back(waiter);
        self.deliver(now)
    }

    /// The worker dealt with it.
    pub fn ack(&mut self, id: &EvalId, token: u64, now: Timestamp) -> Vec<Action> {
        if self.unacked.get(id).is_none_or(|unacked| unacked.token != token) {
            return Vec::new();
        }
        self.forget(id, now)
    }

    fn forget(&mut self, id: &EvalId, now: Timestamp) -> Vec<Action> {
        self.unacked.remove(id);
        self.deliveries.remove(id);
        let Some(eval) = self.evals.remove(id) else { return Vec::new() };
        let key = eval.job_key();
        self.under_way.remove(&key);
        let mut actions = self.next_of(&key);
        actions.extend(self.deliver(now));
        if let Some(again) = self.again.remove(id) {
            actions.extend(self.enqueue(again, now));
        }
        actions
    }

    /// The newest that waits for this job becomes ready; the others saw less than it will.
    fn next_of(&mut self, key: &JobKey) -> Vec<Action> {
        let Some(mut waiting) = self.waiting.remove(key) else { return Vec::new() };
        let Some((_, newest)) = waiting.pop_last() else { return Vec::new() };
        if let Some(eval) = self.evals.get(&newest).cloned() {
            self.admit(&eval);
        }
        let old = waiting.into_iter().map(|(_, id)| id);
        old.filter(|id| self.evals.remove(id).is_some()).map(Action::Cancel).collect()
    }

    /// The worker could not deal with it.
    pub fn nack(&mut self, id: &EvalId, token: u64, now: Timestamp) -> Vec<Action> {
        if self.unacked.get(id).is_none_or(|unacked| unacked.token != token) {
            return Vec::new();
        }
        self.give_back(id, now)
    }

    fn give_back(&mut self, id: &EvalId, now: Timestamp) -> Vec<Action> {
        self.unacked.remove(id);
        let Some(eval) = self.evals.get(id).cloned() else { return Vec::new() };
        let deliveries = self.deliveries.get(id).copied().unwrap_or(0);
        if deliveries >= DELIVERY_LIMIT {
            let mut actions = vec![Action::Fail(eval)];
            actions.extend(self.forget(id, now));
            return actions;
        }
        let wait = if deliveries <= 1 { FIRST_RETRY } else { LATER_RETRY };
        self.delayed.insert((now.plus(wait), id.clone()));
        Vec::new()
    }

    /// Time passed: what was delayed is due, and workers that took too long lost what they had.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Action> {
        let late: Vec<EvalId> = self
            .unacked
            .iter()
            .filter(|(_, unacked)| unacked.deadline <= now)
            .map(|(id, _)| id.clone())
            .collect();
        let mut actions: Vec<Action> = late.iter().flat_map(|id| self.give_back(id, now)).collect();
        while let Some((at, id)) = self.delayed.first().cloned().filter(|(at, _)| *at <= now) {
            self.delayed.remove(&(at, id.clone()));
            let Some(eval) = self.evals.get(&id).cloned() else { continue };
            // One that was given back is still its job's: nothing else of the job ran meanwhile.
            if self.under_way.get(&eval.job_key()) == Some(&id) {
                self.ready.insert(rank(&eval));
            } else {
                self.admit(&eval);
            }
        }
        actions.extend(self.deliver(now));
        actions
    }

    /// Nothing is delivered until the broker goes on.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Delivers again.
    pub fn go_on(&mut self, now: Timestamp) -> Vec<Action> {
        self.paused = false;
        self.deliver(now)
    }

    fn deliver(&mut self, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        while !self.paused && !self.waiters.is_empty() {
            let Some((_, _, id)) = self.ready.pop_first() else { break };
            let (Some(eval), Some(waiter)) =
                (self.evals.get(&id).cloned(), self.waiters.pop_front())
            else {
                break;
            };
            self.tokens += 1;
            let token = self.tokens;
            self.unacked.insert(id.clone(), Unacked { token, deadline: now.plus(NACK_AFTER) });
            *self.deliveries.entry(id).or_default() += 1;
            actions.push(Action::Deliver(waiter, Delivery { eval, token }));
        }
        actions
    }

    /// When [`EvalBroker::tick`] should be called next.
    pub fn deadline(&self) -> Option<Timestamp> {
        let late = self.unacked.values().map(|unacked| unacked.deadline).min();
        let due = self.delayed.first().map(|(at, _)| *at);
        late.into_iter().chain(due).min()
    }

    /// Evaluations that are ready, in workers' hands, waiting for one of their job, and waiting for a time.
    pub fn counts(&self) -> [usize; 4] {
        let waiting = self.waiting.values().map(BTreeSet::len).sum();
        [self.ready.len(), self.unacked.len(), waiting, self.delayed.len()]
    }
}

fn rank(eval: &Evaluation) -> Rank {
    (Reverse(eval.priority), eval.create_index, eval.id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    fn eval(id: &str, job: &str, priority: i64, index: Index) -> Arc<Evaluation> {
        Arc::new(Evaluation {
            id: id.into(),
            job_id: job.into(),
            priority,
            create_index: index,
            ..Evaluation::default()
        })
    }

    fn delivered(actions: &[Action]) -> Vec<(&str, u64)> {
        let of = |action: &'_ Action| match action {
            Action::Deliver(_, delivery) => Some((delivery.eval.id.clone(), delivery.token)),
            Action::Cancel(_) | Action::Fail(_) => None,
        };
        actions
            .iter()
            .filter_map(of)
            .map(|(id, token)| (&*Box::leak(id.as_str().to_owned().into_boxed_str()), token))
            .collect()
    }

    #[test]
    fn the_highest_priority_goes_first_then_the_oldest() {
        let mut broker = EvalBroker::default();
        for (id, priority, index) in [("a", 50, 1), ("b", 90, 3), ("c", 50, 2), ("d", 90, 2)] {
            broker.enqueue(eval(id, id, priority, index), NOW);
        }
        let order: Vec<_> = (0..4).flat_map(|w| broker.dequeue(w, NOW)).collect();
        let order: Vec<_> = delivered(&order).into_iter().map(|(id, _)| id).collect();
        assert_eq!(order, ["d", "b", "a", "c"]);
    }

    #[test]
    fn one_evaluation_of_a_job_is_under_way_and_the_newest_follows() {
        let mut broker = EvalBroker::default();
        broker.enqueue(eval("a", "job", 50, 1), NOW);
        let first = broker.dequeue(1, NOW);
        for (id, index) in [("b", 2), ("c", 3), ("d", 4)] {
            assert!(broker.enqueue(eval(id, "job", 50, index), NOW).is_empty());
        }
        assert!(broker.dequeue(2, NOW).is_empty());
        let actions = broker.ack(&"a".into(), delivered(&first)[0].1, NOW);
        assert_eq!(delivered(&actions)[0].0, "d");
        let cancelled: Vec<_> =
            actions.iter().filter(|action| matches!(action, Action::Cancel(_))).collect();
        assert_eq!(cancelled.len(), 2);
    }

    #[test]
    fn a_delayed_one_waits_for_its_time() {
        let mut broker = EvalBroker::default();
        let mut later = Evaluation::clone(&eval("a", "job", 50, 1));
        later.wait_until = NOW.plus(Nanos::from_secs(5));
        broker.enqueue(Arc::new(later), NOW);
        assert!(broker.dequeue(1, NOW).is_empty());
        let due = broker.deadline().unwrap();
        assert_eq!(due, NOW.plus(Nanos::from_secs(5)));
        assert!(broker.tick(NOW).is_empty());
        assert_eq!(delivered(&broker.tick(due)).len(), 1);
    }

    #[test]
    fn what_no_worker_can_deal_with_fails_after_three_deliveries() {
        let mut broker = EvalBroker::default();
        let mut now = NOW;
        let mut actions = broker.enqueue(eval("a", "job", 50, 1), now);
        actions.extend(broker.dequeue(1, now));
        for _ in 0..2 {
            let token = delivered(&actions)[0].1;
            assert!(broker.nack(&"a".into(), token, now).is_empty());
            assert!(broker.nack(&"a".into(), token, now).is_empty(), "an old token counts nothing");
            now = broker.deadline().unwrap();
            broker.dequeue(1, now);
            actions = broker.tick(now);
        }
        let actions = broker.nack(&"a".into(), delivered(&actions)[0].1, now);
        assert!(matches!(actions[..], [Action::Fail(_)]));
        assert_eq!(broker.counts(), [0, 0, 0, 0]);
    }

    #[test]
    fn a_worker_that_takes_too_long_loses_it() {
        let mut broker = EvalBroker::default();
        broker.enqueue(eval("a", "job", 50, 1), NOW);
        let first = broker.dequeue(1, NOW);
        let late = broker.deadline().unwrap();
        broker.tick(late);
        assert!(broker.ack(&"a".into(), delivered(&first)[0].1, late).is_empty());
        assert_eq!(broker.counts(), [0, 0, 0, 1]);
    }

    #[test]
    fn a_paused_broker_delivers_nothing() {
        let mut broker = EvalBroker::default();
        broker.pause();
        broker.enqueue(eval("a", "job", 50, 1), NOW);
        assert!(broker.dequeue(1, NOW).is_empty());
        assert_eq!(broker.go_on(NOW).len(), 1);
    }
}
