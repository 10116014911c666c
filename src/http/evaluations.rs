//! ◇ `/v1/evaluations` and `/v1/evaluation/:id`.

use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};

use super::allocations::{check_id, check_prefix};
use super::answer::{self, Answer};
use super::context::Context;
use super::error::HttpError;
use super::query::Query;
use super::view::{self, AllocStubOptions};
use super::{body, list, read};
use crate::model::{EvalId, Evaluation};
use crate::state::Topic;
use crate::state::{RowKey, Table};

/// What a list of evaluations is narrowed to.
struct Wanted {
    prefix: String,
    job: String,
    status: String,
}

impl Wanted {
    fn of(query: &Query) -> Result<Self, HttpError> {
        let wanted = Self {
            prefix: query.text("prefix").to_owned(),
            job: query.text("job").to_owned(),
            status: query.text("status").to_owned(),
        };
        check_prefix("eval", &wanted.prefix)?;
        let narrowed = !wanted.job.is_empty() || !wanted.status.is_empty();
        if narrowed && query.given("filter").is_some() {
            return Err(HttpError::bad_request(
                "Filter expression cannot be used with other filter parameters",
            ));
        }
        Ok(wanted)
    }

    fn matches(&self, eval: &Evaluation) -> bool {
        let status = view::value(&eval.status);
        (self.job.is_empty() || eval.job_id == self.job)
            && (self.status.is_empty() || status.as_str() == Some(&self.status))
    }
}

/// `GET /v1/evaluations`.
pub(super) async fn list(cx: &Context, query: &Query) -> Answer {
    let wanted = Wanted::of(query)?;
    read::rows(cx, query, &[Topic::Table(Table::Evals)], |state| {
        let evals = state.evals_by_prefix(&wanted.prefix);
        let mut found: Vec<_> =
            evals.filter(|e| query.wants_namespace(&e.namespace) && wanted.matches(e)).collect();
        found.sort_by(|a, b| (a.create_index, &a.id).cmp(&(b.create_index, &b.id)));
        let rows =
            found.into_iter().map(|e| (format!("{}.{}", e.create_index, e.id), view::eval_view(e)));
        (state.table_index(Table::Evals), rows.collect())
    })
    .await
}

/// `GET /v1/evaluations/count`.
pub(super) fn count(cx: &Context, query: &Query) -> Answer {
    let wanted = Wanted::of(query)?;
    let state = cx.state()?;
    let evals =
        state.evals_by_prefix(&wanted.prefix).filter(|e| query.wants_namespace(&e.namespace));
    let rows = evals
        .filter(|e| wanted.matches(e))
        .map(|e| (e.id.to_string(), view::eval_view(e)))
        .collect();
    let page = list::page(query, rows, Value::clone)?;
    let index = state.table_index(Table::Evals).max(1);
    let count = json!({
        "Count": page.rows.len(),
        "Index": index,
        "KnownLeader": true,
        "LastContact": 0,
        "NextToken": "",
    });
    answer::indexed(query, index, &count)
}

/// `/v1/evaluation/<id>…`.
pub(super) async fn route(cx: &Context, method: &Method, path: &str, query: &Query) -> Answer {
    let (id, what) = path.split_once('/').unwrap_or((path, ""));
    let id = EvalId::from(id);
    match (what, method) {
        ("", &Method::GET) => eval(cx, query, &id).await,
        ("allocations", &Method::GET) => allocations(cx, query, &id).await,
        ("" | "allocations", _) => Err(HttpError::method()),
        _ => Err(HttpError::not_found("resource not found")),
    }
}

async fn eval(cx: &Context, query: &Query, id: &EvalId) -> Answer {
    check_id("eval", id.as_str())?;
    let related = query.flag("related", false)?;
    let topics = [Topic::Row(RowKey::Eval(id.clone()))];
    read::object(cx, query, &topics, "eval not found", |state| match state.eval(id) {
        Some(eval) => {
            let mut view = view::eval_view(eval);
            if related {
                let others =
                    state.evals_by_job(&eval.job_key()).filter(|other| other.id != eval.id);
                view["RelatedEvals"] = others.map(|other| view::eval_stub(other)).collect();
            }
            (eval.modify_index, Some(view))
        }
        None => (state.table_index(Table::Evals), None),
    })
    .await
}

async fn allocations(cx: &Context, query: &Query, id: &EvalId) -> Answer {
    let options = AllocStubOptions { resources: false, task_states: true };
    read::rows(cx, query, &[Topic::AllocsOfEval(id.clone())], |state| {
        let rows: Vec<_> = state
            .allocs_by_eval(id)
            .map(|a| (a.id.to_string(), view::alloc_stub(a, options)))
            .collect();
        let newest = state.allocs_by_eval(id).map(|alloc| alloc.modify_index).max();
        (newest.unwrap_or_else(|| state.table_index(Table::Allocs)), rows)
    })
    .await
}

/// `DELETE /v1/evaluations`.
pub(super) async fn delete(cx: &Context, query: &Query, sent: &Bytes) -> Answer {
    let request: body::EvalDeleteRequest = body::decode(sent)?;
    let ids: Vec<EvalId> = match (request.eval_ids.is_empty(), request.filter.is_empty()) {
        (true, true) => {
            return Err(HttpError::bad_request("evals must be deleted by either ID or filter"));
        }
        (false, false) => {
            return Err(HttpError::bad_request("evals cannot be deleted by both ID and filter"));
        }
        (false, true) => request.eval_ids.iter().map(|id| EvalId::from(id.as_str())).collect(),
        (true, false) => {
            let state = cx.state()?;
            let evals = state.evals().filter(|e| query.wants_namespace(&e.namespace));
            let rows = evals.map(|e| (e.id.to_string(), view::eval_view(e))).collect();
            let found = list::filtered(&request.filter, rows, Value::clone)?;
            found.into_iter().map(|(id, _)| EvalId::from(id)).collect()
        }
    };
    let count = ids.len();
    let index = cx.server()?.delete_evals(ids).await.map_err(HttpError::refused)?;
    answer::indexed(query, index, &json!({ "Count": count, "Index": index }))
}
