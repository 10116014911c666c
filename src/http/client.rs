//! ◇ `/v1/client/…`: files, logs, statistics and doings of a node.

use axum::body::{Body, Bytes};
use axum::http::{Method, header};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use serde_json::json;

use super::allocations::check_id;
use super::answer::{self, Answer};
use super::body;
use super::context::Context;
use super::error::HttpError;
use super::local::{Ended, LocalError, LogRequest, Origin, Piece, Pieces};
use super::query::Query;
use crate::model::{AllocId, NodeId};
use crate::sys::report::Kind;

/// No frame holds more.
const MAX_FRAME: usize = 64 * 1024;

fn failed(error: &LocalError) -> HttpError {
    HttpError::of(error.kind, error.text.clone())
}

/// What follows `/v1/client/`.
pub(super) async fn route(
    cx: &Context,
    method: &Method,
    path: &str,
    query: &Query,
    sent: &Bytes,
) -> Answer {
    if let Some(rest) = path.strip_prefix("fs/") {
        let (what, id) = rest.split_once('/').unwrap_or((rest, ""));
        return files(cx, method, what, id, query).await;
    }
    if let Some(rest) = path.strip_prefix("allocation/") {
        let (id, what) = rest.split_once('/').unwrap_or((rest, ""));
        return allocation(cx, method, &AllocId::from(id), what, query, sent).await;
    }
    match (path, method) {
        ("stats", &Method::GET) => {
            let node = node_id(cx, query).map_err(HttpError::into_missing)?;
            let stats =
                cx.local()?.host_stats(node.as_ref()).await.map_err(|error| failed(&error))?;
            answer::plain(query, &stats)
        }
        ("gc", &(Method::GET | Method::PUT | Method::POST)) => {
            let node = node_id(cx, query)?;
            let ended = Ended::All(node.as_ref());
            cx.local()?.gc(ended).await.map_err(|error| failed(&error))?;
            Ok(Body::empty().into_response())
        }
        ("stats" | "gc", _) => Err(HttpError::method()),
        ("metadata" | "identity", _) => Err(HttpError::later("asking a node about itself")),
        _ => Err(HttpError::nowhere()),
    }
}

/// The node that is asked, when one is named.
pub(super) fn node_id(cx: &Context, query: &Query) -> Result<Option<NodeId>, HttpError> {
    let Some(id) = query.given("node_id") else { return Ok(None) };
    check_id("node", id)?;
    let known = NodeId::from(id);
    match &cx.watch {
        Some(watch) if watch.state().node(&known).is_none() => {
            Err(HttpError::of(Kind::Internal, format!("Unknown node {id}")))
        }
        Some(_) | None => Ok(Some(known)),
    }
}

/// The allocation with that id. Nomad: an id that is not whole is refused before anything is looked up.
fn alloc_id(cx: &Context, id: &str) -> Result<AllocId, HttpError> {
    if id.is_empty() {
        return Err(HttpError::bad_request("must provide a valid alloc id"));
    }
    check_id("alloc", id)?;
    let known = AllocId::from(id);
    match &cx.watch {
        Some(watch) if watch.state().alloc(&known).is_none() => {
            Err(HttpError::not_found(format!("Unknown allocation \"{id}\"")))
        }
        Some(_) | None => Ok(known),
    }
}

async fn files(cx: &Context, method: &Method, what: &str, id: &str, query: &Query) -> Answer {
    if !matches!(what, "ls" | "stat" | "cat" | "readat" | "stream" | "logs") {
        // Nomad: so it is, 404 with the text of 405.
        return Err(HttpError::not_found("Invalid method"));
    }
    if *method != Method::GET {
        return Err(HttpError::method());
    }
    let alloc = alloc_id(cx, id)?;
    match what {
        "ls" => {
            let path = query.given("path").unwrap_or("/");
            let files = cx.local()?.ls(&alloc, path).await.map_err(|error| failed(&error))?;
            answer::plain(query, &files)
        }
        "stat" => {
            let path = file_name(query).map_err(HttpError::bad_request)?;
            let file = cx.local()?.stat(&alloc, path).await.map_err(|error| failed(&error))?;
            answer::plain(query, &file)
        }
        "cat" => Ok(read(cx, &alloc, file_name(query).map(|path| (path, 0, None))).await?),
        "readat" => Ok(read(cx, &alloc, part(query)).await?),
        "stream" => stream(cx, &alloc, query).await,
        _ => logs(cx, &alloc, query).await,
    }
}

fn file_name(query: &Query) -> Result<&str, String> {
    query.given("path").ok_or_else(|| "must provide a file name".to_owned())
}

/// Nomad: the words of Go's standard library.
fn whole_number(what: &str, text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| {
        format!("error parsing {what}: strconv.ParseInt: parsing \"{text}\": invalid syntax")
    })
}

/// A part of a file: its name, where it begins, and how long it is at most.
type Part<'q> = (&'q str, u64, Option<u64>);

fn part(query: &Query) -> Result<Part<'_>, String> {
    let path = file_name(query)?;
    let offset = whole_number("offset", query.text("offset"))?;
    let limit = query.given("limit").map(|text| whole_number("limit", text)).transpose()?;
    let limit = limit.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0);
    Ok((path, u64::try_from(offset).unwrap_or_default(), limit))
}

/// Nomad: what goes wrong while a file is read is told as the body of a 200.
async fn read(
    cx: &Context,
    alloc: &AllocId,
    part: Result<Part<'_>, String>,
) -> Result<Response, HttpError> {
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let (path, offset, limit) = match part {
        Ok(part) => part,
        Err(text) => return Ok((kind, text).into_response()),
    };
    // A task wrote it: a browser must not take it for a page of the agent.
    let careful = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_XSS_PROTECTION, "1; mode=block"),
    ];
    Ok(match cx.local()?.read(alloc, path, (offset, limit)).await {
        Ok(pieces) => {
            let bytes = pieces.map(|piece| piece.map(|piece| piece.data));
            (kind, careful, Body::from_stream(bytes)).into_response()
        }
        Err(error) => (kind, error.text).into_response(),
    })
}

fn origin(query: &Query) -> Result<Origin, HttpError> {
    let offset = match query.given("offset") {
        None => 0,
        Some(text) => {
            let offset = whole_number("offset", text).map_err(HttpError::bad_request)?;
            u64::try_from(offset).unwrap_or_default()
        }
    };
    match query.text("origin") {
        "" | "start" => Ok(Origin::Start(offset)),
        "end" => Ok(Origin::End(offset)),
        _ => Err(HttpError::bad_request("origin must be start or end")),
    }
}

fn follow(query: &Query, default: bool) -> Result<bool, HttpError> {
    query.flag("follow", default).map_err(|_| {
        HttpError::bad_request(format!(
            "failed to parse follow field to boolean: strconv.ParseBool: parsing \"{}\": invalid syntax",
            query.text("follow")
        ))
    })
}

async fn stream(cx: &Context, alloc: &AllocId, query: &Query) -> Answer {
    let path = file_name(query).map_err(HttpError::bad_request)?;
    let follow = follow(query, true)?;
    let pieces = cx.local()?.stream(alloc, path, origin(query)?, follow).await;
    let pieces = pieces.map_err(|error| client_error(&error))?;
    Ok(framed(pieces, "text/plain; charset=utf-8"))
}

fn client_error(error: &LocalError) -> HttpError {
    match error.kind {
        Kind::Invalid | Kind::NotFound => HttpError::bad_request(error.text.clone()),
        Kind::Conflict | Kind::Denied | Kind::Busy | Kind::Unavailable | Kind::Internal => {
            failed(error)
        }
    }
}

async fn logs(cx: &Context, alloc: &AllocId, query: &Query) -> Answer {
    let Some(task) = query.given("task") else {
        return Err(HttpError::bad_request("must provide task name"));
    };
    let stderr = match query.text("type") {
        "stdout" => false,
        "stderr" => true,
        _ => return Err(HttpError::bad_request("must provide log type (stdout/stderr)")),
    };
    let request = LogRequest {
        task: task.to_owned(),
        stderr,
        origin: origin(query)?,
        follow: follow(query, false)?,
    };
    let pieces = cx.local()?.logs(alloc, request).await.map_err(|error| client_error(&error))?;
    if query.flag("plain", false)? {
        let bytes = pieces.map(|piece| piece.map(|piece| piece.data));
        let kind = [(header::CONTENT_TYPE, "text/plain")];
        return Ok((kind, Body::from_stream(bytes)).into_response());
    }
    Ok(framed(pieces, "application/json"))
}

/// Nomad's frames: JSON objects one after the other, an empty one after a second of silence.
fn framed(pieces: Pieces, kind: &'static str) -> Response {
    let frames = futures::stream::unfold(Some(pieces), |pieces| async move {
        let mut pieces = pieces?;
        match tokio::time::timeout(std::time::Duration::from_secs(1), pieces.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(piece))) => Some((Ok(Bytes::from(frames_of(&piece))), Some(pieces))),
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Err(_) => Some((Ok(Bytes::from_static(b"{}")), Some(pieces))),
        }
    });
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(frames)).into_response()
}

fn frames_of(piece: &Piece) -> Vec<u8> {
    use base64::Engine as _;
    let mut out = Vec::new();
    let start = piece.offset.saturating_sub(piece.data.len() as u64);
    let mut at = start;
    let chunks: Vec<&[u8]> =
        if piece.data.is_empty() { vec![&[]] } else { piece.data.chunks(MAX_FRAME).collect() };
    for chunk in chunks {
        at += chunk.len() as u64;
        let mut frame = json!({ "Offset": at, "File": piece.file });
        if !chunk.is_empty() {
            frame["Data"] = base64::engine::general_purpose::STANDARD.encode(chunk).into();
        }
        if !piece.event.is_empty() {
            frame["FileEvent"] = piece.event.clone().into();
        }
        out.extend_from_slice(frame.to_string().as_bytes());
    }
    out
}

async fn allocation(
    cx: &Context,
    method: &Method,
    id: &AllocId,
    what: &str,
    query: &Query,
    sent: &Bytes,
) -> Answer {
    let write = matches!(*method, Method::PUT | Method::POST);
    if !matches!(what, "stats" | "checks" | "restart" | "signal" | "gc" | "pause") {
        return Err(HttpError::not_found("resource not found"));
    }
    let id = &alloc_id(cx, id.as_str())?;
    match what {
        "stats" if *method == Method::GET => {
            let stats = cx.local()?.alloc_stats(id, query.given("task")).await;
            answer::plain(query, &stats.map_err(|error| failed(&error))?)
        }
        "checks" if *method == Method::GET => answer::plain(query, &json!(null)),
        "restart" if write => {
            let request: body::RestartRequest = body::decode_or_default(sent)?;
            let task = Some(request.task_name.as_str()).filter(|task| !task.is_empty());
            if task.is_some() && request.all_tasks {
                let text = "task name cannot be set when restarting all tasks";
                return Err(HttpError::of(Kind::Internal, text));
            }
            let restarted = cx.local()?.restart(id, task, request.all_tasks).await;
            restarted.map_err(|error| failed(&error).into_internal())?;
            answer::plain(query, &json!({ "Index": 0 }))
        }
        "pause" => Err(HttpError::of(Kind::Internal, "Enterprise only")),
        "signal" if write => {
            let request: body::SignalRequest = body::decode(sent)?;
            let task = Some(request.task.as_str()).filter(|task| !task.is_empty());
            let signalled = cx.local()?.signal(id, task, &request.signal).await;
            signalled.map_err(|error| failed(&error).into_internal())?;
            answer::plain(query, &json!({ "Index": 0 }))
        }
        "gc" => {
            let collected = cx.local()?.gc(Ended::Alloc(id)).await;
            collected.map_err(|error| failed(&error).into_internal())?;
            Ok(Body::empty().into_response())
        }
        _ => Err(HttpError::method()),
    }
}
