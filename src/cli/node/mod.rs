//! ◇ `node …`: status, eligibility, drain.

mod act;
pub(super) mod status;

use super::connection::Connection;
use super::exit::Outcome;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show nodes, or one in detail
    Status(status::Args),
    /// Allow or forbid new allocations on a node
    Eligibility(act::EligibilityArgs),
    /// Move allocations off a node, or stop moving them
    Drain(act::DrainArgs),
}

pub(super) async fn run(command: Command, connection: &Connection) -> Outcome {
    match command {
        Command::Status(args) => status::run(args, connection).await,
        Command::Eligibility(args) => act::eligibility(args, connection).await,
        Command::Drain(args) => act::drain(args, connection).await,
    }
}
