//! ◇ `alloc logs`: show what tasks wrote.

use super::{named, task_of};
use crate::api::client::{Client, escape};
use crate::cli::connection::{Connection, failed};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::format::text;
use crate::cli::output;

/// Show what a task wrote to stdout and stderr
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag that Nomad has")]
pub(in crate::cli) struct Args {
    /// The allocation: its id or the beginning of it; with -job a job
    alloc: String,
    /// The task; may be left out when there is only one
    task: Option<String>,
    /// The task, as a flag
    #[arg(long = "task", value_name = "TASK")]
    task_flag: Option<String>,
    /// Only this group's allocations, with -job
    #[arg(long)]
    group: Option<String>,
    /// Take any running allocation of a job
    #[arg(long)]
    job: bool,
    /// Only stdout
    #[arg(long)]
    stdout: bool,
    /// Only stderr
    #[arg(long)]
    stderr: bool,
    /// Go on as more is written
    #[arg(short)]
    follow: bool,
    /// Begin near the end
    #[arg(long)]
    tail: bool,
    /// With -tail, begin this many lines before the end [default: 10]
    #[arg(short = 'n', value_name = "LINES")]
    lines: Option<usize>,
    /// With -tail, begin this many bytes before the end
    #[arg(short = 'c', value_name = "BYTES")]
    bytes: Option<u64>,
    /// Show whole ids
    #[arg(long)]
    verbose: bool,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let client = connection.client();
    let alloc = named(&client, &args.alloc, args.job, args.group.as_deref()).await?;
    let task = task_of(&alloc, args.task_flag.as_deref().or(args.task.as_deref()))?;
    let id = text(&alloc, "ID");
    let both = args.stdout == args.stderr;
    if both && args.follow {
        let out = show(&client, &args, id, &task, "stdout");
        let err = show(&client, &args, id, &task, "stderr");
        let (out, err) = futures::future::join(out, err).await;
        out?;
        err?;
        return Ok(0);
    }
    if both || args.stdout {
        show(&client, &args, id, &task, "stdout").await?;
    }
    if both || args.stderr {
        show(&client, &args, id, &task, "stderr").await?;
    }
    Ok(0)
}

async fn show(
    client: &Client,
    args: &Args,
    id: &str,
    task: &str,
    kind: &str,
) -> Result<(), Failure> {
    let path = format!("/v1/client/fs/logs/{}", escape(id));
    let tail = args.tail || args.lines.is_some() || args.bytes.is_some();
    // Lines are counted back through at most so many bytes each, as Nomad does it.
    let lines = args.lines.unwrap_or(10);
    let offset = args.bytes.unwrap_or(lines as u64 * 120).to_string();
    let mut query = vec![
        ("task", task),
        ("type", kind),
        ("plain", "true"),
        ("follow", if args.follow { "true" } else { "false" }),
    ];
    if tail {
        query.extend([("origin", "end"), ("offset", offset.as_str())]);
    }
    let what = "Error reading logs";
    let print = if kind == "stderr" { output::raw_error } else { output::raw };
    let mut pieces = client.stream(&path, &query).await.map_err(failed(what))?;
    if args.follow || !tail || args.bytes.is_some() {
        while let Some(piece) = pieces.next().await.map_err(failed(what))? {
            print(&piece);
        }
        return Ok(());
    }
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await.map_err(failed(what))? {
        all.extend_from_slice(&piece);
    }
    print(last_lines(&all, lines));
    Ok(())
}

fn last_lines(text: &[u8], lines: usize) -> &[u8] {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let breaks =
        body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    let start = breaks.take(lines).nth(lines.saturating_sub(1)).map_or(0, |at| at + 1);
    if lines == 0 { &[] } else { &text[start..] }
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        assert_eq!(last_lines(b"a\nb\nc\n", 2), b"b\nc\n");
        assert_eq!(last_lines(b"a\nb\nc", 1), b"c");
        assert_eq!(last_lines(b"a\n", 5), b"a\n");
        assert_eq!(last_lines(b"", 5), b"");
        assert_eq!(last_lines(b"a\nb", 0), b"");
    }
}
