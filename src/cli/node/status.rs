//! ◇ `node status`: show nodes, or one in detail.

use serde_json::Value;

use crate::api::client::{Client, escape};
use crate::cli::connection::{Connection, failed};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::format::{self, is_true, list, number, or_none, text};
use crate::cli::job::status::allocs_table;
use crate::cli::output::{self, pairs, row, table};
use crate::cli::resolve;

/// Show nodes, or one in detail
#[derive(Debug, Default, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag that Nomad has")]
pub(in crate::cli) struct Args {
    /// The node: its id or the beginning of it
    node: Option<String>,
    /// The node of the agent that is asked
    #[arg(long = "self")]
    own: bool,
    /// Without allocations, attributes and use
    #[arg(long)]
    short: bool,
    /// Only ids
    #[arg(long)]
    quiet: bool,
    /// With the number of running allocations
    #[arg(long)]
    allocs: bool,
    /// Only those that match an expression
    #[arg(long)]
    filter: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    /// Show whole ids and more
    #[arg(long)]
    verbose: bool,
    /// With what is used on the host (shown anyway)
    #[arg(long)]
    stats: bool,
}

impl Args {
    /// All of `node`.
    pub(in crate::cli) fn of(node: String, verbose: bool) -> Self {
        Self { node: Some(node), verbose, ..Self::default() }
    }
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let client = connection.client();
    let node = match (&args.node, args.own) {
        (Some(prefix), _) => resolve::node(&client, prefix).await?,
        (None, true) => own_node(&client).await?,
        (None, false) => return list_nodes(&client, &args).await,
    };
    if args.json {
        output::line(format::json(&node));
        return Ok(0);
    }
    output::line(detail(&node));
    let path = format!("/v1/node/{}/allocations", escape(text(&node, "ID")));
    let allocs: Vec<Value> =
        client.get_json(&path, &[]).await.map_err(failed("Error querying node allocations"))?;
    if !args.short {
        output::line(format!("\nAllocated Resources\n{}", allocated(&node, &allocs)));
        let stats: Result<Value, _> =
            client.get_json("/v1/client/stats", &[("node_id", text(&node, "ID"))]).await;
        if let Ok(stats) = stats {
            output::line(format!("\nHost Resource Utilization\n{}", used(&node, &stats)));
        }
    }
    output::line(format!("\nAllocations\n{}", allocs_table(&allocs, args.verbose)));
    if args.verbose {
        for (title, field) in [("Attributes", "Attributes"), ("Meta", "Meta")] {
            output::line(format!("\n{title}\n{}", map(&node[field])));
        }
    }
    Ok(0)
}

/// The node of the agent that is asked.
pub(in crate::cli) async fn own_node(client: &Client) -> Result<Value, Failure> {
    let agent: Value = client
        .get_json("/v1/agent/self", &[])
        .await
        .map_err(failed("Error querying agent info"))?;
    match text(&agent["stats"]["client"], "node_id") {
        "" => Err(Failure::new("The agent that is asked is no client")),
        id => resolve::node(client, id).await,
    }
}

async fn list_nodes(client: &Client, args: &Args) -> Outcome {
    let query: Vec<(&str, &str)> =
        args.filter.iter().map(|filter| ("filter", filter.as_str())).collect();
    let nodes: Vec<Value> =
        client.get_json("/v1/nodes", &query).await.map_err(failed("Error querying node status"))?;
    if args.json {
        output::line(format::json(&nodes.into()));
        return Ok(0);
    }
    if nodes.is_empty() {
        return Ok(0);
    }
    if args.quiet {
        for node in &nodes {
            output::line(format::id(text(node, "ID"), args.verbose));
        }
        return Ok(0);
    }
    let mut header = row(["ID", "Node Pool", "DC", "Name", "Class"]);
    if args.verbose {
        header.extend(row(["Address", "Version"]));
    }
    header.extend(row(["Drain", "Eligibility", "Status"]));
    if args.allocs {
        header.extend(row(["Running Allocs"]));
    }
    let mut rows = vec![header];
    for node in &nodes {
        rows.push(list_row(client, node, args).await?);
    }
    output::line(table(&rows));
    Ok(0)
}

async fn list_row(client: &Client, node: &Value, args: &Args) -> Result<Vec<String>, Failure> {
    let mut cells = vec![
        format::id(text(node, "ID"), args.verbose),
        text(node, "NodePool").to_owned(),
        text(node, "Datacenter").to_owned(),
        text(node, "Name").to_owned(),
        or_none(text(node, "NodeClass")),
    ];
    if args.verbose {
        cells.extend([text(node, "Address").to_owned(), text(node, "Version").to_owned()]);
    }
    cells.extend([
        is_true(node, "Drain").to_string(),
        text(node, "SchedulingEligibility").to_owned(),
        text(node, "Status").to_owned(),
    ]);
    if args.allocs {
        let path = format!("/v1/node/{}/allocations", escape(text(node, "ID")));
        let allocs: Vec<Value> =
            client.get_json(&path, &[]).await.map_err(failed("Error querying node allocations"))?;
        cells.push(
            allocs.iter().filter(|a| text(a, "ClientStatus") == "running").count().to_string(),
        );
    }
    Ok(cells)
}

fn detail(node: &Value) -> String {
    let names = |field: &str| {
        let names: Vec<&str> =
            node[field].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        or_none(&names.join(","))
    };
    let healthy: Vec<&str> = node["Drivers"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, driver)| is_true(driver, "Detected") && is_true(driver, "Healthy"))
        .map(|(name, _)| name.as_str())
        .collect();
    let drain = match &node["DrainStrategy"] {
        Value::Null => "false".to_owned(),
        _ => "true".to_owned(),
    };
    let header = pairs(&[
        ("ID", text(node, "ID").to_owned()),
        ("Name", text(node, "Name").to_owned()),
        ("Node Pool", text(node, "NodePool").to_owned()),
        ("Class", or_none(text(node, "NodeClass"))),
        ("DC", text(node, "Datacenter").to_owned()),
        ("Drain", drain),
        ("Eligibility", text(node, "SchedulingEligibility").to_owned()),
        ("Status", text(node, "Status").to_owned()),
        ("Host Volumes", names("HostVolumes")),
        ("Host Networks", names("HostNetworks")),
        ("Driver Status", healthy.join(",")),
    ]);
    let mut rows = vec![row(["Time", "Subsystem", "Message"])];
    rows.extend(list(node, "Events").iter().rev().map(|event| {
        vec![
            format::time_text(text(event, "Timestamp")),
            text(event, "Subsystem").to_owned(),
            text(event, "Message").to_owned(),
        ]
    }));
    format!("{header}\n\nNode Events\n{}", table(&rows))
}

const MIB: u64 = 1024 * 1024;

fn allocated(node: &Value, allocs: &[Value]) -> String {
    let active = |alloc: &&Value| matches!(text(alloc, "ClientStatus"), "pending" | "running");
    let (mut cpu, mut memory, mut disk, mut count) = (0, 0, 0, 0);
    for alloc in allocs.iter().filter(active) {
        count += 1;
        let given = &alloc["AllocatedResources"];
        disk += number(&given["Shared"], "DiskMB");
        for (_, task) in given["Tasks"].as_object().into_iter().flatten() {
            cpu += number(&task["Cpu"], "CpuShares");
            memory += number(&task["Memory"], "MemoryMB");
        }
    }
    let (total, kept) = (&node["NodeResources"], &node["ReservedResources"]);
    let left = |noun: &str, field: &str| number(&total[noun], field) - number(&kept[noun], field);
    let size = |mib: i64| format::bytes(mib.unsigned_abs() * MIB);
    let rows = [
        row(["CPU", "Memory", "Disk", "Alloc Count"]),
        vec![
            format!("{cpu}/{} MHz", left("Cpu", "CpuShares")),
            format!("{}/{}", size(memory), size(left("Memory", "MemoryMB"))),
            format!("{}/{}", size(disk), size(left("Disk", "DiskMB"))),
            count.to_string(),
        ],
    ];
    table(&rows)
}

fn used(node: &Value, stats: &Value) -> String {
    let cpu = stats["CPUTicksConsumed"].as_f64().unwrap_or(0.0);
    let memory = &stats["Memory"];
    let disk = list(stats, "DiskStats").first().cloned().unwrap_or_default();
    let size = |value: &Value, field: &str| format::bytes(value[field].as_u64().unwrap_or(0));
    let rows = [
        row(["CPU", "Memory", "Disk"]),
        vec![
            format!("{cpu:.0}/{} MHz", number(&node["NodeResources"]["Cpu"], "CpuShares")),
            format!("{}/{}", size(memory, "Used"), size(memory, "Total")),
            format!("{}/{}", size(&disk, "Used"), size(&disk, "Size")),
        ],
    ];
    table(&rows)
}

fn map(values: &Value) -> String {
    let rows: Vec<(&str, String)> = values
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    pairs(&rows)
}
