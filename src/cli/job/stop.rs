//! ◇ `job stop`: stop jobs and follow how they end.

use http::Method;
use serde_json::Value;

use crate::api::client::escape;
use crate::cli::connection::{Connection, failed};
use crate::cli::exit::Outcome;
use crate::cli::format::text;
use crate::cli::{monitor, output, resolve};

/// Stop jobs and follow how they end
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command")]
pub(in crate::cli) struct Args {
    /// The jobs: their IDs or the beginnings of them
    #[arg(required = true)]
    jobs: Vec<String>,
    /// Return at once and print the evaluations' ids
    #[arg(long)]
    detach: bool,
    /// Remove the job and its versions instead of keeping it stopped
    #[arg(long)]
    purge: bool,
    /// Stop it in all regions
    #[arg(long)]
    global: bool,
    /// Do not wait for shutdown delays
    #[arg(long)]
    no_shutdown_delay: bool,
    /// Priority of the evaluation, instead of the job's
    #[arg(long, value_name = "1-100")]
    eval_priority: Option<u64>,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
    /// Show whole ids
    #[arg(long)]
    verbose: bool,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let client = connection.client();
    let mut code = 0;
    for prefix in &args.jobs {
        let (namespace, id) = resolve::job(&client, prefix).await?;
        let priority = args.eval_priority.map(|p| p.to_string()).unwrap_or_default();
        let mut query = vec![("namespace", namespace.as_str())];
        for (key, on) in [
            ("purge", args.purge),
            ("global", args.global),
            ("no_shutdown_delay", args.no_shutdown_delay),
        ] {
            if on {
                query.push((key, "true"));
            }
        }
        if !priority.is_empty() {
            query.push(("eval_priority", &priority));
        }
        let what = "Error deregistering job";
        let path = format!("/v1/job/{}", escape(&id));
        let answer =
            client.send(Method::DELETE, &path, &query, None).await.map_err(failed(what))?;
        let answer: Value = answer.json().map_err(failed(what))?;
        let eval = text(&answer, "EvalID");
        if eval.is_empty() {
            continue;
        }
        if args.detach {
            output::line(eval);
        } else {
            code = code.max(monitor::evaluation(&client, eval, args.verbose).await?);
        }
    }
    Ok(code)
}
