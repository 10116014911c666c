//! ◇ `image …`: pull, list, load, remove, gc. Stead's own: Nomad leaves images to a daemon.
//!
//! Each works on the node of the agent that is asked. Exit code 0 when it is done, 1 when not.

mod gc;
mod list;
mod load;
mod login;
mod progress;
mod pull;
mod remove;

use serde_json::Value;

use super::connection::{self, Connection};
use super::exit::{Failure, Outcome};
use super::format::{self, text};
use super::output;
use crate::api::client::{ClientError, Pieces};
use progress::Display;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Fetch an image from a registry, an oci: directory or an archive of the node
    Pull(pull::Args),
    /// Show the images of the node
    List(list::Args),
    /// Take images from an archive (docker save, OCI) or an OCI layout directory
    Load(load::Args),
    /// Remove images, or names of them
    Remove(remove::Args),
    /// Remove every image that nothing uses
    Gc,
}

pub(super) async fn run(command: Command, connection: &Connection) -> Outcome {
    match command {
        Command::Pull(args) => pull::run(args, connection).await,
        Command::List(args) => list::run(args, connection).await,
        Command::Load(args) => load::run(args, connection).await,
        Command::Remove(args) => remove::run(args, connection).await,
        Command::Gc => gc::run(connection).await,
    }
}

/// Says what was attempted; what the node answered is text for people already.
fn failed(what: &str) -> impl Fn(ClientError) -> Failure + '_ {
    move |error| match error {
        ClientError::Status { body, .. } if !body.is_empty() => {
            Failure::new(format!("{what}: {body}"))
        }
        error => connection::failed(what)(error),
    }
}

/// An id as people see it: twelve digits.
fn short(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.get(..12).unwrap_or(hex)
}

/// Shows how far a pull is until it is done, and returns what is then in the store.
async fn follow(
    mut pieces: Pieces,
    what: &str,
    display: &mut Display,
) -> Result<Vec<Value>, Failure> {
    let mut rest = Vec::new();
    while let Some(piece) = pieces.next().await.map_err(failed(what))? {
        rest.extend_from_slice(&piece);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let Ok(event) = serde_json::from_slice::<Value>(&line) else {
                return Err(Failure::new(format!("{what}: the agent's answer cannot be read")));
            };
            if let Some(error) = event["Error"].as_str() {
                display.end();
                return Err(Failure::new(format!("{what}: {error}")));
            }
            if let Some(images) = event["Images"].as_array() {
                display.end();
                return Ok(images.clone());
            }
            display.show(&event);
        }
    }
    display.end();
    Err(Failure::new(format!("{what}: the agent went away before it was done")))
}

/// Tells which images have come; only their ids when `quiet`.
fn tell(images: &[Value], quiet: bool) {
    for image in images {
        let id = text(image, "ID");
        if quiet {
            output::line(id);
            continue;
        }
        let names = format::list(image, "References");
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        let named = if names.is_empty() { "without a name".to_owned() } else { names.join(", ") };
        let layers = format::number(image, "Layers");
        let layers = if layers == 1 { "1 layer".to_owned() } else { format!("{layers} layers") };
        let size = format::bytes(image["Size"].as_u64().unwrap_or(0));
        output::line(format!("{}  {named}  ({size} in {layers})", short(id)));
    }
}
