//! ◇ `deployment …`: list, status, promote, pause, resume, fail.

pub(super) mod act;
pub(super) mod list;
pub(super) mod status;

use super::connection::Connection;
use super::exit::Outcome;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show deployments
    List(list::Args),
    /// Show a deployment
    Status(status::Args),
    /// Promote canaries
    Promote(act::PromoteArgs),
    /// Mark a deployment as failed
    Fail(act::Args),
    /// Pause a deployment
    Pause(act::Args),
    /// Resume a deployment
    Resume(act::Args),
}

pub(super) async fn run(command: Command, connection: &Connection) -> Outcome {
    match command {
        Command::List(args) => list::run(args, connection).await,
        Command::Status(args) => status::run(args, connection).await,
        Command::Promote(args) => act::promote(args, connection).await,
        Command::Fail(args) => act::fail(args, connection).await,
        Command::Pause(args) => act::pause(args, connection, true).await,
        Command::Resume(args) => act::pause(args, connection, false).await,
    }
}
