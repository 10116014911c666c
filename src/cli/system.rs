//! ◇ `system …`: gc.

use http::Method;

use super::connection::{Connection, failed};
use super::exit::Outcome;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Forget what has ended: jobs, evaluations, allocations, nodes
    Gc,
    /// Repair derived data
    #[command(subcommand)]
    Reconcile(Reconcile),
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Reconcile {
    /// Count allocations by state again
    Summaries,
}

pub(super) async fn run(command: Command, connection: &Connection) -> Outcome {
    let (path, what) = match command {
        Command::Gc => ("/v1/system/gc", "Error running system garbage-collection"),
        Command::Reconcile(Reconcile::Summaries) => {
            ("/v1/system/reconcile/summaries", "Error running system summary reconciliation")
        }
    };
    connection.client().send(Method::PUT, path, &[], None).await.map_err(failed(what))?;
    Ok(0)
}
