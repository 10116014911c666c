//! ◇ `image list`: show the images of the node.

use serde_json::Value;

use super::{failed, short};
use crate::cli::connection::Connection;
use crate::cli::exit::Outcome;
use crate::cli::format::{self, is_true, list, number, or_none, text};
use crate::cli::output::{self, row, table};

/// Show the images of the node
///
/// Sizes are those on the disk; layers that several images share are counted in each.
///
///   stead image list
///
///   stead image list -json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct Args {
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    /// Show whole ids
    #[arg(long)]
    verbose: bool,
}

pub(in crate::cli) async fn run(args: Args, connection: &Connection) -> Outcome {
    let answer: Value = connection
        .client()
        .get_json("/v1/client/images", &[])
        .await
        .map_err(failed("Error listing images"))?;
    if args.json {
        output::line(format::json(&answer));
        return Ok(0);
    }
    let images = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if images.is_empty() {
        output::line("No images");
        return Ok(0);
    }
    let mut rows: Vec<Vec<String>> =
        images.iter().flat_map(|image| rows(image, args.verbose)).collect();
    rows.sort();
    rows.insert(0, row(["Reference", "ID", "Size", "Layers", "Used By"]));
    output::line(table(&rows));
    Ok(0)
}

/// A row for each name.
fn rows(image: &Value, verbose: bool) -> Vec<Vec<String>> {
    let id = text(image, "ID");
    let id = if verbose { id } else { short(id) };
    let mut users: Vec<String> = list(image, "Users")
        .iter()
        .map(|user| format::id(text(user, "AllocID"), verbose))
        .collect();
    users.dedup();
    let users = match users.as_slice() {
        [] if is_true(image, "InUse") => "a pull".to_owned(),
        [] => "-".to_owned(),
        users => users.join(", "),
    };
    let names: Vec<&str> = list(image, "References").iter().filter_map(Value::as_str).collect();
    let names = if names.is_empty() { vec![""] } else { names };
    let row = |name: &str| {
        vec![
            or_none(name),
            id.to_owned(),
            format::bytes(image["Size"].as_u64().unwrap_or(0)),
            number(image, "Layers").to_string(),
            users.clone(),
        ]
    };
    names.into_iter().map(row).collect()
}
