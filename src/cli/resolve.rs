//! ◇ From a prefix to the one thing that it names, as every command that takes an id does.

use serde_json::Value;

use super::connection::failed;
use super::exit::Failure;
use super::format::{self, text};
use super::output::{row, table};
use crate::api::client::{Client, escape};

/// The job that `prefix` names: an exact ID first, else the only one that begins so.
/// Returns its namespace and ID.
pub(super) async fn job(client: &Client, prefix: &str) -> Result<(String, String), Failure> {
    let found: Vec<Value> = client
        .get_json("/v1/jobs", &[("prefix", prefix)])
        .await
        .map_err(failed("Error querying jobs"))?;
    let key = |job: &Value| {
        (text(&job["JobSummary"], "Namespace").to_owned(), text(job, "ID").to_owned())
    };
    if let Some(exact) = found.iter().find(|job| text(job, "ID") == prefix) {
        return Ok(key(exact));
    }
    match found.as_slice() {
        [] => Err(Failure::new(format!("No job(s) with prefix or ID \"{prefix}\" found"))),
        [one] => Ok(key(one)),
        many => Err(Failure::new(format!(
            "Prefix \"{prefix}\" matched multiple jobs\n\n{}",
            super::job::status::list_table(many)
        ))),
    }
}

/// The allocation that `prefix` names.
pub(super) async fn alloc(client: &Client, prefix: &str) -> Result<Value, Failure> {
    let stub = one(client, "/v1/allocations", "allocation", prefix, |alloc| {
        [
            text(alloc, "ID"),
            text(alloc, "JobID"),
            text(alloc, "TaskGroup"),
            text(alloc, "ClientStatus"),
        ]
        .map(str::to_owned)
    })
    .await?;
    let path = format!("/v1/allocation/{}", escape(text(&stub, "ID")));
    client.get_json(&path, &[]).await.map_err(failed("Error querying allocation"))
}

/// The evaluation that `prefix` names.
pub(super) async fn eval(client: &Client, prefix: &str) -> Result<Value, Failure> {
    one(client, "/v1/evaluations", "evaluation", prefix, |eval| {
        [text(eval, "ID"), text(eval, "JobID"), text(eval, "TriggeredBy"), text(eval, "Status")]
            .map(str::to_owned)
    })
    .await
}

/// The deployment that `prefix` names.
pub(super) async fn deployment(client: &Client, prefix: &str) -> Result<Value, Failure> {
    one(client, "/v1/deployments", "deployment", prefix, |deployment| {
        [text(deployment, "ID"), text(deployment, "JobID"), text(deployment, "Status"), ""]
            .map(str::to_owned)
    })
    .await
}

/// The node that `prefix` names.
pub(super) async fn node(client: &Client, prefix: &str) -> Result<Value, Failure> {
    let stub = one(client, "/v1/nodes", "node", prefix, |node| {
        [text(node, "ID"), text(node, "Name"), text(node, "Datacenter"), text(node, "Status")]
            .map(str::to_owned)
    })
    .await?;
    let path = format!("/v1/node/{}", escape(text(&stub, "ID")));
    client.get_json(&path, &[]).await.map_err(failed("Error querying node"))
}

async fn one(
    client: &Client,
    path: &str,
    noun: &str,
    prefix: &str,
    describe: impl Fn(&Value) -> [String; 4],
) -> Result<Value, Failure> {
    if prefix.len() < 2 {
        return Err(Failure::new("Identifier must contain at least two characters."));
    }
    // Nomad: ids are bytes, so a prefix of an odd length loses its last character; it is compared below.
    let even = &prefix[..prefix.len() - usize::from(prefix.len() % 2 == 1 && prefix.len() < 36)];
    let what = format!("Error querying {noun}");
    let mut query = vec![("prefix", even)];
    if client.config().namespace.is_empty() {
        query.push(("namespace", "*"));
    }
    let found: Vec<Value> = client.get_json(path, &query).await.map_err(failed(&what))?;
    let mut found: Vec<Value> =
        found.into_iter().filter(|v| text(v, "ID").starts_with(prefix)).collect();
    match found.len() {
        0 => Err(Failure::new(format!("No {noun}(s) with prefix or id \"{prefix}\" found"))),
        1 => Ok(found.remove(0)),
        _ => {
            let mut rows = vec![row(["ID", "", "", ""])];
            rows.extend(found.iter().map(|value| {
                let [full, a, b, c] = describe(value);
                vec![format::id(&full, false), a, b, c]
            }));
            Err(Failure::new(format!("Prefix matched multiple {noun}s\n\n{}", table(&rows))))
        }
    }
}
