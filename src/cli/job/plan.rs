//! ◇ `job plan`: show what registering a job would change.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::source::{self, SourceArgs};
use crate::api::client::escape;
use crate::api::diff::text::Color;
use crate::api::diff::{self, JobDiff};
use crate::cli::connection::{Connection, failed};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::format::{self, number, text};
use crate::cli::{monitor, output};

/// Show what registering a job would change
///
/// Ends with 0 when no allocation would be created or destroyed, 1 when some would, 255 on a failure.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Show the difference to what is registered
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    diff: Option<bool>,
    /// Show unchanged fields too
    #[arg(long)]
    verbose: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json_output: bool,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    plan(&args, connection).await.map_err(|failure: Failure| failure.code(255))
}

async fn plan(args: &Args, connection: &Connection) -> Outcome {
    let parsed = source::read(&args.source, connection)?;
    let client = connection.client();
    let id = text(&parsed.job, "ID");
    let wants_diff = args.diff.unwrap_or(true);
    let request = json!({ "Job": parsed.job, "Diff": wants_diff });
    let path = format!("/v1/job/{}/plan", escape(id));
    let answer = client
        .send(Method::PUT, &path, &[], Some(Bytes::from(request.to_string())))
        .await
        .map_err(failed("Error during plan"))?;
    let answer: Value = answer.json().map_err(failed("Error during plan"))?;
    if args.json_output {
        output::line(format::json(&answer));
        return Ok(exit_code(&answer));
    }
    if wants_diff {
        // Nothing to show is no reason to fail: the agent may be older or newer than this program.
        let diff: JobDiff = serde_json::from_value(answer["Diff"].clone()).unwrap_or_default();
        let color = if connection.colors() { Color::On } else { Color::Off };
        output::line(format!("{}\n", diff::text::job(&diff, color, args.verbose)));
    }
    output::line("Scheduler dry-run:");
    output::line(dry_run(&answer));
    let warnings = text(&answer, "Warnings");
    if !warnings.is_empty() {
        output::line(format!("Job Warnings:\n{warnings}\n"));
    }
    let index = number(&answer, "JobModifyIndex");
    output::line(format!(
        "Job Modify Index: {index}\nTo submit the job with version verification run:\n\n\
         stead job run -check-index {index} {}\n\n\
         When running the job with the check-index flag, the job will only be run if the\n\
         job modify index given matches the server-side version. If the index has\n\
         changed, another user has modified the job and the plan's results are\n\
         potentially invalid.",
        args.source.path
    ));
    Ok(exit_code(&answer))
}

fn dry_run(answer: &Value) -> String {
    let failures =
        monitor::placement_failures(&answer["FailedTGAllocs"], "  ", &answer["CreatedEvals"]);
    if failures.is_empty() {
        "- All tasks successfully allocated.\n".to_owned()
    } else {
        format!("- WARNING: Failed to place all allocations.\n{failures}\n")
    }
}

/// Nomad: 1 when something would be placed, stopped, moved or replaced, whatever the diff says.
fn exit_code(answer: &Value) -> u8 {
    if text(&answer["Diff"], "Type") == "None" {
        return 0;
    }
    let Some(groups) = answer["Annotations"]["DesiredTGUpdates"].as_object() else { return 0 };
    let moves = ["Place", "Stop", "Migrate", "DestructiveUpdate", "Canary"];
    u8::from(groups.values().any(|group| moves.iter().any(|field| number(group, field) > 0)))
}
