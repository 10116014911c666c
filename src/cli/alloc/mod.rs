//! ◇ `alloc …`: status, logs, exec, fs, signal, restart, stop.

mod act;
pub(super) mod exec;
pub(super) mod fs;
pub(super) mod logs;
mod session;
pub(super) mod status;

use serde_json::Value;

use super::connection::Connection;
use super::exit::{Failure, Outcome};
use super::format::{list, text};
use super::{connection, resolve};
use crate::api::client::{Client, escape};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show an allocation
    Status(status::Args),
    /// Show what tasks wrote to stdout and stderr
    Logs(logs::Args),
    /// Run a command in a task
    Exec(exec::Args),
    /// Look at an allocation's files
    Fs(fs::Args),
    /// Send a signal to tasks
    Signal(act::SignalArgs),
    /// Start tasks again where they are
    Restart(act::RestartArgs),
    /// Stop an allocation; another is placed if its job wants one
    Stop(act::StopArgs),
}

pub(super) async fn run(command: Command, connection: &Connection) -> Outcome {
    match command {
        Command::Status(args) => status::run(args, connection).await,
        Command::Logs(args) => logs::run(args, connection).await,
        Command::Exec(args) => exec::run(args, connection).await,
        Command::Fs(args) => fs::run(args, connection).await,
        Command::Signal(args) => act::signal(args, connection).await,
        Command::Restart(args) => act::restart(args, connection).await,
        Command::Stop(args) => act::stop(args, connection).await,
    }
}

/// The allocation that was named: by its id, or with `is_job` any running one of that job (and group).
async fn named(
    client: &Client,
    name: &str,
    is_job: bool,
    group: Option<&str>,
) -> Result<Value, Failure> {
    if !is_job {
        return resolve::alloc(client, name).await;
    }
    let (namespace, id) = resolve::job(client, name).await?;
    let path = format!("/v1/job/{}/allocations", escape(&id));
    let what = "Error fetching allocations";
    let allocs: Vec<Value> = client
        .get_json(&path, &[("namespace", &namespace)])
        .await
        .map_err(connection::failed(what))?;
    let running = |alloc: &&Value| text(alloc, "ClientStatus") == "running";
    let of_group = |alloc: &&Value| group.is_none_or(|group| text(alloc, "TaskGroup") == group);
    let newest = allocs
        .iter()
        .filter(of_group)
        .filter(running)
        .max_by_key(|a| super::format::number(a, "CreateIndex"));
    let newest = newest.ok_or_else(|| {
        let group = group.map(|group| format!(" in group \"{group}\"")).unwrap_or_default();
        Failure::new(format!("No running allocations found for job \"{id}\"{group}"))
    })?;
    resolve::alloc(client, text(newest, "ID")).await
}

/// The task that was named, or the only one there is.
fn task_of(alloc: &Value, name: Option<&str>) -> Result<String, Failure> {
    let group = list(&alloc["Job"], "TaskGroups")
        .iter()
        .find(|g| text(g, "Name") == text(alloc, "TaskGroup"));
    let tasks: Vec<&str> = group
        .map(|group| list(group, "Tasks").iter().map(|task| text(task, "Name")).collect())
        .unwrap_or_default();
    match name {
        Some(name) if tasks.contains(&name) => Ok(name.to_owned()),
        Some(name) => Err(Failure::new(format!(
            "Could not find task named: {name}, found:\n{}",
            tasks.join("\n")
        ))),
        None if tasks.len() == 1 => Ok(tasks[0].to_owned()),
        None => Err(Failure::new(format!(
            "Allocation \"{}\" is running the following tasks:\n{}\n\nPlease specify the task.",
            super::format::id(text(alloc, "ID"), false),
            tasks.iter().map(|task| format!("  * {task}")).collect::<Vec<_>>().join("\n")
        ))),
    }
}
