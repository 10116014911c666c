//! ◇ `alloc fs`: look at an allocation's files.

use serde_json::Value;

use super::named;
use crate::api::client::escape;
use crate::cli::connection::{Connection, failed};
use crate::cli::exit::Outcome;
use crate::cli::format::{self, is_true, text};
use crate::cli::output::{self, row, table};

/// Look at an allocation's files: list a directory or print a file
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag that Nomad has")]
pub(in crate::cli) struct Args {
    /// The allocation: its id or the beginning of it; with -job a job
    alloc: String,
    /// A path below the allocation's directory
    #[arg(default_value = "/")]
    path: String,
    /// Take any running allocation of a job
    #[arg(long)]
    job: bool,
    /// Only this group's allocations, with -job
    #[arg(long)]
    group: Option<String>,
    /// Sizes in bytes are shown for people anyway; for scripts that pass it
    #[arg(short = 'H')]
    human: bool,
    /// Show the file's size, mode and time instead of its content
    #[arg(long)]
    stat: bool,
    /// Go on as more is written
    #[arg(short)]
    follow: bool,
    /// Begin near the end
    #[arg(long)]
    tail: bool,
    /// With -tail, begin this many lines before the end
    #[arg(short = 'n', value_name = "LINES")]
    lines: Option<usize>,
    /// With -tail, begin this many bytes before the end
    #[arg(short = 'c', value_name = "BYTES")]
    bytes: Option<u64>,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let client = connection.client();
    let alloc = named(&client, &args.alloc, args.job, args.group.as_deref()).await?;
    let id = escape(text(&alloc, "ID"));
    let query = [("path", args.path.as_str())];
    let what = "Error reading file";
    let info: Value =
        client.get_json(&format!("/v1/client/fs/stat/{id}"), &query).await.map_err(failed(what))?;
    if args.stat {
        let mut rows = vec![row(["Mode", "Size", "Modified Time", "Content Type", "Name"])];
        let mut cells = cells(&info);
        cells.insert(3, text(&info, "ContentType").to_owned());
        rows.push(cells);
        output::line(table(&rows));
        return Ok(0);
    }
    if is_true(&info, "IsDir") {
        let found: Vec<Value> = client
            .get_json(&format!("/v1/client/fs/ls/{id}"), &query)
            .await
            .map_err(failed(what))?;
        let mut rows = vec![row(["Mode", "Size", "Modified Time", "Name"])];
        rows.extend(found.iter().map(cells));
        output::line(table(&rows));
        return Ok(0);
    }
    if args.follow || args.tail {
        let offset =
            args.bytes.unwrap_or_else(|| args.lines.unwrap_or(10) as u64 * 120).to_string();
        let follow = if args.follow { "true" } else { "false" };
        let query = [
            query[0],
            ("origin", "end"),
            ("offset", offset.as_str()),
            ("follow", follow),
            ("plain", "true"),
        ];
        let mut pieces = client
            .stream(&format!("/v1/client/fs/stream/{id}"), &query)
            .await
            .map_err(failed(what))?;
        let mut frames = crate::cli::frames::Frames::default();
        while let Some(piece) = pieces.next().await.map_err(failed(what))? {
            for data in frames.push(&piece) {
                output::raw(&data);
            }
        }
        return Ok(0);
    }
    let mut pieces =
        client.stream(&format!("/v1/client/fs/cat/{id}"), &query).await.map_err(failed(what))?;
    while let Some(piece) = pieces.next().await.map_err(failed(what))? {
        output::raw(&piece);
    }
    Ok(0)
}

fn cells(info: &Value) -> Vec<String> {
    let slash = if is_true(info, "IsDir") { "/" } else { "" };
    vec![
        text(info, "FileMode").to_owned(),
        format::bytes(info["Size"].as_u64().unwrap_or(0)),
        format::time_text(text(info, "ModTime")),
        format!("{}{slash}", text(info, "Name")),
    ]
}
