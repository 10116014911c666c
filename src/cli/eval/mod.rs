//! ◇ `eval …`: list, status.

mod list;
pub(super) mod status;

use super::connection::Connection;
use super::exit::Outcome;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show evaluations
    List(list::Args),
    /// Show an evaluation
    Status(status::Args),
}

pub(super) async fn run(command: Command, connection: &Connection) -> Outcome {
    match command {
        Command::List(args) => list::run(args, connection).await,
        Command::Status(args) => status::run(args, connection).await,
    }
}
