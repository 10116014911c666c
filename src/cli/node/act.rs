//! ◇ `node eligibility|drain`.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::api::client::{Client, escape};
use crate::cli::connection::{Connection, failed};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::format::text;
use crate::cli::{output, resolve};

/// Which node
#[derive(Debug, clap::Args)]
struct Target {
    /// The node: its id or the beginning of it
    node: Option<String>,
    /// The node of the agent that is asked
    #[arg(long = "self")]
    own: bool,
}

impl Target {
    async fn find(&self, client: &Client) -> Result<Value, Failure> {
        match (&self.node, self.own) {
            (Some(prefix), false) => resolve::node(client, prefix).await,
            (None, true) => super::status::own_node(client).await,
            _ => Err(Failure::new("Node ID must be specified if -self isn't being used")),
        }
    }
}

/// Allow or forbid new allocations on a node
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EligibilityArgs {
    #[command(flatten)]
    target: Target,
    /// Allow
    #[arg(long)]
    enable: bool,
    /// Forbid
    #[arg(long)]
    disable: bool,
}

pub(in crate::cli) async fn eligibility(args: EligibilityArgs, connection: &Connection) -> Outcome {
    if args.enable == args.disable {
        return Err(Failure::new("Either the '-enable' or '-disable' flag must be set"));
    }
    let client = connection.client();
    let node = args.target.find(&client).await?;
    let id = text(&node, "ID");
    let eligibility = if args.enable { "eligible" } else { "ineligible" };
    let path = format!("/v1/node/{}/eligibility", escape(id));
    let body = json!({ "NodeID": id, "Eligibility": eligibility }).to_string();
    let answer = client.send(Method::PUT, &path, &[], Some(Bytes::from(body))).await;
    answer.map_err(failed("Error updating scheduling eligibility"))?;
    let what = if args.enable { "eligible" } else { "ineligible" };
    output::line(format!("Node \"{id}\" scheduling eligibility set: {what} for scheduling"));
    Ok(0)
}

/// Move allocations off a node, or stop moving them
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag that Nomad has")]
pub(in crate::cli) struct DrainArgs {
    #[command(flatten)]
    target: Target,
    /// Begin
    #[arg(long)]
    enable: bool,
    /// Stop
    #[arg(long)]
    disable: bool,
    /// How long it may take, in seconds with a unit: 1h, 30m [default: 1h]
    #[arg(long)]
    deadline: Option<String>,
    /// It may take for ever
    #[arg(long)]
    no_deadline: bool,
    /// At once
    #[arg(long)]
    force: bool,
    /// Leave system jobs
    #[arg(long)]
    ignore_system: bool,
    /// Leave the node ineligible when the drain is stopped
    #[arg(long)]
    keep_ineligible: bool,
    /// Return at once (as without it; for scripts that pass it)
    #[arg(long)]
    detach: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
    /// Why
    #[arg(short = 'm', value_name = "MESSAGE")]
    message: Option<String>,
}

pub(in crate::cli) async fn drain(args: DrainArgs, connection: &Connection) -> Outcome {
    if args.enable == args.disable {
        return Err(Failure::new(
            "Either the '-enable' or '-disable' flag must be set, unless using '-monitor'",
        ));
    }
    let client = connection.client();
    let node = args.target.find(&client).await?;
    let id = text(&node, "ID");
    let spec = if args.disable { Value::Null } else { spec(&args)? };
    let meta = args.message.as_ref().map(|message| json!({ "message": message }));
    let body = json!({
        "NodeID": id,
        "DrainSpec": spec,
        "MarkEligible": args.disable && !args.keep_ineligible,
        "Meta": meta,
    });
    let path = format!("/v1/node/{}/drain", escape(id));
    let answer = client.send(Method::PUT, &path, &[], Some(Bytes::from(body.to_string()))).await;
    answer.map_err(failed("Error updating drain specification"))?;
    let what = if args.enable { "drain strategy set" } else { "drain strategy unset" };
    output::line(format!("Node \"{id}\" {what}"));
    Ok(0)
}

fn spec(args: &DrainArgs) -> Result<Value, Failure> {
    let deadline = match (args.force, args.no_deadline, &args.deadline) {
        (true, _, _) => -1,
        (false, true, _) => 0,
        (false, false, None) => 3_600_000_000_000,
        (false, false, Some(text)) => {
            crate::api::duration::parse(text)
                .map_err(|error| Failure::of(&format!("Failed to parse deadline {text}"), &error))?
                .0
        }
    };
    Ok(json!({ "Deadline": deadline, "IgnoreSystemJobs": args.ignore_system }))
}
