//! ◇ Writes of jobs: register, deregister, plan, evaluate, validate.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::body;
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use crate::model::JobKey;
use crate::server::{Failed, Purge, RegisterJob};

fn refused(error: &crate::server::ServerError) -> HttpError {
    HttpError::from_error(error.kind(), error)
}

/// `PUT /v1/jobs`.
pub(super) async fn register(cx: &Context, query: &Query, sent: &Bytes) -> Answer {
    let mut request: body::RegisterRequest = body::decode(sent)?;
    let Some(mut job) = request.job.take() else {
        return Err(HttpError::bad_request("Job must be specified"));
    };
    if job["ID"].as_str().is_none_or(str::is_empty) {
        return Err(HttpError::bad_request("Job ID hasn't been provided"));
    }
    if let Some(namespace) =
        query.given("namespace").or(Some(request.namespace.as_str()).filter(|n| !n.is_empty()))
    {
        job["Namespace"] = Value::String(namespace.to_owned());
    }
    if !matches!(request.eval_priority, 0..=100) {
        return Err(HttpError::bad_request("Eval priority must be between 1 and 100 inclusively"));
    }
    let (job, warnings) = body::admit(cx, job)?;
    let registration = RegisterJob {
        job,
        submission: request.submission.filter(|s| !s.source.is_empty()),
        enforce_index: request.enforce_index.then_some(request.job_modify_index),
        eval_priority: (request.eval_priority > 0).then_some(request.eval_priority),
    };
    let done = cx.server()?.register_job(registration).await.map_err(|error| refused(&error))?;
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
    let purge = match (query.flag("purge", false)?, query.flag("no_shutdown_delay", false)?) {
        (true, _) => Purge::Yes,
        (false, true) => Purge::NoShutdownDelay,
        (false, false) => Purge::No,
    };
    let priority = query.number("eval_priority")?.filter(|p| *p > 0);
    let done =
        cx.server()?.deregister_job(key, purge, priority).await.map_err(|error| refused(&error))?;
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
    let request: body::EvaluateRequest = body::decode(sent)?;
    let failed =
        if request.eval_options.force_reschedule { Failed::Replace } else { Failed::Leave };
    let done = cx.server()?.evaluate_job(key, failed).await.map_err(|error| refused(&error))?;
    answer::indexed(
        query,
        done.index,
        &json!({
            "EvalID": done.eval_id,
            "EvalCreateIndex": done.eval_create_index,
            "JobModifyIndex": done.job_modify_index,
            "Warnings": "",
            "Index": done.index,
            "LastContact": 0,
            "KnownLeader": false,
            "NextToken": "",
        }),
    )
}

/// `PUT /v1/job/<id>/plan`.
pub(super) async fn plan(cx: &Context, query: &Query, key: &JobKey, sent: &Bytes) -> Answer {
    let mut request: body::PlanRequest = body::decode(sent)?;
    let Some(mut job) = request.job.take() else {
        return Err(HttpError::bad_request("Job must be specified"));
    };
    match job["ID"].as_str() {
        None | Some("") => return Err(HttpError::bad_request("Job must have a valid ID")),
        Some(id) if id != &*key.id => return Err(HttpError::bad_request("Job ID does not match")),
        Some(_) => {}
    }
    if let Some(namespace) = query.given("namespace") {
        job["Namespace"] = Value::String(namespace.to_owned());
    }
    let (job, warnings) = body::admit(cx, job)?;
    let outcome = cx.server()?.plan_job(job).map_err(|error| refused(&error))?;
    let diff = if request.diff {
        super::body::diff(outcome.before.as_deref(), &outcome.after, outcome.annotations.as_ref())?
    } else {
        Value::Null
    };
    answer::indexed(
        query,
        0,
        &json!({
            "Annotations": outcome.annotations,
            "FailedTGAllocs": if outcome.failed.is_empty() { Value::Null } else { super::view::value(&outcome.failed) },
            "JobModifyIndex": outcome.job_modify_index,
            "CreatedEvals": outcome.created_evals,
            "Diff": diff,
            "NextPeriodicLaunch": "0001-01-01T00:00:00Z",
            "Warnings": warnings,
            "Index": cx.state()?.index(),
        }),
    )
}

/// `PUT /v1/validate/job`.
pub(super) fn validate(cx: &Context, query: &Query, sent: &Bytes) -> Answer {
    let mut request: body::RegisterRequest = body::decode(sent)?;
    let Some(mut job) = request.job.take() else {
        return Err(HttpError::bad_request("Job must be specified"));
    };
    if job["ID"].as_str().is_none_or(str::is_empty) {
        return Err(HttpError::bad_request("Job must have a valid ID"));
    }
    if let Some(namespace) = query.given("namespace") {
        job["Namespace"] = Value::String(namespace.to_owned());
    }
    let (errors, text, warnings) = body::check(cx, job)?;
    answer::plain(
        query,
        &json!({
            "DriverConfigValidated": true,
            "ValidationErrors": errors,
            "Error": text,
            "Warnings": warnings,
        }),
    )
}
