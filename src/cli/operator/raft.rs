//! ◇ `operator raft …`: list-peers.

use serde_json::Value;

use crate::cli::connection::{Connection, failed};
use crate::cli::exit::Outcome;
use crate::cli::format::{is_true, list, text};
use crate::cli::output::{self, row, table};

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Show the servers that hold the log
    ListPeers {
        /// Also without a leader
        #[arg(long)]
        stale: bool,
    },
}

pub(in crate::cli) async fn run(command: Command, connection: &Connection) -> Outcome {
    let Command::ListPeers { stale } = command;
    let query: &[(&str, &str)] = if stale { &[("stale", "true")] } else { &[] };
    let answer: Value = connection
        .client()
        .get_json("/v1/operator/raft/configuration", query)
        .await
        .map_err(failed("Failed to retrieve raft configuration"))?;
    let mut rows = vec![row(["Node", "ID", "Address", "State", "Voter", "RaftProtocol"])];
    rows.extend(list(&answer, "Servers").iter().map(|server| {
        let state = if is_true(server, "Leader") { "leader" } else { "follower" };
        vec![
            text(server, "Node").to_owned(),
            text(server, "ID").to_owned(),
            text(server, "Address").to_owned(),
            state.to_owned(),
            is_true(server, "Voter").to_string(),
            text(server, "RaftProtocol").to_owned(),
        ]
    }));
    output::line(table(&rows));
    Ok(0)
}
