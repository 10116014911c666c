//! ◇ `alloc exec`: run a command in a task.

use super::{named, session, task_of};
use crate::api::client::escape;
use crate::cli::connection::{Connection, failed};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::format::text;

/// Run a command in a task
///
/// Ends with the command's exit code. With a terminal, `~.` at the beginning of a line ends the session.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The allocation: its id or the beginning of it; with -job a job
    alloc: String,
    /// The task; may be left out when there is only one
    #[arg(long)]
    task: Option<String>,
    /// Take any running allocation of a job
    #[arg(long)]
    job: bool,
    /// Only this group's allocations, with -job
    #[arg(long)]
    group: Option<String>,
    /// Pass stdin to the command [default: true]
    #[arg(short, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    interactive: Option<bool>,
    /// Give the command a terminal [default: when stdin and stdout are one]
    #[arg(short, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    tty: Option<bool>,
    /// The character that begins an escape; empty for none
    #[arg(short = 'e', default_value = "~")]
    escape: String,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    use std::io::IsTerminal as _;
    let client = connection.client();
    let alloc = named(&client, &args.alloc, args.job, args.group.as_deref()).await?;
    let task = task_of(&alloc, args.task.as_deref())?;
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let interactive = args.interactive.unwrap_or(true);
    let tty = args.tty.unwrap_or(terminal && interactive);
    if tty && !interactive {
        return Err(Failure::new("-i must be enabled if running with tty"));
    }
    let command = serde_json::to_string(&args.command)
        .map_err(|error| Failure::of("failed to exec into task", &error))?;
    let path = format!("/v1/client/allocation/{}/exec", escape(text(&alloc, "ID")));
    let query = [
        ("task", task.as_str()),
        ("tty", if tty { "true" } else { "false" }),
        ("command", command.as_str()),
    ];
    let socket =
        client.websocket(&path, &query).await.map_err(failed("failed to exec into task"))?;
    let escape = args.escape.bytes().next();
    session::run(socket, session::Options { stdin: interactive, tty, escape }).await
}
