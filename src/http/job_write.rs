//! ◇ Writes of jobs: register, deregister, plan, evaluate, validate.

use axum::body::Bytes;
use serde_json::json;

use super::answer::{self, Answer};
use super::body::{self, SentJob};
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use crate::model::JobKey;
use crate::server::{Failed, JobChanged, Purge, RegisterJob};

/// `PUT /v1/jobs`, or `/v1/job/<id>` with the ID that the job must have.
pub(super) async fn register(
    cx: &Context,
    query: &Query,
    sent: &Bytes,
    path_id: Option<&str>,
) -> Answer {
    let (request, job) = body::job_request::<body::RegisterRequest>(sent, |r| r.job.take())?;
    let job = job.ok_or_else(|| HttpError::bad_request("Job must be specified"))?;
    if job.id().is_empty() {
        return Err(HttpError::bad_request("Job ID hasn't been provided"));
    }
    if path_id.is_some_and(|id| id != job.id()) {
        return Err(HttpError::bad_request("Job ID does not match name"));
    }
    if !matches!(request.eval_priority, 0..=100) {
        return Err(HttpError::bad_request("Eval priority must be between 1 and 100 inclusively"));
    }
    let namespace = query.given("namespace").unwrap_or(&request.namespace);
    let (job, warnings) = body::admit(cx, job.in_namespace(namespace))?;
    let registration = RegisterJob {
        job,
        submission: request.submission.filter(|s| !s.source.is_empty()),
        enforce_index: request.enforce_index.then_some(request.job_modify_index),
        eval_priority: (request.eval_priority > 0).then_some(request.eval_priority),
    };
    let done = cx.server()?.register_job(registration).await.map_err(HttpError::refused)?;
    changed(query, &done, &warnings)
}

/// What became of a job, as most writes tell it.
pub(super) fn changed(query: &Query, done: &JobChanged, warnings: &str) -> Answer {
    answer::indexed(
        query,
        done.index,
        &json!({
            "EvalID": done.eval_id,
            "EvalCreateIndex": done.eval_create_index,
            "JobModifyIndex": done.job_modify_index,
            "Warnings": warnings,
            "Index": done.index,
            "LastContact": 0,
            "KnownLeader": false,
            "NextToken": "",
        }),
    )
}

/// `DELETE /v1/job/<id>`.
pub(super) async fn deregister(cx: &Context, query: &Query, key: &JobKey) -> Answer {
    // Nomad: a flag it cannot read is 500 here.
    let flag = |name: &str| query.flag(name, false).map_err(HttpError::into_internal);
    let purge = match (flag("purge")?, flag("no_shutdown_delay")?) {
        (true, _) => Purge::Yes,
        (false, true) => Purge::NoShutdownDelay,
        (false, false) => Purge::No,
    };
    let priority = query.number("eval_priority")?.filter(|p| *p > 0);
    let done =
        cx.server()?.deregister_job(key, purge, priority).await.map_err(HttpError::refused)?;
    answer::indexed(
        query,
        done.index,
        &json!({
            "EvalID": done.eval_id,
            "EvalCreateIndex": done.eval_create_index,
            "JobModifyIndex": done.job_modify_index,
            "VolumeEvalID": "",
            "VolumeEvalIndex": 0,
            "Index": done.index,
            "LastContact": 0,
            "KnownLeader": false,
            "NextToken": "",
        }),
    )
}

/// `PUT /v1/job/<id>/evaluate`.
pub(super) async fn evaluate(cx: &Context, query: &Query, key: &JobKey, sent: &Bytes) -> Answer {
    let request: body::EvaluateRequest = body::decode_or_default(sent)?;
    let failed =
        if request.eval_options.force_reschedule { Failed::Replace } else { Failed::Leave };
    let done = cx.server()?.evaluate_job(key, failed).await.map_err(HttpError::refused)?;
    changed(query, &done, "")
}

/// `PUT /v1/job/<id>/plan`.
pub(super) fn plan(cx: &Context, query: &Query, key: &JobKey, sent: &Bytes) -> Answer {
    let (request, job) = body::job_request::<body::PlanRequest>(sent, |r| r.job.take())?;
    let job = job.ok_or_else(|| HttpError::bad_request("Job must be specified"))?;
    if job.id().is_empty() {
        return Err(HttpError::bad_request("Job must have a valid ID"));
    }
    if job.id() != &*key.id {
        return Err(HttpError::bad_request("Job ID does not match"));
    }
    let (job, warnings) = body::admit(cx, job.in_namespace(query.text("namespace")))?;
    let outcome = cx.server()?.plan_job(job).map_err(HttpError::refused)?;
    let diff = request.diff.then(|| {
        body::diff(outcome.before.as_deref(), &outcome.after, outcome.annotations.as_ref())
    });
    let failed = (!outcome.failed.is_empty()).then_some(&outcome.failed);
    let created = (!outcome.created_evals.is_empty()).then_some(&outcome.created_evals);
    answer::indexed(
        query,
        outcome.job_modify_index,
        &json!({
            "Annotations": outcome.annotations,
            "FailedTGAllocs": failed,
            "JobModifyIndex": outcome.job_modify_index,
            "CreatedEvals": created,
            "Diff": diff,
            "NextPeriodicLaunch": null,
            "Warnings": warnings,
            "Index": outcome.job_modify_index,
        }),
    )
}

/// `PUT /v1/validate/job`.
pub(super) fn validate(cx: &Context, query: &Query, sent: &Bytes) -> Answer {
    let (request, job) = body::job_request::<body::RegisterRequest>(sent, |r| r.job.take())?;
    let job: SentJob = job.ok_or_else(|| HttpError::bad_request("Job must be specified"))?;
    if job.id().is_empty() {
        return Err(HttpError::bad_request("Job must have a valid ID"));
    }
    let namespace = query.given("namespace").unwrap_or(&request.namespace);
    let checked = body::check(cx, job.in_namespace(namespace))?;
    answer::plain(
        query,
        &json!({
            "DriverConfigValidated": true,
            "ValidationErrors": (!checked.errors.is_empty()).then_some(checked.errors),
            "Error": checked.text,
            "Warnings": checked.warnings,
        }),
    )
}
