//! A snapshot on its way: rows in parts of about a megabyte, so that neither side holds it twice.

use serde_json::value::RawValue;

use super::wire::{Part, PartEnd};
use crate::raft::error::RpcError;
use crate::raft::forms::{Ballot, SnapshotHead};
use crate::raft::types::{Snapshot, SnapshotMeta, Vote};
use crate::state::{RowKey, State, Table};

/// About how long a part is.
const PART_BYTES: usize = 1 << 20;

/// The parts of a snapshot, one after another.
pub(super) struct Parts<'a> {
    vote: Ballot,
    sending: u64,
    number: u32,
    taken: &'a Snapshot,
    keys: Box<dyn Iterator<Item = RowKey> + Send + 'a>,
}

impl<'a> Parts<'a> {
    pub(super) fn new(vote: Vote, sending: u64, taken: &'a Snapshot) -> Self {
        let keys = Box::new(taken.snapshot.row_keys());
        Self { vote: Ballot::from(&vote), sending, number: 0, taken, keys }
    }

    pub(super) fn next_part(&mut self) -> Result<Part, serde_json::Error> {
        let state = &self.taken.snapshot;
        let (mut rows, mut bytes, mut is_last) = (Vec::new(), 0, false);
        while bytes < PART_BYTES && !is_last {
            match self.keys.next() {
                None => is_last = true,
                Some(key) => {
                    let Some((text, _)) = state.row_text(&key) else { continue };
                    bytes += text.len();
                    let value = RawValue::from_string(text)?;
                    rows.push((key.table().name().to_owned(), key.text(), value));
                }
            }
        }
        let end = is_last.then(|| PartEnd {
            head: SnapshotHead::from(&self.taken.meta),
            index: state.index(),
            tables: Table::ALL
                .map(|table| (table.name().to_owned(), state.table_index(table)))
                .to_vec(),
        });
        let number = self.number;
        self.number = self.number.saturating_add(1);
        Ok(Part { vote: self.vote, sending: self.sending, number, rows, end })
    }
}

/// Parts that have come so far.
#[derive(Debug)]
pub(super) struct Incoming {
    sending: u64,
    next: u32,
    state: State,
}

/// Adds a part; gives the snapshot when it was the last.
pub(super) fn take(
    incoming: &mut Option<Incoming>,
    part: Part,
) -> Result<Option<(SnapshotMeta, State)>, RpcError> {
    if part.number == 0 {
        *incoming = Some(Incoming { sending: part.sending, next: 0, state: State::new() });
    }
    let Some(so_far) = incoming.as_mut().filter(|so_far| so_far.sending == part.sending) else {
        return Err(RpcError::SnapshotPart { found: part.number, wanted: 0 });
    };
    if part.number != so_far.next {
        return Err(RpcError::SnapshotPart { found: part.number, wanted: so_far.next });
    }
    so_far.next = so_far.next.saturating_add(1);
    for (table, key, value) in part.rows {
        // A newer server may have tables that this one does not know.
        let Some(table) = Table::named(&table) else { continue };
        so_far
            .state
            .restore_row(table, &key, value.get())
            .map_err(|source| RpcError::SnapshotRow { source })?;
    }
    let Some(end) = part.end else { return Ok(None) };
    let Some(mut done) = incoming.take() else { return Ok(None) };
    let tables = end.tables.iter().map(|(name, index)| (name.as_str(), *index));
    done.state.restore_indexes(end.index, tables);
    Ok(Some((end.head.into(), done.state)))
}
