//! The one writer of `raft.db`: takes all that waits, writes it in one transaction, and tells everybody.
//! While it syncs, the next ones gather: the more there is to do, the more each sync carries.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use openraft::storage::IOFlushed;
use tokio::sync::oneshot;

use super::checkpoint::Checkpointer;
use super::file::{LogFile, Row};
use super::{LogError, lock};
use crate::raft::forms::{Ballot, Position};
use crate::raft::types::{LogId, Types};

/// Requests that are written together at most.
const BATCH: usize = 1024;
/// After how many entries the last committed one is written again.
const COMMITTED_EVERY: u64 = 4096;

type Done = oneshot::Sender<io::Result<()>>;

/// What the writer is asked for, in order.
pub(super) enum Request {
    Append(Vec<Row>, IOFlushed<Types>),
    Vote(Ballot, Done),
    /// Deletes from this entry on.
    Truncate(u64, Done),
    /// Everything up to here is the snapshot's.
    Purge(Position, Done),
    Committed(Option<LogId>),
    Close,
}

/// The writer's thread and its mailbox.
#[derive(Debug)]
pub(super) struct Writer {
    mailbox: Arc<Mailbox>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Mailbox {
    queue: Mutex<VecDeque<Request>>,
    filled: Condvar,
    last_written: AtomicU64,
    transactions: AtomicU64,
    entries: AtomicU64,
    /// The last committed entry and the last one that was written as such.
    committed: Mutex<(Option<LogId>, u64)>,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} requests", lock(&self.queue).len())
    }
}

impl Writer {
    /// Starts the thread. Rows before `trash` are deleted a few at a time.
    pub(super) fn start(file: LogFile, checkpoints: LogFile, trash: u64) -> Result<Self, LogError> {
        let mailbox = Arc::new(Mailbox::default());
        let checkpointer = Checkpointer::start(checkpoints)?;
        let desk = Desk { file, checkpointer, trash, mailbox: Arc::clone(&mailbox) };
        let thread = std::thread::Builder::new()
            .name("raft-log".to_owned())
            .spawn(move || desk.work())
            .map_err(|source| LogError::Thread { source })?;
        Ok(Self { mailbox, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn push(&self, request: Request) {
        lock(&self.mailbox.queue).push_back(request);
        self.mailbox.filled.notify_one();
    }

    /// The last entry that is safe.
    pub(super) fn last_written(&self) -> u64 {
        self.mailbox.last_written.load(Ordering::Acquire)
    }

    pub(super) fn note_committed(&self, committed: Option<LogId>) {
        lock(&self.mailbox.committed).0 = committed;
    }

    /// Transactions and entries since the start.
    pub(super) fn written(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.mailbox.transactions), count(&self.mailbox.entries))
    }

    /// Writes what waits and ends the thread.
    pub(super) async fn close(&self) {
        self.push(Request::Close);
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            // A thread that panicked has said so itself.
            let _ended = tokio::task::spawn_blocking(move || thread.join().is_ok()).await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.push(Request::Close);
    }
}

struct Desk {
    file: LogFile,
    checkpointer: Checkpointer,
    trash: u64,
    mailbox: Arc<Mailbox>,
}

/// Who waits for a transaction.
#[derive(Default)]
struct Waiting {
    callbacks: Vec<IOFlushed<Types>>,
    done: Vec<Done>,
    last: Option<u64>,
    rows: u64,
    bytes: usize,
}

impl Desk {
    fn work(mut self) {
        loop {
            let batch = self.next_batch();
            let closes = batch.iter().any(|request| matches!(request, Request::Close));
            let mut waiting = Waiting::default();
            let written = self.write(batch, &mut waiting);
            self.tell(waiting, &written);
            if closes {
                break;
            }
            if self.checkpointer.is_behind() {
                // The write-ahead log starts again at its beginning only when all of it was copied. Most
                // already was, so this is short.
                drop(self.file.checkpoint());
            }
        }
        drop(self.file.checkpoint());
    }

    fn next_batch(&self) -> Vec<Request> {
        let mut queue = lock(&self.mailbox.queue);
        while queue.is_empty() {
            queue =
                self.mailbox.filled.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        let count = queue.len().min(BATCH);
        queue.drain(..count).collect()
    }

    fn write(&mut self, batch: Vec<Request>, waiting: &mut Waiting) -> rusqlite::Result<()> {
        // Everybody who waits is known before anything can fail, so that everybody is told.
        let work: Vec<Work> = batch.into_iter().map(|request| waiting.note(request)).collect();
        let mut trash = self.trash;
        let committed = self.due_committed();
        let result = self.file.transact(|file| {
            for one in &work {
                write_one(file, one, &mut trash)?;
            }
            if let Some(committed) = committed {
                file.put("committed", &Position::from(committed))?;
            }
            if trash > 0 && !file.delete_some_before(trash)? {
                trash = 0;
            }
            Ok(())
        });
        self.trash = trash;
        result
    }

    /// The last committed entry, if it is time to write it again.
    fn due_committed(&self) -> Option<LogId> {
        let mut known = lock(&self.mailbox.committed);
        let committed = known.0?;
        if committed.index < known.1.saturating_add(COMMITTED_EVERY) {
            return None;
        }
        known.1 = committed.index;
        Some(committed)
    }

    fn tell(&self, waiting: Waiting, written: &rusqlite::Result<()>) {
        let result = || match written {
            Ok(()) => Ok(()),
            Err(error) => Err(io::Error::other(format!("raft.db: {error}"))),
        };
        if written.is_ok() {
            let pages = 1 + waiting.rows / 8 + waiting.bytes as u64 / 4096;
            self.checkpointer.grew(pages);
            self.mailbox.transactions.fetch_add(1, Ordering::Relaxed);
            self.mailbox.entries.fetch_add(waiting.rows, Ordering::Relaxed);
            if let Some(last) = waiting.last {
                self.mailbox.last_written.store(last, Ordering::Release);
            }
        }
        for callback in waiting.callbacks {
            callback.io_completed(result());
        }
        for done in waiting.done {
            // Nobody waits any more when openraft was stopped.
            let _gone = done.send(result()).is_err();
        }
    }
}

/// A request without those who wait for it.
enum Work {
    Append(Vec<Row>),
    Vote(Ballot),
    Truncate(u64),
    Purge(Position),
    Committed(Position),
    Nothing,
}

impl Waiting {
    fn note(&mut self, request: Request) -> Work {
        match request {
            Request::Append(rows, callback) => {
                self.callbacks.push(callback);
                self.last = rows.last().map(|row| row.position.index).or(self.last);
                self.rows += rows.len() as u64;
                self.bytes += rows.iter().map(|row| row.text.as_str().len()).sum::<usize>();
                Work::Append(rows)
            }
            Request::Vote(ballot, done) => {
                self.done.push(done);
                Work::Vote(ballot)
            }
            Request::Truncate(from, done) => {
                self.done.push(done);
                self.last = Some(from.saturating_sub(1));
                Work::Truncate(from)
            }
            Request::Purge(upto, done) => {
                self.done.push(done);
                Work::Purge(upto)
            }
            Request::Committed(committed) => {
                committed.map_or(Work::Nothing, |id| Work::Committed(id.into()))
            }
            Request::Close => Work::Nothing,
        }
    }
}

fn write_one(file: &LogFile, work: &Work, trash: &mut u64) -> rusqlite::Result<()> {
    match work {
        Work::Append(rows) => file.append(rows),
        Work::Vote(ballot) => file.put("vote", ballot),
        Work::Truncate(from) => file.delete_from(*from),
        Work::Purge(upto) => {
            *trash = upto.index.saturating_add(1);
            file.put("purged", upto)
        }
        Work::Committed(committed) => file.put("committed", committed),
        Work::Nothing => Ok(()),
    }
}
