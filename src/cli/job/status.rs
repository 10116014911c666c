//! ◇ `job status`: show jobs, or one in detail.

use serde_json::Value;

use crate::api::client::{Client, escape};
use crate::cli::connection::{Connection, failed};
use crate::cli::deployment::status as deployment;
use crate::cli::exit::Outcome;
use crate::cli::format::{self, ago, is_true, list, number, text};
use crate::cli::output::{self, pairs, row, table};
use crate::cli::{monitor, resolve};
use crate::sys::clock;

/// Show jobs, or one in detail
#[derive(Debug, Default, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command")]
pub(in crate::cli) struct Args {
    /// The job: its ID or the beginning of it
    job: Option<String>,
    /// Without allocations
    #[arg(long)]
    short: bool,
    /// With its evaluations
    #[arg(long)]
    evals: bool,
    /// With allocations of earlier jobs of the same ID
    #[arg(long)]
    all_allocs: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    /// Show whole ids and more columns
    #[arg(long)]
    verbose: bool,
}

impl Args {
    /// All of `job`, or the list.
    pub(in crate::cli) fn of(job: Option<String>, verbose: bool) -> Self {
        Self { job, verbose, ..Self::default() }
    }
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let client = connection.client();
    let Some(prefix) = &args.job else { return list_jobs(&client, &args, connection).await };
    let (namespace, id) = resolve::job(&client, prefix).await?;
    let base = format!("/v1/job/{}", escape(&id));
    let query = [("namespace", namespace.as_str())];
    let what = "Error querying job";
    let job: Value = client.get_json(&base, &query).await.map_err(failed(what))?;
    if args.json {
        output::line(format::json(&job));
        return Ok(0);
    }
    output::line(header(&job));
    if args.short {
        return Ok(0);
    }
    let summary: Value =
        client.get_json(&format!("{base}/summary"), &query).await.map_err(failed(what))?;
    if let Some(children) = summary["Children"].as_object().filter(|_| is_parent(&job)) {
        children_summary(&client, &id, children, &query).await?;
        return Ok(0);
    }
    let all = if args.all_allocs { "true" } else { "false" };
    let allocs: Vec<Value> = client
        .get_json(&format!("{base}/allocations"), &[query[0], ("all", all)])
        .await
        .map_err(failed(what))?;
    let evals: Vec<Value> =
        client.get_json(&format!("{base}/evaluations"), &query).await.map_err(failed(what))?;
    let latest: Value =
        client.get_json(&format!("{base}/deployment"), &query).await.map_err(failed(what))?;
    output::line(format!("\nSummary\n{}", summary_table(&summary)));
    if args.evals {
        output::line(format!("\nEvaluations\n{}", evals_table(&evals, args.verbose)));
    }
    if let Some(text) = placement_failure(&evals) {
        output::line(format!("\nPlacement Failure\n{text}"));
    }
    if !latest.is_null() {
        output::line(format!("\nLatest Deployment\n{}", deployment::latest(&latest, args.verbose)));
    }
    output::line(format!("\nAllocations\n{}", allocs_table(&allocs, args.verbose)));
    Ok(0)
}

async fn list_jobs(client: &Client, args: &Args, connection: &Connection) -> Outcome {
    let mut jobs: Vec<Value> =
        client.get_json("/v1/jobs", &[]).await.map_err(failed("Error querying jobs"))?;
    if args.json {
        output::line(format::json(&jobs.into()));
        return Ok(0);
    }
    jobs.sort_by(|a, b| text(a, "ID").cmp(text(b, "ID")));
    if jobs.is_empty() {
        output::line("No running jobs");
    } else if connection.namespace().as_deref() == Some("*") {
        output::line(namespaced_table(&jobs));
    } else {
        output::line(list_table(&jobs));
    }
    Ok(0)
}

fn status_of(job: &Value) -> String {
    let status = text(job, "Status");
    if is_true(job, "Stop") { format!("{status} (stopped)") } else { status.to_owned() }
}

fn type_of(job: &Value) -> String {
    let kind = text(job, "Type");
    let is = |field: &str| is_true(job, field) || job[field].is_object();
    let mut text = kind.to_owned();
    if is("Periodic") {
        text.push_str("/periodic");
    }
    if is("ParameterizedJob") {
        text.push_str("/parameterized");
    }
    text
}

/// The table of jobs.
pub(in crate::cli) fn list_table(jobs: &[Value]) -> String {
    let mut rows = vec![row(["ID", "Type", "Priority", "Status", "Submit Date"])];
    rows.extend(jobs.iter().map(|job| {
        vec![
            text(job, "ID").to_owned(),
            type_of(job),
            number(job, "Priority").to_string(),
            status_of(job),
            format::time(number(job, "SubmitTime")),
        ]
    }));
    table(&rows)
}

fn namespaced_table(jobs: &[Value]) -> String {
    let mut rows = vec![row(["ID", "Namespace", "Type", "Priority", "Status", "Submit Date"])];
    rows.extend(jobs.iter().map(|job| {
        vec![
            text(job, "ID").to_owned(),
            text(&job["JobSummary"], "Namespace").to_owned(),
            type_of(job),
            number(job, "Priority").to_string(),
            status_of(job),
            format::time(number(job, "SubmitTime")),
        ]
    }));
    table(&rows)
}

fn is_parent(job: &Value) -> bool {
    job["Periodic"].is_object()
        || (job["ParameterizedJob"].is_object() && !is_true(job, "Dispatched"))
}

fn header(job: &Value) -> String {
    let datacenters: Vec<&str> =
        list(job, "Datacenters").iter().filter_map(Value::as_str).collect();
    let parameterized = job["ParameterizedJob"].is_object() && !is_true(job, "Dispatched");
    pairs(&[
        ("ID", text(job, "ID").to_owned()),
        ("Name", text(job, "Name").to_owned()),
        ("Submit Date", format::time(number(job, "SubmitTime"))),
        ("Type", text(job, "Type").to_owned()),
        ("Priority", number(job, "Priority").to_string()),
        ("Datacenters", datacenters.join(",")),
        ("Namespace", text(job, "Namespace").to_owned()),
        ("Node Pool", text(job, "NodePool").to_owned()),
        ("Status", status_of(job)),
        ("Periodic", job["Periodic"].is_object().to_string()),
        ("Parameterized", parameterized.to_string()),
    ])
}

fn summary_table(summary: &Value) -> String {
    let fields = ["Queued", "Starting", "Running", "Failed", "Complete", "Lost", "Unknown"];
    let mut rows = vec![row([
        "Task Group",
        "Queued",
        "Starting",
        "Running",
        "Failed",
        "Complete",
        "Lost",
        "Unknown",
    ])];
    for (group, counts) in summary["Summary"].as_object().into_iter().flatten() {
        let mut cells = vec![group.clone()];
        cells.extend(fields.iter().map(|field| number(counts, field).to_string()));
        rows.push(cells);
    }
    rows[1..].sort();
    table(&rows)
}

async fn children_summary(
    client: &Client,
    id: &str,
    children: &serde_json::Map<String, Value>,
    query: &[(&str, &str)],
) -> Result<(), crate::cli::exit::Failure> {
    let count = |field: &str| children.get(field).and_then(Value::as_i64).unwrap_or(0).to_string();
    let rows = [
        row(["Pending", "Running", "Dead"]),
        vec![count("Pending"), count("Running"), count("Dead")],
    ];
    output::line(format!("\nChildren Job Summary\n{}", table(&rows)));
    let prefix = format!("{id}/");
    let found: Vec<Value> = client
        .get_json("/v1/jobs", &[query[0], ("prefix", &prefix)])
        .await
        .map_err(failed("Error querying jobs"))?;
    let own: Vec<&Value> = found.iter().filter(|job| text(job, "ParentID") == id).collect();
    if own.is_empty() {
        output::line("\nNo instances of this job found");
        return Ok(());
    }
    let mut rows = vec![row(["ID", "Status"])];
    rows.extend(own.iter().map(|job| vec![text(job, "ID").to_owned(), status_of(job)]));
    output::line(format!("\nPreviously Launched Jobs\n{}", table(&rows)));
    Ok(())
}

fn evals_table(evals: &[Value], verbose: bool) -> String {
    let mut rows = vec![row(["ID", "Priority", "Triggered By", "Status", "Placement Failures"])];
    for eval in evals {
        let failures = eval["FailedTGAllocs"].as_object().is_some_and(|map| !map.is_empty());
        let blocked = text(eval, "Status") == "blocked";
        rows.push(vec![
            format::id(text(eval, "ID"), verbose),
            number(eval, "Priority").to_string(),
            text(eval, "TriggeredBy").to_owned(),
            text(eval, "Status").to_owned(),
            if blocked { "N/A - In Progress".to_owned() } else { failures.to_string() },
        ]);
    }
    table(&rows)
}

/// Why the last evaluation that failed to place something did, while a blocked one waits for it.
fn placement_failure(evals: &[Value]) -> Option<String> {
    let blocked = evals.iter().any(|eval| text(eval, "Status") == "blocked");
    let failed =
        |eval: &&Value| eval["FailedTGAllocs"].as_object().is_some_and(|map| !map.is_empty());
    let latest = evals
        .iter()
        .filter(failed)
        .filter(|eval| text(eval, "Status") == "complete")
        .max_by_key(|eval| number(eval, "CreateIndex"))
        .filter(|_| blocked)?;
    let groups = latest["FailedTGAllocs"].as_object()?;
    let text: Vec<String> = groups
        .iter()
        .map(|(group, metric)| {
            format!("Task Group \"{group}\":\n{}", monitor::metric(metric, "  "))
        })
        .collect();
    Some(text.join("\n"))
}

/// The table of allocations.
pub(in crate::cli) fn allocs_table(allocs: &[Value], verbose: bool) -> String {
    if allocs.is_empty() {
        return "No allocations placed".to_owned();
    }
    let now = clock::unix_nanos();
    let mut sorted: Vec<&Value> = allocs.iter().collect();
    sorted.sort_by_key(|alloc| std::cmp::Reverse(number(alloc, "CreateIndex")));
    let mut rows = if verbose {
        let header =
            ["ID", "Eval ID", "Node ID", "Node Name", "Task Group", "Version", "Desired", "Status"];
        let mut header = row(header);
        header.extend(row(["Created", "Modified"]));
        vec![header]
    } else {
        vec![row([
            "ID",
            "Node ID",
            "Task Group",
            "Version",
            "Desired",
            "Status",
            "Created",
            "Modified",
        ])]
    };
    for alloc in sorted {
        let mut cells = vec![format::id(text(alloc, "ID"), verbose)];
        if verbose {
            cells.push(text(alloc, "EvalID").to_owned());
        }
        cells.push(format::id(text(alloc, "NodeID"), verbose));
        if verbose {
            cells.push(text(alloc, "NodeName").to_owned());
        }
        cells.extend([
            text(alloc, "TaskGroup").to_owned(),
            number(alloc, "JobVersion").to_string(),
            text(alloc, "DesiredStatus").to_owned(),
            text(alloc, "ClientStatus").to_owned(),
            when(alloc, "CreateTime", now, verbose),
            when(alloc, "ModifyTime", now, verbose),
        ]);
        rows.push(cells);
    }
    table(&rows)
}

fn when(alloc: &Value, field: &str, now: i64, verbose: bool) -> String {
    let nanos = number(alloc, field);
    if verbose { format::time(nanos) } else { ago(nanos, now) }
}
