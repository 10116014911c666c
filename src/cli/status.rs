//! ◇ `status`: show jobs, or whatever an id or a prefix names.

use serde_json::Value;

use super::connection::{Connection, failed};
use super::exit::{Failure, Outcome};
use super::{alloc, eval, job, node};
use bytes::Bytes;
use http::Method;
use serde_json::json;

/// Show jobs, or whatever an id or a prefix names: a job, allocation, evaluation, deployment or node
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An id or the beginning of one
    id: Option<String>,
    /// Show whole ids
    #[arg(long)]
    verbose: bool,
}

pub(super) async fn run(args: Args, connection: &Connection) -> Outcome {
    let Some(id) = args.id else {
        let jobs = job::status::Args::of(None, args.verbose);
        return job::status::run(jobs, connection).await;
    };
    let body = Bytes::from(json!({ "Prefix": id, "Context": "all" }).to_string());
    let what = "Error querying search";
    let answer = connection
        .client()
        .send(Method::PUT, "/v1/search", &[], Some(body))
        .await
        .map_err(failed(what))?;
    let answer: Value = answer.json().map_err(failed(what))?;
    let matches = |context: &str| answer["Matches"][context].as_array().map_or(0, Vec::len);
    let exact_job = answer["Matches"]["jobs"]
        .as_array()
        .is_some_and(|jobs| jobs.iter().any(|job| job == id.as_str()));
    let contexts: Vec<&str> = ["jobs", "allocs", "nodes", "evals", "deployment"]
        .into_iter()
        .filter(|c| matches(c) > 0)
        .collect();
    let verbose = args.verbose;
    match contexts.as_slice() {
        [] => Err(Failure::new(format!("No matches found for id \"{id}\""))),
        _ if exact_job => show_job(id, verbose, connection).await,
        ["jobs"] => show_job(id, verbose, connection).await,
        ["allocs"] => {
            let args =
                alloc::status::Args { alloc: id, short: false, stats: false, json: false, verbose };
            alloc::status::run(args, connection).await
        }
        ["nodes"] => {
            let args = node::status::Args::of(id, verbose);
            node::status::run(args, connection).await
        }
        ["evals"] => {
            let args = eval::status::Args { eval: id, monitor: false, json: false, verbose };
            eval::status::run(args, connection).await
        }
        ["deployment"] => {
            let found = super::resolve::deployment(&connection.client(), &id).await?;
            super::output::line(super::deployment::status::detail(&found, verbose));
            Ok(0)
        }
        several => Err(Failure::new(format!(
            "Multiple matches found for id \"{id}\": {}. Give more of the id, or name the command: \
             `stead alloc status {id}`",
            several.join(", ")
        ))),
    }
}

async fn show_job(id: String, verbose: bool, connection: &Connection) -> Outcome {
    let args = job::status::Args::of(Some(id), verbose);
    job::status::run(args, connection).await
}
