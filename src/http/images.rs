//! ◇ `/v1/client/images…`: the images of a node. Stead's own: Nomad has nothing of the kind.
//!
//! ```text
//! GET    images                            [{ID, References, Size, Layers, InUse, Users}]
//! PUT    images/pull   {Reference, …}      events
//! PUT    images/load   an archive          events      ?name= for its only image
//! PUT    images/load?path=/on/the/node     events
//! DELETE images?image=…[&platform=…]       {Images, Layers, Bytes}
//! PUT    images/gc                         {Images, Layers, Bytes}
//! ```
//! Events are JSON objects, each on a line of its own, sent as they happen; the last is `Images` or `Error`. An archive
//! is never held in memory, so it is not read here: it goes on as it comes.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{Method, Request, header};
use axum::response::{IntoResponse as _, Response};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::answer::{self, Answer};
use super::body;
use super::client::node_id;
use super::context::Context;
use super::error::HttpError;
use super::local::LocalError;
use super::local_images::{ImageEvents, Images, PullRequest};
use super::query::Query;

/// A request to pull is at most a name and a password.
const MAX_REQUEST: usize = 64 * 1024;
/// How long the rest of a refused archive is read and thrown away, so that its sender comes to read why.
const DRAIN: Duration = Duration::from_secs(20);

fn failed(error: &LocalError) -> HttpError {
    HttpError::ours(error.kind, error.text.clone())
}

/// What follows `/v1/client/images`.
pub(super) async fn route(
    cx: &Context,
    request: Request<Body>,
    path: &str,
    query: &Query,
) -> Answer {
    let method = request.method().clone();
    let write = matches!(method, Method::PUT | Method::POST);
    match path {
        "" if method == Method::GET => answer::plain(query, &store(cx, query)?.list()),
        "" if method == Method::DELETE => {
            let image = query.given("image");
            let image = image.ok_or_else(|| HttpError::bad_request("must provide an image"))?;
            let removed = store(cx, query)?.remove(image, query.given("platform")).await;
            answer::plain(query, &removed.map_err(|error| failed(&error))?)
        }
        "/pull" if write => {
            let sent = read(request).await?;
            let request: PullRequest = body::decode(&sent)?;
            let events = store(cx, query)?.pull(request).await.map_err(|error| failed(&error))?;
            Ok(told(events))
        }
        "/load" if write => load(cx, request, query).await,
        "/gc" if write => {
            let removed = store(cx, query)?.gc().await.map_err(|error| failed(&error))?;
            answer::plain(query, &removed)
        }
        "" | "/pull" | "/load" | "/gc" => Err(HttpError::method()),
        _ => Err(HttpError::nowhere()),
    }
}

/// The images of the node that is asked.
fn store<'a>(cx: &'a Context, query: &Query) -> Result<&'a dyn Images, HttpError> {
    let asked = node_id(cx, query)?;
    let images = cx.local()?.images().map_err(|error| failed(&error))?;
    match asked.filter(|id| *id != images.node_id()) {
        Some(other) => Err(HttpError::not_here(format!(
            "node {other} is not this agent's: ask for its images at its own agent"
        ))),
        None => Ok(images),
    }
}

async fn read(request: Request<Body>) -> Result<Bytes, HttpError> {
    axum::body::to_bytes(request.into_body(), MAX_REQUEST)
        .await
        .map_err(|error| HttpError::bad_request(format!("the body could not be read: {error}")))
}

async fn load(cx: &Context, request: Request<Body>, query: &Query) -> Answer {
    let name = query.given("name");
    let events = match (query.given("path"), store(cx, query)) {
        (Some(path), Ok(images)) => images.load(path, name).await.map_err(|error| failed(&error)),
        (None, Ok(images)) => receive(images, request.into_body(), name).await,
        (_, Err(refused)) => {
            drain(request.into_body().into_data_stream()).await;
            Err(refused)
        }
    };
    Ok(told(events?))
}

async fn receive(
    images: &dyn Images,
    body: Body,
    name: Option<&str>,
) -> Result<ImageEvents, HttpError> {
    // Kept here as well: what was not wanted must still be read.
    let (sender, receiver) = futures::channel::mpsc::channel(1);
    let archive = receiver.boxed();
    let mut body = body.into_data_stream().map_err(std::io::Error::other);
    let passing = async {
        let mut sender = sender;
        while let Some(piece) = body.next().await {
            let broken = piece.is_err();
            if futures::SinkExt::send(&mut sender, piece).await.is_err() || broken {
                break;
            }
        }
        drop(sender);
        body
    };
    let (body, received) = futures::join!(passing, images.receive(archive, name));
    if let Err(error) = &received {
        tracing::info!(error = %error.text, "an archive of images was refused");
        drop(tokio::time::timeout(DRAIN, body.for_each(|_| std::future::ready(()))).await);
    }
    received.map_err(|error| failed(&error))
}

async fn drain(body: BodyDataStream) {
    drop(tokio::time::timeout(DRAIN, body.for_each(|_| std::future::ready(()))).await);
}

/// Events as lines of JSON.
fn told(events: ImageEvents) -> Response {
    let lines = events.map(|event| {
        let frame = match event {
            Ok(event) => json!(event),
            Err(error) => json!({ "Error": error.text }),
        };
        Ok::<_, std::convert::Infallible>(Bytes::from(format!("{frame}\n")))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::from_stream(lines)).into_response()
}
