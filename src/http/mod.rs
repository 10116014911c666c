//! ◇ The server side of the API, one file per resource.
//!
//! A request comes in through [`router`], which knows the paths; each resource's file reads its parameters,
//! asks the state (a snapshot, perhaps waited for: [`read`]) or the servers, and answers in Nomad's JSON
//! ([`view`], [`answer`]). Errors are Nomad's plain texts; only [`error`] knows a status code. Nothing is
//! decided here about jobs or nodes: that is `api`'s, `server`'s and the scheduler's.
//!
//! Nomad: job IDs may hold slashes, so below `/v1/job/` a path is read from its end; POST and PUT are the same.

mod agent;
mod allocations;
mod answer;
mod body;
mod client;
mod context;
mod deployments;
mod error;
mod evaluations;
mod exec;
mod job_write;
mod jobs;
mod list;
pub mod local;
mod nodes;
mod query;
mod read;
mod rows;
mod search;
mod serve;
mod view;

pub use context::{Context, Facts};
pub use local::Local;
pub use serve::serve;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts as _, State};
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};

use answer::Answer;
use error::HttpError;
use query::Query;

use crate::state::Table;
use crate::state::command::RowTable;

/// No body may be larger: a job is at most some hundred kilobytes with its source.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The routes.
pub fn router(cx: Context) -> Router {
    Router::new()
        .fallback(handle)
        .layer(tower_http::compression::CompressionLayer::new().compress_when(serve::WholeAnswers))
        .with_state(cx)
}

async fn handle(State(cx): State<Context>, request: Request<Body>) -> Response {
    let path = request.uri().path().to_owned();
    if path == "/" {
        return Redirect::temporary("/ui/").into_response();
    }
    let mut response = match route(cx, request, &path).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    response
        .headers_mut()
        .entry(header::VARY)
        .or_insert(header::HeaderValue::from_static("Accept-Encoding"));
    response
}

async fn route(cx: Context, request: Request<Body>, path: &str) -> Answer {
    let Some(path) = path.strip_prefix("/v1/") else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let method = request.method().clone();
    if let Some(region) = query.given("region").filter(|region| *region != cx.facts.region()) {
        return Err(HttpError::of(
            crate::sys::report::Kind::Internal,
            format!("No path to region: there is no region `{region}`"),
        ));
    }
    if let Some(rest) = path.strip_prefix("client/") {
        return client_route(cx, request, rest, &query).await;
    }
    let sent = axum::body::to_bytes(request.into_body(), MAX_BODY)
        .await
        .map_err(|error| HttpError::bad_request(format!("the body could not be read: {error}")))?;
    servers_route(&cx, &method, path, &query, &sent).await
}

async fn client_route(cx: Context, request: Request<Body>, path: &str, query: &Query) -> Answer {
    let method = request.method().clone();
    let exec = path.strip_prefix("allocation/").and_then(|rest| rest.strip_suffix("/exec"));
    if let Some(id) = exec {
        let (mut parts, _) = request.into_parts();
        let upgrade =
            axum::extract::ws::WebSocketUpgrade::from_request_parts(&mut parts, &cx).await;
        let upgrade = upgrade.map_err(|error| HttpError::bad_request(error.to_string()))?;
        return exec::run(&cx, upgrade, id, query);
    }
    let sent = axum::body::to_bytes(request.into_body(), MAX_BODY)
        .await
        .map_err(|error| HttpError::bad_request(format!("the body could not be read: {error}")))?;
    client::route(&cx, &method, path, query, &sent).await
}

/// What is answered from the state or by the servers.
async fn servers_route(
    cx: &Context,
    method: &Method,
    path: &str,
    query: &Query,
    sent: &Bytes,
) -> Answer {
    let get = *method == Method::GET;
    let write = matches!(*method, Method::PUT | Method::POST);
    match path {
        "jobs" if get => return jobs::list(cx, query).await,
        "jobs" if write => return job_write::register(cx, query, sent).await,
        "jobs/parse" if write => return jobs::parse(cx, query, sent),
        "validate/job" if write => return job_write::validate(cx, query, sent),
        "allocations" if get => return allocations::list(cx, query).await,
        "evaluations" if get => return evaluations::list(cx, query).await,
        "evaluations/count" if get => return evaluations::count(cx, query),
        "deployments" if get => return deployments::list(cx, query).await,
        "nodes" if get => return nodes::list(cx, query).await,
        "node/pools" => {
            return rows::list(cx, method, query, RowTable::NodePools, Table::NodePools).await;
        }
        "namespaces" => {
            return rows::list(cx, method, query, RowTable::Namespaces, Table::Namespaces).await;
        }
        "regions" if get => return agent::regions(cx, query),
        "search" if write => return search::prefix(cx, query, sent),
        "jobs" | "jobs/parse" | "validate/job" | "allocations" | "evaluations"
        | "evaluations/count" | "deployments" | "nodes" | "regions" | "search" => {
            return Err(HttpError::method());
        }
        _ => {}
    }
    let Some((noun, rest)) = path.split_once('/') else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    match noun {
        "job" => jobs::route(cx, method, rest, query, sent).await,
        "allocation" => allocations::route(cx, method, rest, query).await,
        "evaluation" => evaluations::route(cx, method, rest, query).await,
        "deployment" => deployments::route(cx, method, rest, query, sent).await,
        "node" => match rest.strip_prefix("pool/") {
            Some(name) => {
                let tables = (RowTable::NodePools, Table::NodePools);
                rows::one(cx, method, query, tables, (name, "node pool not found")).await
            }
            None => nodes::route(cx, method, rest, query, sent).await,
        },
        "namespace" => {
            let tables = (RowTable::Namespaces, Table::Namespaces);
            rows::one(cx, method, query, tables, (rest, "Namespace not found")).await
        }
        "agent" => agent::agent(cx, method, rest, query),
        "status" if get => agent::status(cx, rest, query),
        "operator" => agent::operator(cx, method, rest, query, sent).await,
        "system" => agent::system(cx, method, rest).await,
        _ => Ok(StatusCode::NOT_FOUND.into_response()),
    }
}
