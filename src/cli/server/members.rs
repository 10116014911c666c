//! ◇ `server members`: show the servers.

use serde_json::Value;

use crate::cli::connection::{Connection, failed};
use crate::cli::exit::Outcome;
use crate::cli::format::{self, list, number, text};
use crate::cli::output::{self, row, table};

/// Show the servers
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// With protocol and tags
    #[arg(long, alias = "detailed")]
    verbose: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let client = connection.client();
    let what = "Error querying servers";
    let answer: Value = client.get_json("/v1/agent/members", &[]).await.map_err(failed(what))?;
    if args.json {
        output::line(format::json(&answer["Members"]));
        return Ok(0);
    }
    let leader: String = client.get_json("/v1/status/leader", &[]).await.unwrap_or_default();
    let mut header = row(["Name", "Address", "Port", "Status", "Leader"]);
    if args.verbose {
        header.extend(row(["Protocol"]));
    }
    header.extend(row(["Raft Version", "Build", "Datacenter", "Region"]));
    if args.verbose {
        header.extend(row(["Tags"]));
    }
    let mut rows = vec![header];
    for member in list(&answer, "Members") {
        let tags = &member["Tags"];
        let rpc = format!("{}:{}", text(tags, "rpc_addr"), text(tags, "port"));
        let mut cells = vec![
            text(member, "Name").to_owned(),
            text(member, "Addr").to_owned(),
            number(member, "Port").to_string(),
            text(member, "Status").to_owned(),
            (rpc == leader).to_string(),
        ];
        if args.verbose {
            cells.push(number(member, "ProtocolCur").to_string());
        }
        for tag in ["raft_vsn", "build", "dc", "region"] {
            cells.push(text(tags, tag).to_owned());
        }
        if args.verbose {
            let tags = tags.as_object().into_iter().flatten();
            let tags: Vec<String> = tags
                .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
                .collect();
            cells.push(tags.join(","));
        }
        rows.push(cells);
    }
    output::line(table(&rows));
    Ok(0)
}
