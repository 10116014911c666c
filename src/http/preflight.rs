//! ◆ What is answered before a route is looked for: paths that lead elsewhere, methods that no route has,
//! and browsers that ask whether they may.
//!
//! Nomad: `/` leads to the interface, a path with doubled slashes to its clean form, and three nouns
//! without a slash to themselves with one. Only routes that the interface calls on other agents answer
//! browsers from elsewhere; anything else refuses `OPTIONS`, and everything refuses `HEAD`.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::error::HttpError;

/// An answer that needs no route.
pub(super) fn answer(request: &Request<Body>, path: &str) -> Option<Response> {
    if let Some(place) = elsewhere(path) {
        return Some(redirect(&place, request.uri().query()));
    }
    match *request.method() {
        Method::HEAD => Some(refused()),
        Method::OPTIONS => Some(asked(request.headers(), path)),
        _ => None,
    }
}

/// Whether the answer says that a page from anywhere may read it.
pub(super) fn origin(request: &Request<Body>, path: &str) -> bool {
    request.headers().contains_key(header::ORIGIN)
        && methods(path).is_some_and(|methods| methods.contains(&request.method().as_str()))
}

/// What an answer at `path` depends on beside its path.
pub(super) fn vary(path: &str) -> &'static str {
    if methods(path).is_some() { "Origin" } else { "Accept-Encoding" }
}

/// Says so.
pub(super) fn allow(headers: &mut HeaderMap, origin: bool) {
    if !origin {
        return;
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
}

fn refused() -> Response {
    with_vary(HttpError::method().into_response(), "Accept-Encoding")
}

fn with_vary(mut response: Response, vary: &'static str) -> Response {
    response.headers_mut().insert(header::VARY, HeaderValue::from_static(vary));
    response
}

/// A browser asks whether it may.
fn asked(headers: &HeaderMap, path: &str) -> Response {
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
    let (Some(methods), Some(wanted)) = (methods(path), wanted) else {
        return refused();
    };
    let mut response = StatusCode::NO_CONTENT.into_response();
    let may = methods.iter().any(|method| wanted.as_bytes() == method.as_bytes());
    if may && headers.contains_key(header::ORIGIN) {
        let answer = response.headers_mut();
        allow(answer, true);
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, wanted.clone());
        let sent = HeaderName::from_static("access-control-request-headers");
        if let Some(wanted) = headers.get(sent) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
    }
    with_vary(response, "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
}

/// The methods that browsers may use from elsewhere.
fn methods(path: &str) -> Option<&'static [&'static str]> {
    const READ: &[&str] = &["GET", "HEAD"];
    const WRITE: &[&str] = &["HEAD", "GET", "PUT", "DELETE"];
    let path = path.strip_prefix("/v1/")?;
    if path.starts_with("var/") {
        return Some(WRITE);
    }
    let read = path == "vars"
        || path == "client/stats"
        || path == "client/metadata"
        || path == "client/identity"
        || path.starts_with("client/fs/")
        || path.starts_with("client/allocation/");
    read.then_some(READ)
}

/// Where a path leads that is not one of ours.
fn elsewhere(path: &str) -> Option<String> {
    match path {
        "/" => return Some("/ui/".to_owned()),
        "/v1/deployment" | "/v1/evaluation" | "/v1/client/fs" => return Some(format!("{path}/")),
        _ => {}
    }
    if !path.contains("//") && !path.split('/').any(|part| matches!(part, "." | "..")) {
        return None;
    }
    let mut clean: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(clean.pop()),
            part => clean.push(part),
        }
    }
    let tail = if path.ends_with('/') && !clean.is_empty() { "/" } else { "" };
    // Browsers take `/\evil.example` for another host.
    Some(format!("/{}{tail}", clean.join("/").replace('\\', "%5C")))
}

fn redirect(place: &str, query: Option<&str>) -> Response {
    let place = query.map_or_else(|| place.to_owned(), |query| format!("{place}?{query}"));
    let Ok(location) = HeaderValue::from_str(&place) else {
        return HttpError::nowhere().into_response();
    };
    let shown = place
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;");
    let page = format!("<a href=\"{shown}\">Temporary Redirect</a>.\n\n");
    let headers =
        [(header::LOCATION, location), (header::CONTENT_TYPE, HeaderValue::from_static(HTML))];
    with_vary((StatusCode::TEMPORARY_REDIRECT, headers, page).into_response(), "Accept-Encoding")
}

const HTML: &str = "text/html; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_not_clean_lead_to_clean_ones() {
        assert_eq!(elsewhere("//v1/jobs").as_deref(), Some("/v1/jobs"));
        assert_eq!(elsewhere("/v1/../../etc/").as_deref(), Some("/etc/"));
        assert_eq!(elsewhere("/v1/deployment").as_deref(), Some("/v1/deployment/"));
        assert_eq!(elsewhere("//\\evil.example").as_deref(), Some("/%5Cevil.example"));
        assert_eq!(elsewhere("/v1/jobs"), None);
    }

    #[test]
    fn only_some_routes_answer_pages_from_elsewhere() {
        let ask = |path: &str, method: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, HeaderValue::from_static("http://ui.example"));
            headers.insert(header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static(method));
            let response = asked(&headers, path);
            let allowed = response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            (response.status().as_u16(), allowed)
        };
        assert_eq!(ask("/v1/client/fs/ls/x", "GET"), (204, true));
        assert_eq!(ask("/v1/client/fs/ls/x", "PUT"), (204, false));
        assert_eq!(ask("/v1/var/x", "PUT"), (204, true));
        assert_eq!(ask("/v1/jobs", "GET"), (405, false));
    }
}
