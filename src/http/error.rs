//! ◇ From a kind of error to a status code and Nomad's plain text; no other file knows a status code.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::sys::report::{self, Kind};

/// What is answered instead of what was asked for.
#[derive(Debug)]
pub(super) struct HttpError {
    status: StatusCode,
    text: String,
}

impl HttpError {
    /// With the code of that kind. Nomad: what the servers refuse is 500 unless they said otherwise, so an
    /// invalid job is; what the HTTP layer itself refuses is 400 ([`HttpError::bad_request`]).
    pub(super) fn of(kind: Kind, text: impl Into<String>) -> Self {
        let status = match kind {
            Kind::Invalid | Kind::Conflict | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Denied => StatusCode::FORBIDDEN,
            Kind::Busy | Kind::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, text: text.into() }
    }

    /// An error of another room, with its causes.
    pub(super) fn from_error(kind: Kind, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::of(kind, report::chain(error))
    }

    /// 400: the request itself cannot be understood.
    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.into() }
    }

    /// 404 with a text.
    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, text: text.into() }
    }

    /// 405, as Nomad says it.
    pub(super) fn method() -> Self {
        Self { status: StatusCode::METHOD_NOT_ALLOWED, text: "Invalid method".to_owned() }
    }

    /// 501: this agent is no client, or no server.
    pub(super) fn not_here(text: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_IMPLEMENTED, text: text.into() }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], self.text)
            .into_response()
    }
}
