//! The log: its newest part in memory, all of it in `raft.db`.
//!
//! An entry is in memory from the moment it is appended, so replication and the state machine never wait for
//! the disk; that it is safe is told by its callback. Nothing is taken out of memory before it is written.

mod checkpoint;
mod file;
mod writer;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};

use super::forms::entry_text;
use super::types::{Batch, Entry, LogId, Types, Vote};
pub use file::LogError;
use file::{LogFile, Row};
use writer::{Request, Writer};

/// How many written entries are kept in memory for followers and the state machine …
const KEPT_ENTRIES: usize = 1024;
/// … unless they are longer than this together.
const KEPT_BYTES: usize = 2 << 20;

/// The log of one server. Clones are the same log.
#[derive(Debug, Clone)]
pub(super) struct LogStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What is known of the log without asking the disk. Held for moments only.
    view: Mutex<View>,
    /// None in memory only.
    disk: Option<OnDisk>,
    node: u64,
}

#[derive(Debug)]
struct OnDisk {
    writer: Writer,
    /// For entries that have left memory.
    reader: Mutex<LogFile>,
}

/// The log as it will be when all that was asked for is written.
#[derive(Debug, Default)]
struct View {
    entries: BTreeMap<u64, Entry>,
    bytes: usize,
    last: Option<LogId>,
    purged: Option<LogId>,
    vote: Option<Vote>,
    committed: Option<LogId>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change of what is behind these locks is whole before anything in it can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LogStore {
    /// A log that is kept nowhere, of a server with a fresh identity.
    pub(super) fn in_memory() -> Self {
        let node = crate::sys::ids::random_u64();
        Self { shared: Arc::new(Shared { view: Mutex::default(), disk: None, node }) }
    }

    /// Opens or makes the log in `path`.
    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        let (file, head) = LogFile::open(path)?;
        let reader = LogFile::reader(path)?;
        let checkpoints = LogFile::reader(path)?;
        let view = View {
            last: head.last.or(head.purged),
            purged: head.purged,
            vote: head.vote,
            committed: head.committed,
            ..View::default()
        };
        let writer = Writer::start(file, checkpoints, head.trash)?;
        let disk = Some(OnDisk { writer, reader: Mutex::new(reader) });
        let shared = Shared { view: Mutex::new(view), disk, node: head.node };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The identity of the server whose log it is.
    pub(super) fn node(&self) -> u64 {
        self.shared.node
    }

    /// Whether commands need a text.
    pub(super) fn is_on_disk(&self) -> bool {
        self.shared.disk.is_some()
    }

    /// Writes what is left to write and closes the file.
    pub(super) async fn close(&self) {
        if let Some(disk) = &self.shared.disk {
            let committed = lock(&self.shared.view).committed;
            disk.writer.push(Request::Committed(committed));
            disk.writer.close().await;
        }
    }

    /// How many transactions and entries were written since the start: for benchmarks.
    pub(super) fn written(&self) -> (u64, u64) {
        self.shared.disk.as_ref().map(|disk| disk.writer.written()).unwrap_or_default()
    }

    /// Waits for `request` to be safe. In memory all is as safe as it gets.
    async fn done(
        &self,
        request: impl FnOnce(tokio::sync::oneshot::Sender<io::Result<()>>) -> Request,
    ) -> io::Result<()> {
        let Some(disk) = &self.shared.disk else { return Ok(()) };
        let (sender, receiver) = tokio::sync::oneshot::channel();
        disk.writer.push(request(sender));
        receiver.await.map_err(|_| io::Error::other("the writer of raft.db has stopped"))?
    }

    fn read(&self, from: u64, to: u64) -> io::Result<Vec<Entry>> {
        if from >= to {
            return Ok(Vec::new());
        }
        let (in_memory, first) = {
            let view = lock(&self.shared.view);
            let found: Vec<Entry> = view.entries.range(from..to).map(|(_, e)| e.clone()).collect();
            (found, view.entries.keys().next().copied().unwrap_or(u64::MAX))
        };
        let Some(disk) = self.shared.disk.as_ref().filter(|_| from < first) else {
            return Ok(in_memory);
        };
        let mut found =
            lock(&disk.reader).entries(from, to.min(first)).map_err(io::Error::other)?;
        found.extend(in_memory);
        Ok(found)
    }
}

impl View {
    fn push(&mut self, entry: Entry) {
        self.bytes += length(&entry);
        self.last = Some(entry.log_id);
        if let Some(old) = self.entries.insert(entry.log_id.index, entry) {
            self.bytes -= length(&old);
        }
    }

    /// Forgets the oldest of those that are written.
    fn trim(&mut self, written: u64) {
        while self.entries.len() > KEPT_ENTRIES || self.bytes > KEPT_BYTES {
            let Some(first) = self.entries.first_entry().filter(|e| *e.key() <= written) else {
                return;
            };
            self.bytes -= length(&first.remove());
        }
    }

    fn keep(&mut self, kept: impl RangeBounds<u64>) {
        self.entries.retain(|index, _| kept.contains(index));
        self.bytes = self.entries.values().map(length).sum();
    }
}

/// About what an entry takes in memory.
fn length(entry: &Entry) -> usize {
    match &entry.payload {
        openraft::EntryPayload::Normal(batch) => 2 * batch.text().len() + 256,
        openraft::EntryPayload::Blank | openraft::EntryPayload::Membership(_) => 256,
    }
}

fn row_of(entry: &Entry) -> Row {
    let (kind, text) = match &entry.payload {
        // The text is shared, not copied: it may be long.
        openraft::EntryPayload::Normal(batch) => {
            (super::forms::EntryKind::Commands, Text::Batch(batch.clone()))
        }
        openraft::EntryPayload::Blank | openraft::EntryPayload::Membership(_) => {
            let (kind, text) = entry_text(entry);
            (kind, Text::Own(text))
        }
    };
    Row { position: entry.log_id.into(), kind, text }
}

/// The text of an entry.
#[derive(Debug)]
enum Text {
    Batch(Batch),
    Own(String),
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            Self::Batch(batch) => batch.text(),
            Self::Own(text) => text,
        }
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(index) => index.saturating_add(1),
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        self.read(from, to)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(lock(&self.shared.view).vote)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let view = lock(&self.shared.view);
        Ok(LogState { last_purged_log_id: view.purged, last_log_id: view.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let ballot = vote.into();
        self.done(|done| Request::Vote(ballot, done)).await?;
        // Readers learn of it only once it is safe.
        lock(&self.shared.view).vote = Some(*vote);
        Ok(())
    }

    /// Remembered, and written when the log is closed or grown by much: replay after a crash begins a little
    /// earlier, and costs no sync at each commit.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        lock(&self.shared.view).committed = committed;
        if let Some(disk) = &self.shared.disk {
            disk.writer.note_committed(committed);
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(lock(&self.shared.view).committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let Some(disk) = &self.shared.disk else {
            let mut view = lock(&self.shared.view);
            entries.into_iter().for_each(|entry| view.push(entry));
            drop(view);
            callback.io_completed(Ok(()));
            return Ok(());
        };
        let mut rows = Vec::new();
        {
            let mut view = lock(&self.shared.view);
            for entry in entries {
                rows.push(row_of(&entry));
                view.push(entry);
            }
            view.trim(disk.writer.last_written());
        }
        disk.writer.push(Request::Append(rows, callback));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let next = last.map_or(0, |id| id.index.saturating_add(1));
        {
            let mut view = lock(&self.shared.view);
            view.keep(..next);
            // Nothing is cut off a log that is shorter.
            if view.last.is_some_and(|known| known.index >= next) {
                view.last = last.or(view.purged);
            }
        }
        self.done(|done| Request::Truncate(next, done)).await
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        {
            let mut view = lock(&self.shared.view);
            view.keep(upto.index.saturating_add(1)..);
            view.purged = Some(upto);
            view.last = view.last.max(Some(upto));
        }
        self.done(|done| Request::Purge(upto.into(), done)).await
    }
}
