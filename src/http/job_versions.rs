//! ◇ Versions of a job: list them, go back to one, name one, say that one ran well.

use axum::body::Bytes;
use axum::http::Method;
use serde_json::json;

use super::answer::{self, Answer};
use super::context::Context;
use super::error::HttpError;
use super::jobs::newest;
use super::query::Query;
use super::{body, job_write, read};
use crate::api::diff::{self, JobDiff};
use crate::model::{Job, JobKey};
use crate::state::{RowKey, State, Table, Topic};

/// `GET /v1/job/<id>/versions`.
pub(super) async fn versions(cx: &Context, query: &Query, key: &JobKey) -> Answer {
    let with_diffs = query.flag("diffs", false)?;
    let topics =
        [Topic::Row(RowKey::Job(key.clone())), Topic::OfJob(Table::JobVersions, key.clone())];
    read::object(cx, query, &topics, "job versions not found", |state| {
        let found = state.job_versions(key);
        let index =
            newest(found.iter().map(|job| job.modify_index), state.table_index(Table::JobVersions));
        let answer = (!found.is_empty()).then(|| {
            let diffs = with_diffs.then(|| diffs(state, query, key)).filter(|d| !d.is_empty());
            json!({
                "Versions": found,
                "Diffs": diffs,
                "Index": index,
                "KnownLeader": true,
                "LastContact": 0,
                "NextToken": "",
            })
        });
        (index, answer)
    })
    .await
}

/// Each version beside the one before it, or beside the one that the query names.
fn diffs(state: &State, query: &Query, key: &JobKey) -> Vec<JobDiff> {
    let found = state.job_versions(key);
    let tag = query.text("diff_tag");
    let version = query.text("diff_version").parse::<u64>().ok();
    let is_base = |job: &Job| {
        let named = job.version_tag.as_ref().is_some_and(|t| t.name == tag);
        (!tag.is_empty() && named) || version == Some(job.version)
    };
    if let Some(base) = found.iter().find(|job| is_base(job)) {
        found.iter().map(|job| diff::between_versions(base, job)).collect()
    } else {
        let pairs = found.iter().zip(found.iter().skip(1));
        pairs.map(|(job, before)| diff::between_versions(before, job)).collect()
    }
}

/// `PUT /v1/job/<id>/revert`.
pub(super) async fn revert(cx: &Context, query: &Query, key: &JobKey, sent: &Bytes) -> Answer {
    let request: body::RevertRequest = body::decode(sent)?;
    same_job(&request.job_id, key)?;
    let enforce = request.enforce_prior_version;
    let done = cx.server()?.revert_job(key, request.job_version, enforce).await;
    job_write::changed(query, &done.map_err(HttpError::refused)?, "")
}

/// `PUT /v1/job/<id>/stable`.
pub(super) async fn stable(cx: &Context, query: &Query, key: &JobKey, sent: &Bytes) -> Answer {
    let request: body::StabilityRequest = body::decode(sent)?;
    same_job(&request.job_id, key)?;
    let done = cx.server()?.set_job_stability(key, request.job_version, request.stable).await;
    let index = done.map_err(HttpError::refused)?;
    answer::indexed(query, index, &json!({ "Index": index }))
}

fn same_job(named: &str, key: &JobKey) -> Result<(), HttpError> {
    if named.is_empty() || named == &*key.id {
        return Ok(());
    }
    Err(HttpError::bad_request("Job ID does not match"))
}

/// `PUT` and `DELETE /v1/job/<id>/versions/<name>/tag`.
pub(super) async fn tag(
    cx: &Context,
    method: &Method,
    query: &Query,
    key: &JobKey,
    (name, sent): (&str, &Bytes),
) -> Answer {
    let server = cx.server()?;
    let given = match *method {
        Method::PUT | Method::POST => {
            let request: body::TagRequest = body::decode(sent)?;
            let latest = || cx.state().ok().and_then(|s| s.job(key).map(|job| job.version));
            let version =
                if request.latest { latest().unwrap_or_default() } else { request.version };
            Some((version, request.description))
        }
        Method::DELETE => None,
        _ => return Err(HttpError::method()),
    };
    let version = given.as_ref().map(|(version, _)| *version);
    let index = server.tag_job_version(key, name, given).await.map_err(HttpError::refused)?;
    let state = cx.state()?;
    let tagged = version.and_then(|version| state.job_version(key, version)?.version_tag.clone());
    let tag = tagged.unwrap_or_default();
    answer::plain(
        query,
        &json!({
            "Name": tag.name,
            "Description": tag.description,
            "TaggedTime": tag.tagged_time,
            "Index": index,
            "LastContact": 0,
            "KnownLeader": false,
            "NextToken": "",
        }),
    )
}
