//! ◇ An answer: JSON with Nomad's headers.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::error::HttpError;
use super::query::Query;
use crate::model::Index;
use crate::sys::report::Kind;

/// What a route returns.
pub(super) type Answer = Result<Response, HttpError>;

/// JSON without an index: of the agent, not of the state.
pub(super) fn plain<T: Serialize>(query: &Query, value: &T) -> Answer {
    Ok(([(header::CONTENT_TYPE, "application/json")], json(query, value)?).into_response())
}

/// JSON of the state, with the index a client may wait from.
pub(super) fn indexed<T: Serialize>(query: &Query, index: Index, value: &T) -> Answer {
    let mut response = plain(query, value)?;
    state_headers(response.headers_mut(), index);
    Ok(response)
}

/// An empty answer with an index, for writes that have nothing to say.
pub(super) fn done(index: Index) -> Response {
    let mut response = Body::empty().into_response();
    state_headers(response.headers_mut(), index);
    response
}

/// An error with the headers of the state, as Nomad answers a read that found nothing.
pub(super) fn missing(index: Index, text: &str) -> Response {
    let mut response = HttpError::not_found(text).into_response();
    state_headers(response.headers_mut(), index);
    response
}

/// Adds the token of the next page.
pub(super) fn with_next_token(answer: Answer, token: Option<&str>) -> Answer {
    let mut response = answer?;
    if let Some(token) = token.and_then(|token| HeaderValue::from_str(token).ok()) {
        response.headers_mut().insert("X-Nomad-NextToken", token);
    }
    Ok(response)
}

fn state_headers(headers: &mut HeaderMap, index: Index) {
    headers.insert("X-Nomad-Index", HeaderValue::from(index));
    headers.insert("X-Nomad-LastContact", HeaderValue::from_static("0"));
    headers.insert("X-Nomad-KnownLeader", HeaderValue::from_static("true"));
}

fn json<T: Serialize>(query: &Query, value: &T) -> Result<Vec<u8>, HttpError> {
    let failed = |error| HttpError::from_error(Kind::Internal, &error);
    if !query.is_pretty() {
        return serde_json::to_vec(value).map_err(failed);
    }
    let mut out = Vec::new();
    let mut serializer =
        Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut serializer).map_err(failed)?;
    out.push(b'\n');
    Ok(out)
}
