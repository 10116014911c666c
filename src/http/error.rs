//! ◇ From a kind of error to a status code and Nomad's plain text; no other file knows a status code.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::server::ServerError;
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

    /// With the code that says what it is, on routes that Nomad does not have.
    pub(super) fn ours(kind: Kind, text: impl Into<String>) -> Self {
        let status = match kind {
            Kind::Invalid => StatusCode::BAD_REQUEST,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Denied => StatusCode::FORBIDDEN,
            Kind::Busy | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, text: text.into() }
    }

    /// An error of another room, with its causes.
    pub(super) fn from_error(kind: Kind, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::of(kind, report::chain(error))
    }

    /// What the servers refuse to write. Nomad: 500, also when something is not there.
    #[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
    pub(super) fn refused(error: ServerError) -> Self {
        match error.kind() {
            Kind::NotFound => Self::from_error(Kind::Internal, &error),
            kind => Self::from_error(kind, &error),
        }
    }

    /// The same text as 500.
    pub(super) fn into_internal(self) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, ..self }
    }

    /// The same text as 404.
    pub(super) fn into_missing(self) -> Self {
        Self { status: StatusCode::NOT_FOUND, ..self }
    }

    /// 404 without a word, as a path that leads nowhere.
    pub(super) fn nowhere() -> Self {
        Self { status: StatusCode::NOT_FOUND, text: String::new() }
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

    /// 501: a later version will.
    pub(super) fn later(what: &str) -> Self {
        Self::not_here(format!("{what}: not possible in this version"))
    }

    /// 501: this agent is no client, or no server.
    pub(super) fn not_here(text: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_IMPLEMENTED, text: text.into() }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        if self.text.is_empty() {
            return self.status.into_response();
        }
        (self.status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], self.text)
            .into_response()
    }
}
