//! Evaluations.

use std::collections::BTreeSet;

use crate::model::{EvalId, EvalStatus, Evaluation, Index};

use super::transaction::Transaction;
use super::{status, summary};

/// Adds or changes evaluations and what follows from them.
pub(super) fn upsert(tx: &mut Transaction<'_>, evals: &[Evaluation]) {
    let mut jobs = BTreeSet::new();
    for eval in evals {
        put(tx, eval.clone());
        jobs.insert(eval.job_key());
    }
    for key in jobs {
        status::refresh(tx, &key);
    }
}

/// Adds the evaluation that follows a change of a job. Does not derive the job's status again.
pub(super) fn follow(
    tx: &mut Transaction<'_>,
    eval: Option<&Evaluation>,
    job_modify_index: Index,
) -> Option<EvalId> {
    let eval = Evaluation { job_modify_index, ..eval?.clone() };
    let id = eval.id.clone();
    put(tx, eval);
    Some(id)
}

/// Notes that an evaluation was worked on at this index, so that its scheduler waits for it.
pub(super) fn touch(tx: &mut Transaction<'_>, id: &EvalId) {
    if let Some(eval) = tx.state.eval(id).cloned() {
        tx.put_eval(Evaluation::clone(&eval));
    }
}

fn put(tx: &mut Transaction<'_>, mut eval: Evaluation) {
    let existing = tx.state.eval(&eval.id);
    eval.create_index = existing.map_or(tx.index, |existing| existing.create_index);
    if eval.create_time.is_never() {
        eval.create_time = existing.map_or(tx.time, |existing| existing.create_time);
    }
    if eval.modify_time.is_never() {
        eval.modify_time = tx.time;
    }
    summary::set_queued(tx, &eval);
    if eval.status == EvalStatus::Complete && eval.failed_tg_allocs.is_empty() {
        cancel_blocked(tx, &eval);
    }
    tx.put_eval(eval);
}

/// When all of a job could be placed, none of its evaluations waits for room any more.
fn cancel_blocked(tx: &mut Transaction<'_>, done: &Evaluation) {
    let key = done.job_key();
    let blocked: Vec<_> = tx
        .state
        .evals_by_job(&key)
        .filter(|eval| eval.status == EvalStatus::Blocked && eval.id != done.id)
        .cloned()
        .collect();
    for eval in blocked {
        tx.put_eval(Evaluation {
            status: EvalStatus::Canceled,
            status_description: format!("evaluation \"{}\" successful", done.id),
            modify_time: done.modify_time,
            ..Evaluation::clone(&eval)
        });
    }
}
