//! ◇ `server …`: members.

mod members;

use super::connection::Connection;
use super::exit::Outcome;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show the servers
    Members(members::Args),
}

pub(super) async fn run(command: Command, connection: &Connection) -> Outcome {
    match command {
        Command::Members(args) => members::run(args, connection).await,
    }
}
