//! ◇ `deployment list`: show deployments.

use serde_json::Value;

use crate::cli::connection::{Connection, failed};
use crate::cli::exit::Outcome;
use crate::cli::format::{self, number, text};
use crate::cli::output::{self, row, table};

/// Show deployments
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Only those that match an expression
    #[arg(long)]
    filter: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    /// Show whole ids
    #[arg(long)]
    verbose: bool,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let query: Vec<(&str, &str)> =
        args.filter.iter().map(|filter| ("filter", filter.as_str())).collect();
    let mut found: Vec<Value> = connection
        .client()
        .get_json("/v1/deployments", &query)
        .await
        .map_err(failed("Error retrieving deployments"))?;
    if args.json {
        output::line(format::json(&found.into()));
        return Ok(0);
    }
    if found.is_empty() {
        output::line("No deployments found");
        return Ok(0);
    }
    found.sort_by_key(|deployment| std::cmp::Reverse(number(deployment, "CreateIndex")));
    let mut rows = vec![row(["ID", "Job ID", "Job Version", "Status", "Description"])];
    rows.extend(found.iter().map(|deployment| {
        vec![
            format::id(text(deployment, "ID"), args.verbose),
            text(deployment, "JobID").to_owned(),
            number(deployment, "JobVersion").to_string(),
            text(deployment, "Status").to_owned(),
            text(deployment, "StatusDescription").to_owned(),
        ]
    }));
    output::line(table(&rows));
    Ok(0)
}
