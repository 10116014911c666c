//! ◇ `deployment status`: show a deployment.

use serde_json::Value;

use crate::cli::connection::Connection;
use crate::cli::exit::Outcome;
use crate::cli::format::{self, is_true, list, number, text};
use crate::cli::output::{self, pairs, table};
use crate::cli::{monitor, resolve};

/// Show a deployment
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command")]
pub(in crate::cli) struct Args {
    /// The deployment: its id or the beginning of it
    deployment: String,
    /// Follow it until it ends
    #[arg(long)]
    monitor: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    /// Show whole ids
    #[arg(long)]
    verbose: bool,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let client = connection.client();
    let found = resolve::deployment(&client, &args.deployment).await?;
    if args.json {
        output::line(format::json(&found));
        return Ok(0);
    }
    if args.monitor {
        return monitor::deployment(&client, text(&found, "ID"), args.verbose).await;
    }
    output::line(detail(&found, args.verbose));
    Ok(0)
}

/// A deployment with its job.
pub(in crate::cli) fn detail(deployment: &Value, verbose: bool) -> String {
    let header = pairs(&[
        ("ID", format::id(text(deployment, "ID"), verbose)),
        ("Job ID", text(deployment, "JobID").to_owned()),
        ("Job Version", number(deployment, "JobVersion").to_string()),
        ("Status", text(deployment, "Status").to_owned()),
        ("Description", text(deployment, "StatusDescription").to_owned()),
    ]);
    format!("{header}\n\nDeployed\n{}", groups(deployment))
}

/// A deployment as `job status` shows it.
pub(in crate::cli) fn latest(deployment: &Value, verbose: bool) -> String {
    let header = pairs(&[
        ("ID", format::id(text(deployment, "ID"), verbose)),
        ("Status", text(deployment, "Status").to_owned()),
        ("Description", text(deployment, "StatusDescription").to_owned()),
    ]);
    format!("{header}\n\nDeployed\n{}", groups(deployment))
}

fn groups(deployment: &Value) -> String {
    let Some(groups) = deployment["TaskGroups"].as_object() else { return String::new() };
    let any = |test: &dyn Fn(&Value) -> bool| groups.values().any(test);
    let reverts = any(&|group| is_true(group, "AutoRevert"));
    let canaries = any(&|group| number(group, "DesiredCanaries") > 0);
    let mut header = vec!["Task Group"];
    if reverts {
        header.push("Auto Revert");
    }
    if canaries {
        header.push("Promoted");
    }
    header.push("Desired");
    if canaries {
        header.push("Canaries");
    }
    header.extend(["Placed", "Healthy", "Unhealthy", "Progress Deadline"]);
    let mut rows = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for (name, group) in groups {
        let mut cells = vec![name.clone()];
        if reverts {
            cells.push(is_true(group, "AutoRevert").to_string());
        }
        if canaries {
            let wanted = number(group, "DesiredCanaries") > 0;
            cells.push(if wanted {
                is_true(group, "Promoted").to_string()
            } else {
                "N/A".to_owned()
            });
        }
        cells.push(number(group, "DesiredTotal").to_string());
        if canaries {
            let wanted = number(group, "DesiredCanaries");
            cells.push(if wanted > 0 { wanted.to_string() } else { "N/A".to_owned() });
        }
        for field in ["PlacedAllocs", "HealthyAllocs", "UnhealthyAllocs"] {
            cells.push(number(group, field).to_string());
        }
        cells.push(format::time_text(text(group, "RequireProgressBy")));
        rows.push(cells);
    }
    rows[1..].sort();
    table(&rows)
}

/// Whether canaries of it wait for a promotion.
pub(in crate::cli) fn canaries(deployment: &Value) -> usize {
    let groups = deployment["TaskGroups"].as_object().into_iter().flatten();
    groups.map(|(_, group)| list(group, "PlacedCanaries").len()).sum()
}
