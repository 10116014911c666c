//! ◇ The server side of the API, one file per resource.
//!
//! A request comes in through [`router`], which knows the paths; each resource's file reads its parameters,
//! asks the state (a snapshot, perhaps waited for: [`read`]) or the servers, and answers in Nomad's JSON
//! ([`view`], [`answer`]). Errors are Nomad's plain texts; only [`error`] knows a status code. Nothing is
//! decided here about jobs or nodes: that is `api`'s, `server`'s and the scheduler's.
//!
//! Nomad: job IDs may hold slashes, so below `/v1/job/` a path is read from its end; POST and PUT are the same.
#![doc = include_str!("../docs/api.md")]

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
mod images;
mod job_scale;
mod job_statuses;
mod job_versions;
mod job_write;
mod jobs;
mod list;
pub mod local;
pub mod local_images;
mod namespaces;
mod node_pools;
mod nodes;
mod nothing;
mod operator;
mod preflight;
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
use axum::http::{Method, Request, header};
use axum::response::{IntoResponse as _, Response};

use answer::Answer;
use error::HttpError;
use query::Query;

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
    if let Some(response) = preflight::answer(&request, &path) {
        return response;
    }
    let origin = preflight::origin(&request, &path);
    let mut response = match route(cx, request, &path).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    preflight::allow(response.headers_mut(), origin);
    response
        .headers_mut()
        .entry(header::VARY)
        .or_insert(header::HeaderValue::from_static(preflight::vary(&path)));
    response
}

async fn route(cx: Context, request: Request<Body>, path: &str) -> Answer {
    let Some(path) = path.strip_prefix("/v1/") else {
        return Err(HttpError::nowhere());
    };
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let method = request.method().clone();
    if let Some(region) = query.given("region").filter(|region| *region != cx.facts.region()) {
        tracing::debug!(region, "asked of a region that is not here");
        return Err(HttpError::of(crate::sys::report::Kind::Internal, "No path to region"));
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
        let upgrade = upgrade.map_err(|error| {
            tracing::debug!(%error, "exec without a websocket");
            let text = "websocket connection not found in context";
            HttpError::of(crate::sys::report::Kind::Internal, text)
        })?;
        return exec::run(&cx, upgrade, id, query);
    }
    if let Some(rest) = path.strip_prefix("images") {
        return images::route(&cx, request, rest, query).await;
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
        "jobs" if write => return job_write::register(cx, query, sent, None).await,
        "jobs/parse" if write => return jobs::parse(query, sent),
        "jobs/statuses" => return job_statuses::statuses(cx, method, query, sent).await,
        "validate/job" if write => return job_write::validate(cx, query, sent),
        "allocations" if get => return allocations::list(cx, query).await,
        "evaluations" if get => return evaluations::list(cx, query).await,
        "evaluations" if *method == Method::DELETE => {
            return evaluations::delete(cx, query, sent).await;
        }
        "evaluations/count" if get => return evaluations::count(cx, query),
        "deployments" if get => return deployments::list(cx, query).await,
        "nodes" if get => return nodes::list(cx, query).await,
        "node/pools" => return node_pools::all(cx, method, query, sent).await,
        "namespaces" => return namespaces::all(cx, method, query, sent).await,
        "namespace" => return namespaces::one(cx, method, query, "", sent).await,
        "regions" if get => return agent::regions(cx, query),
        "search" if write => return search::prefix(cx, query, sent),
        "scaling/policies" if get => return job_scale::policies(cx, query).await,
        "jobs" | "jobs/parse" | "validate/job" | "allocations" | "evaluations"
        | "evaluations/count" | "deployments" | "nodes" | "regions" | "search" => {
            return Err(HttpError::method());
        }
        _ => {}
    }
    if let Some(answer) = nothing::route(method, path, query) {
        return answer;
    }
    let Some((noun, rest)) = path.split_once('/').filter(|(_, rest)| !rest.is_empty()) else {
        return Err(HttpError::nowhere());
    };
    match noun {
        "scaling" if rest.starts_with("policy/") => {
            let id = rest.strip_prefix("policy/").unwrap_or_default();
            job_scale::policy(cx, method, query, id).await
        }
        "job" => jobs::route(cx, method, rest, query, sent).await,
        "allocation" => allocations::route(cx, method, rest, query).await,
        "evaluation" => evaluations::route(cx, method, rest, query).await,
        "deployment" => deployments::route(cx, method, rest, query, sent).await,
        "node" => match rest.strip_prefix("pool/") {
            Some(rest) => node_pools::one(cx, method, query, rest, sent).await,
            None => nodes::route(cx, method, rest, query, sent).await,
        },
        "namespace" => namespaces::one(cx, method, query, rest, sent).await,
        "agent" => agent::agent(cx, method, rest, query),
        "status" if get => agent::status(cx, rest, query),
        "operator" => operator::route(cx, method, rest, query, sent).await,
        "system" => agent::system(cx, method, rest).await,
        _ => Err(HttpError::nowhere()),
    }
}
