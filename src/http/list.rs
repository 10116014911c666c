//! ◆ Lists: filter, order, pages.

use serde_json::Value;

use super::error::HttpError;
use super::query::Query;
use crate::api::filter::{Filter, Shape};

/// A page of a list and where the next begins.
#[derive(Debug)]
pub(super) struct Page<N> {
    /// The rows.
    pub(super) rows: Vec<N>,
    /// The key of the first row that is not in it.
    pub(super) next: Option<String>,
}

/// Filters, turns around and cuts `rows`, which come in ascending order, each with its key.
/// Keys are what `next_token` names; they are compared as text. `whole` is what a filter sees of a row.
pub(super) fn page<N>(
    query: &Query,
    rows: Vec<(String, N)>,
    whole: impl Fn(&N) -> Value,
) -> Result<Page<N>, HttpError> {
    let mut rows = rows;
    if let Some(text) = query.given("filter") {
        rows = filtered(text, rows, whole)?;
    }
    // Nomad: a flag that cannot be read is as if it were not there.
    let reverse = query.flag("reverse", false).unwrap_or_default();
    if reverse {
        rows.reverse();
    }
    if let Some(token) = query.given("next_token") {
        // A page begins with the row that the token names, or where it would stand when that has gone.
        let from = rows.iter().position(|(key, _)| key == token).or_else(|| {
            rows.iter().position(|(key, _)| {
                if reverse { place(key) <= place(token) } else { place(key) >= place(token) }
            })
        });
        rows.drain(..from.unwrap_or(rows.len()));
    }
    let per_page = match query.number("per_page")? {
        Some(count @ 1..) => usize::try_from(count).unwrap_or(usize::MAX),
        Some(_) | None => usize::MAX,
    };
    let next = rows.get(per_page).map(|(key, _)| key.clone());
    rows.truncate(per_page);
    Ok(Page { rows: rows.into_iter().map(|(_, row)| row).collect(), next })
}

/// Where a key stands: those that begin with an index are ordered by it as a number.
fn place(key: &str) -> (u64, &str) {
    let numbered = key.split_once('.').and_then(|(index, id)| Some((index.parse().ok()?, id)));
    numbered.unwrap_or((0, key))
}

/// The rows that match a filter expression.
pub(super) fn filtered<N>(
    text: &str,
    rows: Vec<(String, N)>,
    whole: impl Fn(&N) -> Value,
) -> Result<Vec<(String, N)>, HttpError> {
    let filter = Filter::parse(text).map_err(|error| {
        HttpError::bad_request(format!(
            "failed to create result paginator: failed to read filter expression: {error}"
        ))
    })?;
    let mut kept = Vec::new();
    for (key, row) in rows {
        let matches = filter.matches(&whole(&row), &Shape::Noun).map_err(|error| {
            HttpError::bad_request(format!("failed to read result page: {error}"))
        })?;
        if matches {
            kept.push((key, row));
        }
    }
    Ok(kept)
}
