//! ◇ `deployment promote|fail|pause|resume`.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::status;
use crate::api::client::escape;
use crate::cli::connection::{Connection, failed};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::format::{self, text};
use crate::cli::{monitor, output, resolve};

/// A deployment
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The deployment: its id or the beginning of it
    deployment: String,
    /// Return at once
    #[arg(long)]
    detach: bool,
    /// Show whole ids
    #[arg(long)]
    verbose: bool,
}

/// Promote canaries
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PromoteArgs {
    #[command(flatten)]
    common: Args,
    /// Only this group's; may be given several times
    #[arg(long)]
    group: Vec<String>,
}

pub(in crate::cli) async fn promote(args: PromoteArgs, connection: &Connection) -> Outcome {
    let client = connection.client();
    let found = resolve::deployment(&client, &args.common.deployment).await?;
    if status::canaries(&found) == 0 {
        return Err(Failure::new("Error promoting deployment: no canaries to promote"));
    }
    let id = text(&found, "ID");
    let body = if args.group.is_empty() {
        json!({ "DeploymentID": id, "All": true })
    } else {
        json!({ "DeploymentID": id, "Groups": args.group })
    };
    act(&args.common, connection, "promote", id, body).await
}

pub(in crate::cli) async fn fail(args: Args, connection: &Connection) -> Outcome {
    let found = resolve::deployment(&connection.client(), &args.deployment).await?;
    let id = text(&found, "ID");
    act(&args, connection, "fail", id, json!({ "DeploymentID": id })).await
}

pub(in crate::cli) async fn pause(args: Args, connection: &Connection, pause: bool) -> Outcome {
    let found = resolve::deployment(&connection.client(), &args.deployment).await?;
    let id = text(&found, "ID");
    act(&args, connection, "pause", id, json!({ "DeploymentID": id, "Pause": pause })).await
}

async fn act(args: &Args, connection: &Connection, verb: &str, id: &str, body: Value) -> Outcome {
    let client = connection.client();
    let what = match verb {
        "promote" => "Error promoting deployment",
        "fail" => "Error failing deployment",
        _ => "Error pausing or resuming deployment",
    };
    let path = format!("/v1/deployment/{verb}/{}", escape(id));
    let answer = client
        .send(Method::PUT, &path, &[], Some(Bytes::from(body.to_string())))
        .await
        .map_err(failed(what))?;
    let answer: Value = answer.json().map_err(failed(what))?;
    let eval = text(&answer, "EvalID");
    if eval.is_empty() {
        output::line(format!("Deployment \"{}\": done", format::id(id, args.verbose)));
        return Ok(0);
    }
    if args.detach {
        output::line(format!("Evaluation ID: {eval}"));
        return Ok(0);
    }
    monitor::evaluation(&client, eval, args.verbose).await
}
