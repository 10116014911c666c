//! ◆ Evaluations that wait for room.
//!
//! ```text
//! blocked eval ──▶ waits: by the classes of nodes that were feasible
//!                    │ a node of such a class changes, or something on one ends ──▶ back to the broker
//!                    │ a newer one of its job waits                            ──▶ cancelled
//!                    │ everything of its job found a place                     ──▶ forgotten
//! ```
//!
//! Room that appeared between the snapshot a scheduler looked at and the moment its evaluation arrives here is not
//! missed: the index at which each class last gained room is kept.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{EvalId, EvalTrigger, Evaluation, Index, JobKey, Nanos, Timestamp};

/// How long one waits that could not be placed for too many conflicts.
const RETRY_CONFLICTS: Nanos = Nanos::from_secs(60);

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// There may be room: look again.
    Unblock(Arc<Evaluation>),
    /// A newer one of the job waits.
    Cancel(EvalId),
}

#[derive(Debug)]
struct Waiting {
    eval: Arc<Evaluation>,
    /// For those that failed by conflicts: when they are looked at again.
    retry: Option<Timestamp>,
}

/// All that wait: at most one for each job.
#[derive(Debug, Default)]
pub struct Blocked {
    jobs: HashMap<JobKey, Waiting>,
    /// When each class last gained room.
    gained: HashMap<String, Index>,
    gained_any: Index,
}

impl Blocked {
    /// `eval` waits for room.
    pub fn block(&mut self, eval: Arc<Evaluation>, now: Timestamp) -> Vec<Action> {
        let key = eval.job_key();
        let mut actions = Vec::new();
        if let Some(known) = self.jobs.get(&key) {
            if known.eval.id != eval.id && known.eval.create_index > eval.create_index {
                return vec![Action::Cancel(eval.id.clone())];
            }
            if known.eval.id != eval.id {
                actions.push(Action::Cancel(known.eval.id.clone()));
            }
        }
        self.jobs.remove(&key);
        if self.missed_room(&eval) {
            actions.push(Action::Unblock(eval));
            return actions;
        }
        let conflicts = eval.triggered_by == EvalTrigger::MaxPlanAttempts;
        let retry = conflicts.then(|| now.plus(RETRY_CONFLICTS));
        self.jobs.insert(key, Waiting { eval, retry });
        actions
    }

    /// Whether a class that matters gained room after the scheduler had looked.
    fn missed_room(&self, eval: &Evaluation) -> bool {
        let newer = |index: &Index| *index > eval.snapshot_index;
        if !newer(&self.gained_any) {
            return false;
        }
        self.gained.iter().any(|(class, index)| newer(index) && may_use(eval, class))
    }

    /// Nodes of `class` may have gained room at `index`.
    pub fn gain(&mut self, class: &str, index: Index) -> Vec<Action> {
        self.gained_any = self.gained_any.max(index);
        match self.gained.get_mut(class) {
            Some(known) => *known = index.max(*known),
            None => drop(self.gained.insert(class.to_owned(), index)),
        }
        let found: Vec<JobKey> = self
            .jobs
            .iter()
            .filter(|(_, waiting)| may_use(&waiting.eval, class))
            .map(|(key, _)| key.clone())
            .collect();
        self.unblock(found)
    }

    /// Looks at all again; after settings changed.
    pub fn gain_all(&mut self) -> Vec<Action> {
        let all = self.jobs.keys().cloned().collect();
        self.unblock(all)
    }

    fn unblock(&mut self, mut keys: Vec<JobKey>) -> Vec<Action> {
        keys.sort();
        let taken = keys.into_iter().filter_map(|key| self.jobs.remove(&key));
        taken.map(|waiting| Action::Unblock(waiting.eval)).collect()
    }

    /// Everything of the job has a place, or the job is gone.
    pub fn forget(&mut self, key: &JobKey) {
        self.jobs.remove(key);
    }

    /// Time passed.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Action> {
        let due = |waiting: &Waiting| waiting.retry.is_some_and(|at| at <= now);
        let keys = self.jobs.iter().filter(|(_, w)| due(w)).map(|(key, _)| key.clone()).collect();
        self.unblock(keys)
    }

    /// When [`Blocked::tick`] should be called next.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.jobs.values().filter_map(|waiting| waiting.retry).min()
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.jobs.len()
    }
}

/// A class that was not there when the scheduler looked may do as well.
fn may_use(eval: &Evaluation, class: &str) -> bool {
    eval.escaped_computed_class || eval.class_eligibility.get(class).copied().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    fn eval(id: &str, job: &str, classes: &[(&str, bool)]) -> Arc<Evaluation> {
        Arc::new(Evaluation {
            id: id.into(),
            job_id: job.into(),
            class_eligibility: classes.iter().map(|(c, ok)| ((*c).to_owned(), *ok)).collect(),
            snapshot_index: 10,
            ..Evaluation::default()
        })
    }

    fn unblocked(actions: &[Action]) -> Vec<&str> {
        let mut ids = Vec::new();
        for action in actions {
            match action {
                Action::Unblock(eval) => ids.push(eval.id.as_str()),
                Action::Cancel(_) => {}
            }
        }
        ids
    }

    #[test]
    fn only_those_that_may_use_the_class_are_woken() {
        let mut blocked = Blocked::default();
        blocked.block(eval("a", "a", &[("big", true), ("small", false)]), NOW);
        blocked.block(eval("b", "b", &[("big", false), ("small", true)]), NOW);
        let mut escaped = Evaluation::clone(&eval("c", "c", &[("big", false)]));
        escaped.escaped_computed_class = true;
        blocked.block(Arc::new(escaped), NOW);
        assert_eq!(unblocked(&blocked.gain("big", 11)), ["a", "c"]);
        assert_eq!(unblocked(&blocked.gain("new", 12)), ["b"]);
        assert_eq!(blocked.count(), 0);
    }

    #[test]
    fn room_that_appeared_while_the_scheduler_looked_is_not_missed() {
        let mut blocked = Blocked::default();
        blocked.gain("big", 11);
        assert_eq!(unblocked(&blocked.block(eval("a", "a", &[("big", true)]), NOW)), ["a"]);
        assert!(blocked.block(eval("b", "b", &[("big", false)]), NOW).is_empty());
    }

    #[test]
    fn one_of_a_job_waits_the_newest() {
        let mut blocked = Blocked::default();
        blocked.block(eval("a", "job", &[]), NOW);
        let mut newer = Evaluation::clone(&eval("b", "job", &[]));
        newer.create_index = 5;
        assert_eq!(blocked.block(Arc::new(newer), NOW), [Action::Cancel("a".into())]);
        assert_eq!(blocked.block(eval("a", "job", &[]), NOW), [Action::Cancel("a".into())]);
        assert_eq!(blocked.count(), 1);
    }

    #[test]
    fn too_many_conflicts_are_tried_again_after_a_minute() {
        let mut blocked = Blocked::default();
        let mut conflicts = Evaluation::clone(&eval("a", "job", &[]));
        conflicts.triggered_by = EvalTrigger::MaxPlanAttempts;
        blocked.block(Arc::new(conflicts), NOW);
        let due = blocked.deadline().unwrap();
        assert_eq!(due, NOW.plus(Nanos::from_secs(60)));
        assert!(blocked.tick(NOW).is_empty());
        assert_eq!(unblocked(&blocked.tick(due)), ["a"]);
    }
}
