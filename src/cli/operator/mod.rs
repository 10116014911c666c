//! ◇ `operator …`: raft, api.

mod api;
mod raft;

use super::connection::Connection;
use super::exit::Outcome;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Ask the agent's API as it is
    Api(api::Args),
    /// Look after the replicated log
    #[command(subcommand)]
    Raft(raft::Command),
}

pub(super) async fn run(command: Command, connection: &Connection) -> Outcome {
    match command {
        Command::Api(args) => api::run(args, connection).await,
        Command::Raft(command) => raft::run(command, connection).await,
    }
}
