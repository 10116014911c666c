//! ◇ `job inspect`: show a job as the servers have it.

use serde_json::{Value, json};

use crate::api::client::escape;
use crate::cli::connection::{Connection, failed};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::format::{self, list, number, text};
use crate::cli::{output, resolve};

/// Show a job as the servers have it
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The job: its ID or the beginning of it
    job: String,
    /// Show this version instead of the latest
    #[arg(long, value_name = "VERSION")]
    version: Option<i64>,
    /// Print JSON (as without it; for scripts that pass it)
    #[arg(long)]
    json: bool,
    /// Print the source the job was submitted as
    #[arg(long)]
    hcl: bool,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let client = connection.client();
    let (namespace, id) = resolve::job(&client, &args.job).await?;
    let query = [("namespace", namespace.as_str())];
    let what = "Error inspecting job";
    let mut job: Value = match args.version {
        None => client
            .get_json(&format!("/v1/job/{}", escape(&id)), &query)
            .await
            .map_err(failed(what))?,
        Some(version) => {
            let path = format!("/v1/job/{}/versions", escape(&id));
            let versions: Value = client.get_json(&path, &query).await.map_err(failed(what))?;
            let found =
                list(&versions, "Versions").iter().find(|job| number(job, "Version") == version);
            found.cloned().ok_or_else(|| {
                Failure::new(format!("{what}: job {id} with version {version} not found"))
            })?
        }
    };
    if args.hcl {
        let path = format!("/v1/job/{}/submission", escape(&id));
        let version = number(&job, "Version").to_string();
        let query = [("namespace", namespace.as_str()), ("version", version.as_str())];
        let submission: Value = client.get_json(&path, &query).await.map_err(failed(what))?;
        output::line(text(&submission, "Source").trim_end());
        return Ok(0);
    }
    output::line(format::json(&json!({ "Job": job.take() })));
    Ok(0)
}
