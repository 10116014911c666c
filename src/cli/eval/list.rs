//! ◇ `eval list`: show evaluations.

use serde_json::Value;

use crate::cli::connection::{Connection, failed};
use crate::cli::exit::Outcome;
use crate::cli::format::{self, number, or_none, text};
use crate::cli::output::{self, row, table};

/// Show evaluations, newest first
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Only those of this job
    #[arg(long)]
    job: Option<String>,
    /// Only those in this status
    #[arg(long)]
    status: Option<String>,
    /// Only those that match an expression
    #[arg(long)]
    filter: Option<String>,
    /// At most so many
    #[arg(long)]
    per_page: Option<String>,
    /// Begin where an earlier page ended
    #[arg(long)]
    page_token: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    /// Show whole ids
    #[arg(long)]
    verbose: bool,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let mut query = vec![("reverse", "true")];
    for (key, value) in [
        ("job", &args.job),
        ("status", &args.status),
        ("filter", &args.filter),
        ("per_page", &args.per_page),
        ("next_token", &args.page_token),
    ] {
        query.extend(value.iter().map(|value| (key, value.as_str())));
    }
    let found: Vec<Value> = connection
        .client()
        .get_json("/v1/evaluations", &query)
        .await
        .map_err(failed("Error querying evaluations"))?;
    if args.json {
        output::line(format::json(&found.into()));
        return Ok(0);
    }
    if found.is_empty() {
        output::line("No evals found");
        return Ok(0);
    }
    output::line(eval_table(&found, args.verbose));
    Ok(0)
}

fn eval_table(evals: &[Value], verbose: bool) -> String {
    let mut rows = vec![row([
        "ID",
        "Priority",
        "Triggered By",
        "Job ID",
        "Namespace",
        "Node ID",
        "Status",
        "Placement Failures",
    ])];
    for eval in evals {
        let failures = eval["FailedTGAllocs"].as_object().is_some_and(|map| !map.is_empty());
        let blocked = text(eval, "Status") == "blocked";
        rows.push(vec![
            format::id(text(eval, "ID"), verbose),
            number(eval, "Priority").to_string(),
            text(eval, "TriggeredBy").to_owned(),
            text(eval, "JobID").to_owned(),
            text(eval, "Namespace").to_owned(),
            or_none(&format::id(text(eval, "NodeID"), verbose)),
            text(eval, "Status").to_owned(),
            if blocked { "N/A - In Progress".to_owned() } else { failures.to_string() },
        ]);
    }
    table(&rows)
}
