//! ◇ `image remove`: remove images, or names of them.

use http::Method;
use serde_json::Value;

use super::{failed, short};
use crate::api::client::{Client, ClientError};
use crate::cli::connection::Connection;
use crate::cli::exit::{Failure, Outcome};
use crate::cli::format::{self, list};
use crate::cli::output;

/// Remove images, or names of them
///
/// A name is taken away, and the image with its last name; an id, or the beginning of one, takes the image with
/// all its names. An image that an allocation uses stays.
///
///   stead image remove nginx:1.27
///
///   stead image remove 3f2a91c8d0aa
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct Args {
    /// Names or ids, as `image list` shows them
    #[arg(required = true)]
    images: Vec<String>,
    /// Of an image that was pulled for another platform
    #[arg(long)]
    platform: Option<String>,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let client = connection.client();
    let mut code = 0;
    let mut images = args.images.iter().peekable();
    while let Some(image) = images.next() {
        match remove(&client, image, args.platform.as_deref()).await {
            Ok(()) => {}
            // The last failure is told by the one who called; those before it are told here.
            Err(failure) if images.peek().is_none() => return Err(failure),
            Err(failure) => {
                output::note(failure.text);
                code = failure.code;
            }
        }
    }
    Ok(code)
}

async fn remove(client: &Client, image: &str, platform: Option<&str>) -> Result<(), Failure> {
    let mut query = vec![("image", image)];
    query.extend(platform.map(|platform| ("platform", platform)));
    let answer = client.send(Method::DELETE, "/v1/client/images", &query, None).await;
    let answer: Value = answer.and_then(|answer| answer.json()).map_err(|error| {
        let in_use = matches!(error, ClientError::Status { status: 409, .. });
        let failure = failed("Error removing image")(error);
        if in_use {
            failure.hint("an image stays as long as it is used: stop the job first")
        } else {
            failure
        }
    })?;
    match list(&answer, "Images").first().and_then(Value::as_str) {
        Some(id) => {
            let size = format::bytes(answer["Bytes"].as_u64().unwrap_or(0));
            output::line(format!("Removed {image} ({}): {size} freed", short(id)));
        }
        None => output::line(format!("Removed the name {image}; the image has others")),
    }
    Ok(())
}
