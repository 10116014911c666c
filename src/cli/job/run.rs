//! ◇ `job run`: register a job and follow what becomes of it.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::source::{self, SourceArgs};
use crate::cli::connection::{Connection, failed};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::format::{self, text};
use crate::cli::{monitor, output};

/// Register a job, or a new version of it, and follow what becomes of it
///
/// Ends with 0 when everything was placed, 2 when something could not be, 1 on any other failure.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Return after the registration and print the evaluation's id
    #[arg(long)]
    detach: bool,
    /// Register only if the job's modify index is this; 0 if the job does not exist
    #[arg(long, value_name = "INDEX")]
    check_index: Option<u64>,
    /// Priority of the evaluation, instead of the job's
    #[arg(long, value_name = "1-100")]
    eval_priority: Option<u64>,
    /// Print the job as JSON and register nothing
    #[arg(long)]
    output: bool,
    /// Keep the counts of a job that was scaled
    #[arg(long)]
    preserve_counts: bool,
    /// Keep the resources of a job that was scaled
    #[arg(long)]
    preserve_resources: bool,
    /// Show whole ids
    #[arg(long)]
    verbose: bool,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let parsed = source::read(&args.source, connection)?;
    if args.output {
        output::line(format::json(&json!({ "Job": parsed.job })));
        return Ok(0);
    }
    let client = connection.client();
    let mut request = json!({ "Job": parsed.job, "Submission": parsed.submission });
    if let Some(index) = args.check_index {
        request["EnforceIndex"] = Value::Bool(true);
        request["JobModifyIndex"] = index.into();
    }
    if let Some(priority) = args.eval_priority {
        request["EvalPriority"] = priority.into();
    }
    request["PreserveCounts"] = args.preserve_counts.into();
    request["PreserveResources"] = args.preserve_resources.into();
    let body = Bytes::from(request.to_string());
    let answer = client
        .send(Method::PUT, "/v1/jobs", &[], Some(body))
        .await
        .map_err(|error| refused(&error))?;
    let answer: Value = answer.json().map_err(failed("Error submitting job"))?;
    let warnings = text(&answer, "Warnings");
    if !warnings.is_empty() {
        output::note(format!("Job Warnings:\n{warnings}\n"));
    }
    let eval = text(&answer, "EvalID");
    if args.detach || eval.is_empty() {
        output::line("Job registration successful");
        if !eval.is_empty() {
            output::line(format!("Evaluation ID: {eval}"));
        }
        return Ok(0);
    }
    monitor::evaluation(&client, eval, args.verbose).await
}

/// Says which index the job has when it is not the one that was asked for.
fn refused(error: &crate::api::client::ClientError) -> Failure {
    let chain = crate::sys::report::chain(error);
    if let Some(at) = chain.find("enforcing job modify index") {
        return Failure::new(format!(
            "Job not updated: {}",
            chain[at..].trim_end_matches(')').trim_start_matches("enforcing job modify index ")
        ));
    }
    let failure = Failure::of("Error submitting job", error);
    match error {
        crate::api::client::ClientError::Connect { .. } => {
            failure.hint("is an agent running there? start one with `stead agent`, or name another with -address")
        }
        _ => failure,
    }
}
