//! ◇ `alloc status`: show an allocation.

use serde_json::Value;

use crate::api::client::escape;
use crate::cli::connection::Connection;
use crate::cli::exit::Outcome;
use crate::cli::format::{self, ago, is_true, list, number, or_none, text};
use crate::cli::output::{self, pairs, row, table};
use crate::cli::{monitor, resolve};
use crate::sys::clock;

/// Show an allocation
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command")]
pub(in crate::cli) struct Args {
    /// The allocation: its id or the beginning of it
    pub(in crate::cli) alloc: String,
    /// Only a line for each task
    #[arg(long)]
    pub(in crate::cli) short: bool,
    /// With what its tasks use at the moment
    #[arg(long)]
    pub(in crate::cli) stats: bool,
    /// Print the answer as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Show whole ids and why it was placed where it is
    #[arg(long)]
    pub(in crate::cli) verbose: bool,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let client = connection.client();
    let alloc = resolve::alloc(&client, &args.alloc).await?;
    if args.json {
        output::line(format::json(&alloc));
        return Ok(0);
    }
    if args.short {
        output::line(short(&alloc));
        return Ok(0);
    }
    output::line(header(&alloc, args.verbose));
    if let Some(text) = addresses(&alloc) {
        output::line(format!("\n{text}"));
    }
    // What is used is only known while something runs, and only to the node: it is left out where it cannot be had.
    let path = format!("/v1/client/allocation/{}/stats", escape(text(&alloc, "ID")));
    let stats = match text(&alloc, "ClientStatus") {
        "running" => client.get_json::<Value>(&path, &[]).await.unwrap_or_default(),
        _ => Value::Null,
    };
    for (name, state) in alloc["TaskStates"].as_object().into_iter().flatten() {
        output::line(format!("\n{}", task(&alloc, name, state, &stats)));
        if args.stats {
            output::line(format!("\n{}", usage(&stats["Tasks"][name]["ResourceUsage"])));
        }
    }
    if args.verbose {
        output::line(format!("\nPlacement Metrics\n{}", placement(&alloc)));
    }
    Ok(0)
}

fn header(alloc: &Value, verbose: bool) -> String {
    let now = clock::unix_nanos();
    let when = |field: &str| {
        let nanos = number(alloc, field);
        if verbose { format::time(nanos) } else { ago(nanos, now) }
    };
    let id = |field: &str| format::id(text(alloc, field), verbose);
    let mut rows = vec![
        ("ID", text(alloc, "ID").to_owned()),
        ("Eval ID", id("EvalID")),
        ("Name", text(alloc, "Name").to_owned()),
        ("Node ID", id("NodeID")),
        ("Node Name", text(alloc, "NodeName").to_owned()),
        ("Job ID", text(alloc, "JobID").to_owned()),
        ("Job Version", number(&alloc["Job"], "Version").to_string()),
        ("Client Status", text(alloc, "ClientStatus").to_owned()),
        ("Client Description", or_none(text(alloc, "ClientDescription"))),
        ("Desired Status", text(alloc, "DesiredStatus").to_owned()),
        ("Desired Description", or_none(text(alloc, "DesiredDescription"))),
        ("Created", when("CreateTime")),
        ("Modified", when("ModifyTime")),
    ];
    if !text(alloc, "DeploymentID").is_empty() {
        rows.push(("Deployment ID", id("DeploymentID")));
        let health = match alloc["DeploymentStatus"]["Healthy"].as_bool() {
            Some(true) => "healthy",
            Some(false) => "unhealthy",
            None => "unset",
        };
        rows.push(("Deployment Health", health.to_owned()));
        if is_true(&alloc["DeploymentStatus"], "Canary") {
            rows.push(("Canary", "true".to_owned()));
        }
    }
    if !text(alloc, "NextAllocation").is_empty() {
        rows.push(("Replacement Alloc ID", id("NextAllocation")));
    }
    if !text(alloc, "FollowupEvalID").is_empty() {
        rows.push(("Reschedule Eval ID", id("FollowupEvalID")));
    }
    pairs(&rows)
}

fn address(port: &Value) -> String {
    let host = text(port, "HostIP");
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let to = number(port, "To");
    let to = if to > 0 { format!(" -> {to}") } else { String::new() };
    format!("{host}:{}{to}", number(port, "Value"))
}

/// The ports of the group and where they are published.
fn addresses(alloc: &Value) -> Option<String> {
    let shared = &alloc["AllocatedResources"]["Shared"];
    let ports = list(shared, "Ports");
    if ports.is_empty() {
        return None;
    }
    let network = list(shared, "Networks").first();
    let is_dynamic = |label: &str| {
        network.is_some_and(|n| {
            list(n, "DynamicPorts").iter().any(|port| text(port, "Label") == label)
        })
    };
    let mut rows = vec![row(["Label", "Dynamic", "Address"])];
    rows.extend(ports.iter().map(|port| {
        let label = text(port, "Label");
        let dynamic = if is_dynamic(label) { "yes" } else { "no" };
        vec![format!("*{label}"), dynamic.to_owned(), address(port)]
    }));
    let mode = network.map(|network| text(network, "Mode")).filter(|mode| !mode.is_empty());
    let mode = mode.map(|mode| format!(" (mode = \"{mode}\")")).unwrap_or_default();
    Some(format!("Allocation Addresses{mode}:\n{}", table(&rows)))
}

fn task(alloc: &Value, name: &str, state: &Value, stats: &Value) -> String {
    let kind = match &alloc["AllocatedResources"]["TaskLifecycles"][name] {
        Value::Null => String::new(),
        lifecycle if is_true(lifecycle, "Sidecar") => {
            format!(" ({} sidecar)", text(lifecycle, "Hook"))
        }
        lifecycle => format!(" ({})", text(lifecycle, "Hook")),
    };
    let given = &alloc["AllocatedResources"]["Tasks"][name];
    let used = &stats["Tasks"][name]["ResourceUsage"];
    let cpu = number(&given["Cpu"], "CpuShares");
    let cpu = match used["CpuStats"]["TotalTicks"].as_f64() {
        Some(ticks) => format!("{ticks:.0}/{cpu} MHz"),
        None => format!("{cpu} MHz"),
    };
    let memory = format::bytes(number(&given["Memory"], "MemoryMB").unsigned_abs() * 1024 * 1024);
    let memory =
        match used["MemoryStats"]["Usage"].as_u64().or_else(|| used["MemoryStats"]["RSS"].as_u64())
        {
            Some(bytes) => format!("{}/{memory}", format::bytes(bytes)),
            None => memory,
        };
    let disk = format::bytes(
        number(&alloc["AllocatedResources"]["Shared"], "DiskMB").unsigned_abs() * 1024 * 1024,
    );
    let resources =
        [row(["CPU", "Memory", "Disk", "Addresses"]), vec![cpu, memory, disk, String::new()]];
    let last_restart = format::time_text(text(state, "LastRestart"));
    let times = pairs(&[
        ("Started At", format::time_text(text(state, "StartedAt"))),
        ("Finished At", format::time_text(text(state, "FinishedAt"))),
        ("Total Restarts", number(state, "Restarts").to_string()),
        ("Last Restart", last_restart),
    ]);
    let mut events = vec![row(["Time", "Type", "Description"])];
    events.extend(list(state, "Events").iter().rev().map(|event| {
        vec![
            format::time(number(event, "Time")),
            text(event, "Type").to_owned(),
            text(event, "DisplayMessage").replace('\n', " "),
        ]
    }));
    format!(
        "Task \"{name}\"{kind} is \"{}\"\nTask Resources:\n{}\n\nTask Events:\n{times}\n\nRecent Events:\n{}",
        text(state, "State"),
        table(&resources),
        table(&events)
    )
}

fn usage(used: &Value) -> String {
    let memory = &used["MemoryStats"];
    let cpu = &used["CpuStats"];
    let size = |field: &str| format::bytes(memory[field].as_u64().unwrap_or(0));
    let rows = [
        row(["Memory RSS", "Cache", "Usage", "CPU Percent", "Throttled Periods"]),
        vec![
            size("RSS"),
            size("Cache"),
            size("Usage"),
            format!("{:.2}%", cpu["Percent"].as_f64().unwrap_or(0.0)),
            number(cpu, "ThrottledPeriods").to_string(),
        ],
    ];
    table(&rows)
}

fn short(alloc: &Value) -> String {
    let now = clock::unix_nanos();
    let header = pairs(&[
        ("ID", text(alloc, "ID").to_owned()),
        ("Name", text(alloc, "Name").to_owned()),
        ("Created", ago(number(alloc, "CreateTime"), now)),
        ("Modified", ago(number(alloc, "ModifyTime"), now)),
    ]);
    let mut rows = vec![row(["Name", "State", "Last Event", "Time", "Lifecycle"])];
    for (name, state) in alloc["TaskStates"].as_object().into_iter().flatten() {
        let last = list(state, "Events").last().cloned().unwrap_or_default();
        let lifecycle = &alloc["AllocatedResources"]["TaskLifecycles"][name];
        rows.push(vec![
            name.clone(),
            text(state, "State").to_owned(),
            text(&last, "Type").to_owned(),
            format::time(number(&last, "Time")),
            if lifecycle.is_null() {
                "main".to_owned()
            } else {
                text(lifecycle, "Hook").to_owned()
            },
        ]);
    }
    format!("{header}\n\nTasks\n{}", table(&rows))
}

/// What the scheduler saw, and the scores of the nodes.
fn placement(alloc: &Value) -> String {
    let metrics = &alloc["Metrics"];
    let mut text = monitor::metric(metrics, "  ");
    let nodes = list(metrics, "ScoreMetaData");
    let mut parts: Vec<&String> = nodes
        .iter()
        .filter_map(|node| node["Scores"].as_object())
        .flat_map(serde_json::Map::keys)
        .collect();
    parts.sort();
    parts.dedup();
    let mut header = vec!["Node".to_owned()];
    header.extend(parts.iter().map(|part| (*part).clone()));
    header.push("final score".to_owned());
    let mut rows = vec![header];
    for node in nodes {
        let mut cells = vec![format::text(node, "NodeID").to_owned()];
        cells.extend(
            parts
                .iter()
                .map(|part| format!("{:.3}", node["Scores"][*part].as_f64().unwrap_or(0.0))),
        );
        cells.push(format!("{:.3}", node["NormScore"].as_f64().unwrap_or(0.0)));
        rows.push(cells);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&table(&rows));
    text
}
