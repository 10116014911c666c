//! ◇ `eval status`: show an evaluation.

use serde_json::Value;

use crate::api::client::escape;
use crate::cli::connection::{Connection, failed};
use crate::cli::exit::Outcome;
use crate::cli::format::{self, ago, number, or_none, text};
use crate::cli::job::status::allocs_table;
use crate::cli::output::{self, pairs, row, table};
use crate::cli::{monitor, resolve};
use crate::sys::clock;

/// Show an evaluation
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command")]
pub(in crate::cli) struct Args {
    /// The evaluation: its id or the beginning of it
    pub(in crate::cli) eval: String,
    /// Follow it until it ends
    #[arg(long)]
    pub(in crate::cli) monitor: bool,
    /// Print the answer as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Show whole ids
    #[arg(long)]
    pub(in crate::cli) verbose: bool,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let client = connection.client();
    let eval = resolve::eval(&client, &args.eval).await?;
    if args.monitor {
        return monitor::evaluation(&client, text(&eval, "ID"), args.verbose).await;
    }
    if args.json {
        output::line(format::json(&eval));
        return Ok(0);
    }
    output::line(header(&eval, args.verbose));
    if let Some(groups) = eval["PlanAnnotations"]["DesiredTGUpdates"].as_object() {
        let mut rows =
            vec![row(["Task Group", "Ignore", "Place", "Stop", "InPlace", "Destructive"])];
        for (name, group) in groups {
            let mut cells = vec![name.clone()];
            let fields = ["Ignore", "Place", "Stop", "InPlaceUpdate", "DestructiveUpdate"];
            cells.extend(fields.iter().map(|field| number(group, field).to_string()));
            rows.push(cells);
        }
        output::line(format!("\nPlan Annotations\n{}", table(&rows)));
    }
    for (group, metric) in eval["FailedTGAllocs"].as_object().into_iter().flatten() {
        let count = number(metric, "CoalescedFailures") + 1;
        let noun = if count == 1 { "allocation" } else { "allocations" };
        output::line(format!(
            "\nFailed Placements\nTask Group \"{group}\" (failed to place {count} {noun}):\n{}",
            monitor::metric(metric, "  ")
        ));
    }
    let path = format!("/v1/evaluation/{}/allocations", escape(text(&eval, "ID")));
    let allocs: Vec<Value> = client
        .get_json(&path, &[("namespace", text(&eval, "Namespace"))])
        .await
        .map_err(failed("Error querying evaluation"))?;
    if !allocs.is_empty() {
        output::line(format!("\nPlaced Allocations\n{}", allocs_table(&allocs, args.verbose)));
    }
    Ok(0)
}

fn header(eval: &Value, verbose: bool) -> String {
    let now = clock::unix_nanos();
    let status = text(eval, "Status");
    let described = text(eval, "StatusDescription");
    let failures = eval["FailedTGAllocs"].as_object().is_some_and(|map| !map.is_empty());
    let when = |field: &str| {
        let nanos = number(eval, field);
        if verbose { format::time(nanos) } else { ago(nanos, now) }
    };
    let related = |field: &str| or_none(&format::id(text(eval, field), verbose));
    pairs(&[
        ("ID", format::id(text(eval, "ID"), verbose)),
        ("Create Time", when("CreateTime")),
        ("Modify Time", when("ModifyTime")),
        ("Status", status.to_owned()),
        ("Status Description", if described.is_empty() { status } else { described }.to_owned()),
        ("Type", text(eval, "Type").to_owned()),
        ("TriggeredBy", text(eval, "TriggeredBy").to_owned()),
        ("Job ID", text(eval, "JobID").to_owned()),
        ("Namespace", text(eval, "Namespace").to_owned()),
        ("Priority", number(eval, "Priority").to_string()),
        ("Placement Failures", failures.to_string()),
        ("Previous Eval", related("PreviousEval")),
        ("Next Eval", related("NextEval")),
        ("Blocked Eval", related("BlockedEval")),
    ])
}
