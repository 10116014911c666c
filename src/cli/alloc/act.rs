//! ◇ `alloc signal|restart|stop`.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::task_of;
use crate::api::client::escape;
use crate::cli::connection::{Connection, failed};
use crate::cli::exit::Outcome;
use crate::cli::format::text;
use crate::cli::{monitor, output, resolve};

/// Send a signal to a task, or to all of an allocation
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SignalArgs {
    /// The allocation: its id or the beginning of it
    alloc: String,
    /// The task; all when it is left out
    task: Option<String>,
    /// The task, as a flag
    #[arg(long = "task", value_name = "TASK")]
    task_flag: Option<String>,
    /// The signal
    #[arg(short, default_value = "SIGKILL")]
    signal: String,
}

pub(in crate::cli) async fn signal(args: SignalArgs, connection: &Connection) -> Outcome {
    let client = connection.client();
    let alloc = resolve::alloc(&client, &args.alloc).await?;
    let task = match args.task_flag.as_deref().or(args.task.as_deref()) {
        Some(name) => task_of(&alloc, Some(name))?,
        None => String::new(),
    };
    let path = format!("/v1/client/allocation/{}/signal", escape(text(&alloc, "ID")));
    let body = json!({ "Task": task, "Signal": args.signal });
    let answer = client.send(Method::PUT, &path, &[], Some(Bytes::from(body.to_string()))).await;
    answer.map_err(failed("Error signalling allocation"))?;
    Ok(0)
}

/// Start tasks again where they are
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RestartArgs {
    /// The allocation: its id or the beginning of it
    alloc: String,
    /// The task; all that run when it is left out
    task: Option<String>,
    /// The task, as a flag
    #[arg(long = "task", value_name = "TASK")]
    task_flag: Option<String>,
    /// Also tasks that have ended
    #[arg(long)]
    all_tasks: bool,
}

pub(in crate::cli) async fn restart(args: RestartArgs, connection: &Connection) -> Outcome {
    let client = connection.client();
    let alloc = resolve::alloc(&client, &args.alloc).await?;
    let task = match args.task_flag.as_deref().or(args.task.as_deref()) {
        Some(name) => task_of(&alloc, Some(name))?,
        None => String::new(),
    };
    let path = format!("/v1/client/allocation/{}/restart", escape(text(&alloc, "ID")));
    let body = json!({ "TaskName": task, "AllTasks": args.all_tasks });
    let answer = client.send(Method::PUT, &path, &[], Some(Bytes::from(body.to_string()))).await;
    answer.map_err(failed("Failed to restart allocation"))?;
    Ok(0)
}

/// Stop an allocation; another is placed if its job wants one
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command")]
pub(in crate::cli) struct StopArgs {
    /// The allocation: its id or the beginning of it
    alloc: String,
    /// Return at once and print the evaluation's id
    #[arg(long)]
    detach: bool,
    /// Do not wait for shutdown delays
    #[arg(long)]
    no_shutdown_delay: bool,
    /// Show whole ids
    #[arg(long)]
    verbose: bool,
}

pub(in crate::cli) async fn stop(args: StopArgs, connection: &Connection) -> Outcome {
    let client = connection.client();
    let alloc = resolve::alloc(&client, &args.alloc).await?;
    let path = format!("/v1/allocation/{}/stop", escape(text(&alloc, "ID")));
    let query: &[(&str, &str)] =
        if args.no_shutdown_delay { &[("no_shutdown_delay", "true")] } else { &[] };
    let what = "Error stopping allocation";
    let answer = client.send(Method::PUT, &path, query, None).await.map_err(failed(what))?;
    let answer: Value = answer.json().map_err(failed(what))?;
    let eval = text(&answer, "EvalID");
    if args.detach {
        output::line(eval);
        return Ok(0);
    }
    monitor::evaluation(&client, eval, args.verbose).await
}
