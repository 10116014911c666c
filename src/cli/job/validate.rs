//! ◇ `job validate`: check a job without registering it.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::source::{self, SourceArgs};
use crate::api::client::ClientError;
use crate::cli::connection::{Connection, failed};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::format::{list, text};
use crate::cli::output;

/// Check a job without registering it
///
/// Asks the servers when an agent is there; without one, checks what can be checked here.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    source: SourceArgs,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let parsed = source::read(&args.source, connection)?;
    let body = Bytes::from(json!({ "Job": parsed.job }).to_string());
    let answer = connection.client().send(Method::PUT, "/v1/validate/job", &[], Some(body)).await;
    let (errors, text_of_errors, warnings) = match answer {
        Ok(answer) => {
            let answer: Value = answer.json().map_err(failed("Error validating job"))?;
            let errors = list(&answer, "ValidationErrors").len();
            (errors, text(&answer, "Error").to_owned(), text(&answer, "Warnings").to_owned())
        }
        Err(ClientError::Connect { .. }) => source::validate_here(parsed.job)?,
        Err(error) => return Err(failed("Error validating job")(error)),
    };
    if !warnings.is_empty() {
        output::line(format!("Job Warnings:\n{warnings}\n"));
    }
    if errors > 0 || !text_of_errors.is_empty() {
        return Err(Failure::new(format!("Job validation errors:\n{text_of_errors}")));
    }
    output::line("Job validation successful");
    Ok(0)
}
