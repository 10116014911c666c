//! ◇ Reading the state: at once, or when it has changed (`index` and `wait`).

use serde_json::Value;

use super::answer::{self, Answer};
use super::context::Context;
use super::list;
use super::query::Query;
use crate::model::Index;
use crate::state::State;
use crate::state::Topic;

/// A list: rows in ascending order, each with its key, and the index a client may wait from.
pub(super) async fn rows(
    cx: &Context,
    query: &Query,
    topics: &[Topic],
    read: impl FnMut(&State) -> (Index, Vec<(String, Value)>),
) -> Answer {
    nouns(cx, query, topics, read, (Value::clone, |_: &State, row| row)).await
}

/// A list of nouns, of which only those of the page are shown. A filter sees what `whole` makes of them.
pub(super) async fn nouns<N>(
    cx: &Context,
    query: &Query,
    topics: &[Topic],
    mut read: impl FnMut(&State) -> (Index, Vec<(String, N)>),
    (whole, shown): (impl Fn(&N) -> Value, impl Fn(&State, N) -> Value),
) -> Answer {
    query.check()?;
    let (after, wait) = query.wait()?;
    let (state, index, rows) = cx.watch()?.block(topics, after, wait, |state| read(state)).await;
    let page = list::page(query, rows, whole)?;
    let rows: Vec<Value> = page.rows.into_iter().map(|noun| shown(&state, noun)).collect();
    let response = answer::indexed(query, index.max(1), &rows);
    answer::with_next_token(response, page.next.as_deref())
}

/// One thing; `missing` is what Nomad says when there is none.
pub(super) async fn object(
    cx: &Context,
    query: &Query,
    topics: &[Topic],
    missing: &str,
    mut read: impl FnMut(&State) -> (Index, Option<Value>),
) -> Answer {
    query.check()?;
    let (after, wait) = query.wait()?;
    let (_, index, found) = cx.watch()?.block(topics, after, wait, |state| read(state)).await;
    match found {
        Some(value) => answer::indexed(query, index.max(1), &value),
        None => Ok(answer::missing(index, missing)),
    }
}

/// A value that is always there, perhaps null.
pub(super) async fn value(
    cx: &Context,
    query: &Query,
    topics: &[Topic],
    mut read: impl FnMut(&State) -> (Index, Value),
) -> Answer {
    query.check()?;
    let (after, wait) = query.wait()?;
    let (_, index, found) = cx.watch()?.block(topics, after, wait, |state| read(state)).await;
    answer::indexed(query, index.max(1), &found)
}
