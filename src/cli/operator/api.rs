//! ◇ `operator api`: ask the agent's API as it is.

use std::io::Read as _;

use bytes::Bytes;
use http::Method;

use crate::cli::connection::{Connection, failed};
use crate::cli::exit::{Failure, Outcome};
use crate::cli::output;

/// Ask the agent's API as it is
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The path, such as /v1/jobs
    path: String,
    /// What is sent: text, @file, or - for standard input
    body: Option<String>,
    /// The method [default: GET, PUT with a body]
    #[arg(short = 'X', value_name = "METHOD")]
    method: Option<String>,
    /// Only what matches an expression
    #[arg(long)]
    filter: Option<String>,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let body = match args.body.as_deref() {
        None => None,
        Some("-") => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|error| Failure::of("read standard input", &error))?;
            Some(bytes)
        }
        Some(text) => match text.strip_prefix('@') {
            Some(file) => Some(
                std::fs::read(file)
                    .map_err(|error| Failure::of(&format!("read {file}"), &error))?,
            ),
            None => Some(text.as_bytes().to_vec()),
        },
    };
    let method = match (&args.method, &body) {
        (Some(method), _) => Method::from_bytes(method.to_uppercase().as_bytes())
            .map_err(|error| Failure::of(&format!("method {method}"), &error))?,
        (None, Some(_)) => Method::PUT,
        (None, None) => Method::GET,
    };
    let query: Vec<(&str, &str)> =
        args.filter.iter().map(|filter| ("filter", filter.as_str())).collect();
    let path = if args.path.starts_with('/') { args.path } else { format!("/v1/{}", args.path) };
    let answer = connection
        .client()
        .send(method, &path, &query, body.map(Bytes::from))
        .await
        .map_err(failed("Error performing request"))?;
    output::raw(&answer.body);
    Ok(0)
}
