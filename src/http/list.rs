//! ◆ Lists: filter, order, pages.

use serde_json::Value;

use super::error::HttpError;
use super::query::Query;
use crate::api::filter::{Filter, Shape};

/// A page of a list and where the next begins.
#[derive(Debug)]
pub(super) struct Page {
    /// The rows.
    pub(super) rows: Vec<Value>,
    /// The key of the first row that is not in it.
    pub(super) next: Option<String>,
}

/// Filters, turns around and cuts `rows`, which come in ascending order, each with its key.
/// Keys are what `next_token` names; they are compared as text.
pub(super) fn page(query: &Query, rows: Vec<(String, Value)>) -> Result<Page, HttpError> {
    let mut rows = rows;
    if let Some(text) = query.given("filter") {
        rows = filtered(text, rows)?;
    }
    if query.flag("reverse", false)? {
        rows.reverse();
    }
    if let Some(token) = query.given("next_token") {
        // A page begins with the row that the token names, or where it would stand when that has gone.
        let reverse = query.flag("reverse", false)?;
        let from = rows.iter().position(|(key, _)| key == token).or_else(|| {
            rows.iter().position(|(key, _)| {
                if reverse { key.as_str() <= token } else { key.as_str() >= token }
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

fn filtered(text: &str, rows: Vec<(String, Value)>) -> Result<Vec<(String, Value)>, HttpError> {
    let refused = |reason: String| {
        HttpError::bad_request(format!("failed to read filter expression: {reason}"))
    };
    let filter = Filter::parse(text).map_err(|error| refused(error.to_string()))?;
    let mut kept = Vec::new();
    for (key, row) in rows {
        if filter.matches(&row, &Shape::Noun).map_err(|error| refused(error.to_string()))? {
            kept.push((key, row));
        }
    }
    Ok(kept)
}
