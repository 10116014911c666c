//! ◇ `/v1/jobs` and `/v1/job/:id`: lists, reads and writes of jobs.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use super::view::{self, AllocStubOptions};
use super::{body, job_scale, job_versions, read};
use crate::jobspec::{self, Inputs, NoFiles, Source};
use crate::model::{Index, Job, JobKey};
use crate::state::{RowKey, State, Table, Topic};

/// `GET /v1/jobs`.
pub(super) async fn list(cx: &Context, query: &Query) -> Answer {
    let with_meta = query.flag("meta", false)?;
    let prefix = query.text("prefix").to_owned();
    let tables = [Table::Jobs, Table::JobSummaries];
    let find = |state: &State| {
        let jobs = state.jobs().filter(|job| query.wants_namespace(&job.namespace));
        let rows = jobs
            .filter(|job| job.id.starts_with(&prefix))
            .map(|job| (format!("{}.{}", job.namespace, job.id), Arc::clone(job)));
        (state.tables_index(&tables), rows.collect())
    };
    let whole = |job: &Arc<Job>| view::value(job);
    let shown = |state: &State, job: Arc<Job>| {
        let summary = state.job_summary(&job.key());
        view::job_stub(&job, summary.map(AsRef::as_ref), with_meta)
    };
    read::nouns(cx, query, &tables.map(Topic::Table), find, (whole, shown)).await
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
    let (id, what, tag) = split(path);
    let tag = tag.as_str();
    let key = JobKey::new(query.namespace(), id.as_str());
    let write = matches!(*method, Method::PUT | Method::POST);
    match (what, method) {
        ("", &Method::GET) => job(cx, query, &key).await,
        ("", &Method::DELETE) => super::job_write::deregister(cx, query, &key).await,
        ("", _) if write => super::job_write::register(cx, query, sent, Some(&key.id)).await,
        ("allocations", &Method::GET) => allocations(cx, query, &key).await,
        ("evaluations", &Method::GET) => evaluations(cx, query, &key).await,
        ("versions", &Method::GET) => job_versions::versions(cx, query, &key).await,
        ("revert", _) if write => job_versions::revert(cx, query, &key, sent).await,
        ("stable", _) if write => job_versions::stable(cx, query, &key, sent).await,
        ("tag", _) => job_versions::tag(cx, method, query, &key, (tag, sent)).await,
        ("scale", &Method::GET) => job_scale::status(cx, query, &key).await,
        ("scale", _) if write => job_scale::scale(cx, query, &key, sent).await,
        ("summary", _) => summary(cx, query, &key).await,
        ("deployments", &Method::GET) => deployments(cx, query, &key).await,
        ("deployment", &Method::GET) => deployment(cx, query, &key).await,
        ("submission", &Method::GET) => submission(cx, query, &key).await,
        ("plan", _) if write => super::job_write::plan(cx, query, &key, sent),
        ("evaluate", _) if write => super::job_write::evaluate(cx, query, &key, sent).await,
        ("services", &Method::GET) => answer::indexed(query, 1, &Value::Array(Vec::new())),
        ("actions", &Method::GET) => actions(cx, query, &key),
        ("dispatch" | "force", _) if write => Err(HttpError::later("launching children of jobs")),
        _ => Err(HttpError::method()),
    }
}

const ASKED: &[&str] = &[
    "allocations",
    "evaluations",
    "versions",
    "revert",
    "stable",
    "scale",
    "summary",
    "deployments",
    "deployment",
    "submission",
    "plan",
    "evaluate",
    "services",
    "actions",
    "dispatch",
];

/// The ID, what is asked of it, and the version's name in `<id>/versions/<name>/tag`.
fn split(path: &str) -> (String, &str, String) {
    let unescape = super::query::unescape;
    if let Some((rest, name)) = path.strip_suffix("/tag").and_then(|rest| rest.rsplit_once('/'))
        && let Some(id) = rest.strip_suffix("/versions")
    {
        return (unescape(id), "tag", unescape(name));
    }
    if let Some(id) = path.strip_suffix("/periodic/force") {
        return (unescape(id), "force", String::new());
    }
    match path.rsplit_once('/') {
        Some((id, what)) if ASKED.contains(&what) => (unescape(id), what, String::new()),
        Some(_) | None => (unescape(path), "", String::new()),
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
pub(super) fn newest(indexes: impl Iterator<Item = Index>, table: Index) -> Index {
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
    let version = query.given("version").and_then(|text| text.parse::<u64>().ok());
    let version = version.ok_or_else(|| {
        HttpError::bad_request("Unable to parse job submission version parameter")
    })?;
    let topics = [Topic::Row(RowKey::Job(key.clone()))];
    read::object(cx, query, &topics, "job source not found", |state| {
        match state.job_submission(key, version) {
            Some(found) => (found.job_modify_index, Some(view::value(found))),
            None => (state.table_index(Table::Jobs), None),
        }
    })
    .await
}

/// `PUT /v1/jobs/parse`.
pub(super) fn parse(query: &Query, sent: &Bytes) -> Answer {
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
    let job = jobspec::parse(&source("input.hcl", request.job_hcl), &inputs, &NoFiles).map_err(
        |error| {
            let text = jobspec::format_error(&error);
            HttpError::bad_request(format!("Failed to parse job: {text}"))
        },
    )?;
    if !request.canonicalize {
        return answer::plain(query, &job);
    }
    answer::plain(query, &body::SentJob::read(job)?.canonical())
}

/// Commands people may run in the job's tasks by name.
fn actions(cx: &Context, query: &Query, key: &JobKey) -> Answer {
    let state = cx.state()?;
    let job = state.job(key).ok_or_else(|| HttpError::not_found("job not found"))?;
    let tasks = job.task_groups.iter().flat_map(|g| g.tasks.iter().map(move |t| (g, t)));
    let actions = tasks.flat_map(|(group, task)| {
        task.actions.iter().map(move |action| {
            json!({
                "Name": action.name,
                "Command": action.command,
                "Args": action.args,
                "TaskName": task.name,
                "TaskGroupName": group.name,
            })
        })
    });
    let actions: Vec<Value> = actions.collect();
    answer::indexed(query, job.modify_index, &actions)
}
