//! The manners of the API, asked of the routes themselves: an agent that is neither server nor client.
#![expect(clippy::unwrap_used, reason = "what cannot be read here is a failure")]

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use stead::http::{Context, Facts, router};
use tower::ServiceExt as _;

struct Alone;

impl Facts for Alone {
    fn is_client(&self) -> bool {
        false
    }

    fn agent_self(&self) -> Value {
        json!({ "config": {} })
    }
    fn members(&self) -> Value {
        json!({ "Members": [] })
    }
    fn leader(&self) -> String {
        String::new()
    }
    fn peers(&self) -> Vec<String> {
        Vec::new()
    }
    fn raft_configuration(&self) -> Value {
        json!({ "Index": 0, "Servers": [] })
    }
    fn region(&self) -> String {
        "global".to_owned()
    }
}

struct Reply {
    status: StatusCode,
    headers: http::HeaderMap,
    text: String,
}

async fn ask(method: &str, path: &str, headers: &[(&str, &str)], body: &'static str) -> Reply {
    let cx = Context { server: None, watch: None, local: None, facts: Arc::new(Alone) };
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router(cx).oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Reply { status: parts.status, headers: parts.headers, text }
}

async fn get(path: &str) -> (u16, String) {
    let reply = ask("GET", path, &[], "").await;
    (reply.status.as_u16(), reply.text)
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_404_without_a_word() {
    for path in ["/v1/nope", "/v1/jobs/", "/v2/jobs", "/v1/agent", "/favicon.ico"] {
        assert_eq!(get(path).await, (404, String::new()), "{path}");
    }
}

#[tokio::test]
async fn paths_that_are_not_clean_are_sent_to_clean_ones() {
    for (path, place) in [
        ("/", "/ui/"),
        ("/?token=x&y", "/ui/?token=x&y"),
        ("//v1/jobs", "/v1/jobs"),
        ("/v1/deployment", "/v1/deployment/"),
        ("/v1/client/fs", "/v1/client/fs/"),
    ] {
        let reply = ask("GET", path, &[], "").await;
        assert_eq!(reply.status, 307, "{path}");
        assert_eq!(reply.headers["location"], place);
    }
}

#[tokio::test]
async fn a_path_never_leads_to_another_host() {
    for path in ["///evil.example", "//evil.example/..", "/v1/../..//evil.example"] {
        let reply = ask("GET", path, &[], "").await;
        let place = reply.headers["location"].to_str().unwrap();
        assert!(place.starts_with('/') && !place.starts_with("//"), "{path}: {place}");
    }
}

#[tokio::test]
async fn methods_that_a_route_has_not_are_405() {
    for (method, path) in [
        ("DELETE", "/v1/jobs"),
        ("PUT", "/v1/nodes"),
        ("GET", "/v1/validate/job"),
        ("GET", "/v1/search"),
        ("GET", "/v1/system/gc"),
        ("OPTIONS", "/v1/jobs"),
    ] {
        let reply = ask(method, path, &[], "").await;
        assert_eq!((reply.status.as_u16(), reply.text.as_str()), (405, "Invalid method"), "{path}");
    }
    assert_eq!(ask("HEAD", "/v1/jobs", &[], "").await.status, 405);
}

#[tokio::test]
async fn an_agent_that_is_no_server_or_client_says_so() {
    assert_eq!(get("/v1/jobs").await, (501, "server is not enabled".to_owned()));
    let path = "/v1/client/fs/ls/00000000-0000-0000-0000-000000000000";
    assert_eq!(get(path).await, (501, "client is not enabled".to_owned()));
}

#[tokio::test]
async fn other_regions_are_not_here() {
    assert_eq!(get("/v1/jobs?region=mars").await, (500, "No path to region".to_owned()));
}

#[tokio::test]
async fn json_is_compressed_and_indented_when_asked() {
    let headers = [("accept-encoding", "gzip")];
    let reply = ask("GET", "/v1/agent/members", &headers, "").await;
    assert_eq!(reply.headers["content-encoding"], "gzip");
    assert_eq!(reply.headers["vary"], "Accept-Encoding");
    let (_, text) = get("/v1/agent/members?pretty").await;
    assert_eq!(text, "{\n    \"Members\": []\n}\n");
}

#[tokio::test]
async fn browsers_may_read_what_the_interface_reads_of_other_agents() {
    let headers = [("origin", "http://ui.example")];
    let reply = ask("GET", "/v1/vars", &headers, "").await;
    assert_eq!(reply.headers["access-control-allow-origin"], "*");
    let reply = ask("GET", "/v1/agent/members", &headers, "").await;
    assert!(!reply.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn what_comes_later_says_so() {
    for (method, path) in [
        ("PUT", "/v1/var/a"),
        ("PUT", "/v1/job/a/dispatch"),
        ("PUT", "/v1/job/a/periodic/force"),
        ("GET", "/v1/agent/monitor"),
        ("GET", "/v1/operator/snapshot"),
        ("GET", "/v1/client/metadata"),
    ] {
        let reply = ask(method, path, &[], "").await;
        assert_eq!(reply.status, 501, "{path}");
        assert!(reply.text.ends_with("not possible in this version"), "{path}: {}", reply.text);
    }
}
