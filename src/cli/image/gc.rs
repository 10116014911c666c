//! ◇ `image gc`: remove every image that nothing uses.

use http::Method;
use serde_json::Value;

use super::failed;
use crate::cli::connection::Connection;
use crate::cli::exit::Outcome;
use crate::cli::format::{bytes, list, number};
use crate::cli::output;

pub(in crate::cli) async fn run(connection: &Connection) -> Outcome {
    let answer = connection.client().send(Method::PUT, "/v1/client/images/gc", &[], None).await;
    let answer: Value =
        answer.and_then(|answer| answer.json()).map_err(failed("Error removing unused images"))?;
    let images = list(&answer, "Images").len();
    let size = bytes(answer["Bytes"].as_u64().unwrap_or(0));
    output::line(format!(
        "Removed {images} image{} and {} layer{}: {size} freed",
        plural(images as u64),
        number(&answer, "Layers"),
        plural(answer["Layers"].as_u64().unwrap_or(0)),
    ));
    Ok(0)
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}
