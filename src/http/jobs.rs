//! ◇ `/v1/jobs` and `/v1/job/:id`: lists, reads and writes of jobs.

use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use super::view::{self, AllocStubOptions};
use super::{body, read};
use crate::jobspec::{self, Inputs, NoFiles, Source};
use crate::model::{Index, JobKey};
use crate::state::Topic;
use crate::state::{RowKey, Table};

/// `GET /v1/jobs`.
pub(super) async fn list(cx: &Context, query: &Query) -> Answer {
    let with_meta = query.flag("meta", false)?;
    let prefix = query.text("prefix").to_owned();
    read::rows(
        cx,
        query,
        &[Topic::Table(Table::Jobs), Topic::Table(Table::JobSummaries)],
        |state| {
            let jobs = state.jobs().filter(|job| query.wants_namespace(&job.namespace));
            let rows = jobs.filter(|job| job.id.starts_with(&prefix)).map(|job| {
                let summary = state.job_summary(&job.key());
                (
                    format!("{}.{}", job.namespace, job.id),
                    view::job_stub(job, summary.map(AsRef::as_ref), with_meta),
                )
            });
            (state.tables_index(&[Table::Jobs, Table::JobSummaries]), rows.collect())
        },
    )
    .await
}

/// `/v1/job/<id>…`: `path` is what follows `/v1/job/`. An ID may hold slashes, so what is asked of it is
/// known by the end of the path.
pub(super) async fn route(
    cx: &Context,
    method: &Method,
    path: &str,
    query: &Query,
    sent: &Bytes,
) -> Answer {
    let (id, what) = split(path);
    let key = JobKey::new(query.namespace(), id.as_str());
    let write = matches!(*method, Method::PUT | Method::POST);
    match (what, method) {
        ("", &Method::GET) => job(cx, query, &key).await,
        ("", &Method::DELETE) => super::job_write::deregister(cx, query, &key).await,
        ("", _) if write => super::job_write::register(cx, query, sent).await,
        ("allocations", &Method::GET) => allocations(cx, query, &key).await,
        ("evaluations", &Method::GET) => evaluations(cx, query, &key).await,
        ("versions", &Method::GET) => versions(cx, query, &key).await,
        ("summary", _) => summary(cx, query, &key).await,
        ("deployments", &Method::GET) => deployments(cx, query, &key).await,
        ("deployment", &Method::GET) => deployment(cx, query, &key).await,
        ("submission", &Method::GET) => submission(cx, query, &key).await,
        ("plan", _) if write => super::job_write::plan(cx, query, &key, sent).await,
        ("evaluate", _) if write => super::job_write::evaluate(cx, query, &key, sent).await,
        ("services" | "actions", &Method::GET) => {
            answer::indexed(query, 1, &Value::Array(Vec::new()))
        }
        _ => Err(HttpError::method()),
    }
}

const ASKED: &[&str] = &[
    "allocations",
    "evaluations",
    "versions",
    "summary",
    "deployments",
    "deployment",
    "submission",
    "plan",
    "evaluate",
    "services",
    "actions",
];

fn split(path: &str) -> (String, &str) {
    match path.rsplit_once('/') {
        Some((id, what)) if ASKED.contains(&what) => (super::query::unescape(id), what),
        Some(_) | None => (super::query::unescape(path), ""),
    }
}

fn of_job(table: Table, key: &JobKey) -> [Topic; 1] {
    [Topic::OfJob(table, key.clone())]
}

async fn job(cx: &Context, query: &Query, key: &JobKey) -> Answer {
    let topics = [Topic::Row(RowKey::Job(key.clone()))];
    read::object(cx, query, &topics, "job not found", |state| match state.job(key) {
        Some(job) => (job.modify_index, Some(view::value(job))),
        None => (state.table_index(Table::Jobs), None),
    })
    .await
}

async fn allocations(cx: &Context, query: &Query, key: &JobKey) -> Answer {
    let all = query.flag("all", false)?;
    let options = AllocStubOptions {
        resources: query.flag("resources", false)?,
        task_states: query.flag("task_states", true)?,
    };
    let topics = of_job(Table::Allocs, key);
    read::rows(cx, query, &topics, |state| {
        let create = state.job(key).map(|job| job.create_index);
        let allocs = state.allocs_by_job(key).filter(|alloc| {
            let own = alloc.job.as_ref().map(|job| job.create_index);
            all || create.is_none() || own == create
        });
        let rows: Vec<_> =
            allocs.map(|a| (a.id.to_string(), view::alloc_stub(a, options))).collect();
        (
            newest(
                state.allocs_by_job(key).map(|a| a.modify_index),
                state.table_index(Table::Allocs),
            ),
            rows,
        )
    })
    .await
}

/// The newest of some rows' indexes; of none, the table's.
fn newest(indexes: impl Iterator<Item = Index>, table: Index) -> Index {
    indexes.max().unwrap_or(table)
}

async fn evaluations(cx: &Context, query: &Query, key: &JobKey) -> Answer {
    read::rows(cx, query, &of_job(Table::Evals, key), |state| {
        let rows = state
            .evals_by_job(key)
            .map(|eval| (eval.id.to_string(), view::eval_view(eval)))
            .collect();
        (
            newest(
                state.evals_by_job(key).map(|e| e.modify_index),
                state.table_index(Table::Evals),
            ),
            rows,
        )
    })
    .await
}

async fn versions(cx: &Context, query: &Query, key: &JobKey) -> Answer {
    let topics =
        [Topic::Row(RowKey::Job(key.clone())), Topic::OfJob(Table::JobVersions, key.clone())];
    read::object(cx, query, &topics, "job versions not found", |state| {
        let mut found = state.job_versions(key);
        found.sort_by_key(|job| std::cmp::Reverse(job.version));
        let index =
            newest(found.iter().map(|job| job.modify_index), state.table_index(Table::JobVersions));
        let answer = (!found.is_empty()).then(|| {
            json!({
                "Versions": found,
                "Diffs": null,
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

async fn summary(cx: &Context, query: &Query, key: &JobKey) -> Answer {
    let topics = [Topic::Row(RowKey::Summary(key.clone()))];
    read::object(cx, query, &topics, "job not found", |state| match state.job_summary(key) {
        Some(summary) => (summary.modify_index, Some(view::summary_view(summary))),
        None => (state.table_index(Table::JobSummaries), None),
    })
    .await
}

async fn deployments(cx: &Context, query: &Query, key: &JobKey) -> Answer {
    read::rows(cx, query, &of_job(Table::Deployments, key), |state| {
        let found = state.deployments_by_job(key);
        let rows = found.map(|d| (d.id.to_string(), view::value(d))).collect();
        let table = state.table_index(Table::Deployments);
        (newest(state.deployments_by_job(key).map(|d| d.modify_index), table), rows)
    })
    .await
}

async fn deployment(cx: &Context, query: &Query, key: &JobKey) -> Answer {
    read::value(cx, query, &of_job(Table::Deployments, key), |state| {
        match state.latest_deployment(key) {
            Some(deployment) => (deployment.modify_index, view::value(deployment)),
            None => (state.table_index(Table::Deployments), Value::Null),
        }
    })
    .await
}

async fn submission(cx: &Context, query: &Query, key: &JobKey) -> Answer {
    let version = query.number("version")?;
    let topics = [Topic::Row(RowKey::Job(key.clone()))];
    read::object(cx, query, &topics, "job source not found", |state| {
        let latest = state.job(key).map(|job| job.version);
        let version = version.and_then(|v| u64::try_from(v).ok()).or(latest).unwrap_or_default();
        match state.job_submission(key, version) {
            Some(found) => (found.job_modify_index, Some(view::value(found))),
            None => (state.table_index(Table::Jobs), None),
        }
    })
    .await
}

/// `PUT /v1/jobs/parse`.
pub(super) fn parse(cx: &Context, query: &Query, sent: &Bytes) -> Answer {
    let request: body::ParseRequest = body::decode(sent)?;
    if request.job_hcl.is_empty() {
        return Err(HttpError::bad_request("Job spec is empty"));
    }
    let source =
        |name: &str, text: String| Source { name: name.to_owned(), bytes: text.into_bytes() };
    let var_files = if request.variables.is_empty() {
        Vec::new()
    } else {
        vec![source("input.hcl-variables", request.variables)]
    };
    let inputs = Inputs { var_files, strict: false, ..Inputs::default() };
    let job = jobspec::parse(&source("input.hcl", request.job_hcl), &inputs, &NoFiles)
        .map_err(|error| HttpError::bad_request(jobspec::format_error(&error)))?;
    if !request.canonicalize {
        return answer::plain(query, &job);
    }
    let (job, _) = body::admit(cx, job)?;
    answer::plain(query, &job)
}
