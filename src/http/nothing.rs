//! ◇ Resources of later versions: lists are empty, single things are not there, writes say so.
//!
//! Clients ask for these lists beside others (the interface, `status`, discovery of services), so an empty
//! answer serves them better than an error. What would change something is refused.

use axum::http::Method;
use axum::response::Response;
use serde_json::json;

use super::answer::{self, Answer};
use super::error::HttpError;
use super::query::Query;

/// An answer for `path` below `/v1/`, or none when it is not of these.
pub(super) fn route(method: &Method, path: &str, query: &Query) -> Option<Answer> {
    let get = *method == Method::GET;
    let (noun, rest) = path.split_once('/').unwrap_or((path, ""));
    let empty = || answer::indexed(query, 1, &json!([]));
    Some(match (noun, rest) {
        ("acl", "policy/self") => {
            Err(HttpError::of(crate::sys::report::Kind::Denied, "Permission denied"))
        }
        ("acl", _) => Err(HttpError::bad_request("ACL support disabled")),
        ("vars" | "services", "") if get => empty(),
        ("volumes", "" | "claims") if get => empty(),
        ("plugins", "") if get => empty(),
        ("service", name) if get && !name.is_empty() => empty(),
        ("var", name) if get && !name.is_empty() => Ok(missing("variable not found")),
        ("volume", name) if get && !name.is_empty() => Ok(missing("volume not found")),
        ("plugin", name) if get && !name.is_empty() => Ok(missing("plugin not found")),
        ("vars" | "var" | "services" | "service", _) => Err(HttpError::later(noun)),
        ("volumes" | "volume" | "plugins" | "plugin", rest) if !rest.is_empty() => {
            Err(HttpError::later(noun))
        }
        (
            "sentinel" | "quota" | "quotas" | "quota-usages" | "recommendation" | "recommendations",
            _,
        ) => Err(HttpError::not_here("Nomad Enterprise only endpoint")),
        _ => return None,
    })
}

fn missing(text: &str) -> Response {
    answer::missing(1, text)
}
