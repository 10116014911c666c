//! ◇ What must survive the agent: the allocations it was given, how far each has come, and where their tasks are.
//!
//! One SQLite file, `client.db`. Whoever has something to write puts it into a map of pending rows, the newest of
//! each key winning, and goes on ([`Journal::note`]) or waits until it is on the disk ([`Journal::commit`]).
//! One thread takes whatever is pending and writes it in one transaction: many allocations, one fsync.
//!
//! The names of everything the node makes follow from the allocation's id, and removing what is not there is no
//! error. So an allocation whose row is on the disk before its first step can be resumed or undone, whatever
//! step the agent died in.

mod row;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio::sync::oneshot;

pub use row::{AllocRow, Entry, Recovered, TaskRow};

use crate::sys::report::{self, Kind};

/// Why something could not be kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be opened or read.
    #[error("journal `{}`: {doing}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Which step.
        doing: &'static str,
        /// Why.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// A transaction failed.
    #[error("journal: write")]
    Write(#[source] Arc<rusqlite::Error>),
    /// A row does not turn into text.
    #[error("journal: encode row of {of}")]
    Encode {
        /// Whose row.
        of: String,
        /// Why.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// The writer is gone.
    #[error("journal: closed")]
    Closed,
}

impl JournalError {
    /// What it means to the one who asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Open { .. } | Self::Write(_) | Self::Encode { .. } => Kind::Internal,
            Self::Closed => Kind::Unavailable,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Alloc(String),
    Task(String, String),
}

/// A row, or its removal.
type Value = Option<String>;

type Waiter = oneshot::Sender<Result<(), JournalError>>;

#[derive(Debug, Default)]
struct Pending {
    rows: BTreeMap<Key, Value>,
    waiters: Vec<Waiter>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    /// Rows that are not written yet. Locked for moments only, never across a write.
    pending: Mutex<Pending>,
    /// There is something to write.
    wake: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        // The map is whole after every statement, so a panic elsewhere does not spoil it.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer's handle. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

/// The writer itself; closing it writes what is pending.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Writes what is pending and ends. Everything noted after that is lost.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // The thread's panic was logged by the panic hook; there is nothing left to do for it.
            drop(thread.join());
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Journal {
    /// Opens or makes the file and reads what an earlier agent left.
    pub fn open(path: &Path) -> Result<(Self, Writer, Recovered), JournalError> {
        let failed = |doing| {
            move |source: rusqlite::Error| JournalError::Open {
                path: path.to_owned(),
                doing,
                source: Arc::new(source),
            }
        };
        let connection = Connection::open(path).map_err(failed("open"))?;
        prepare(&connection).map_err(failed("prepare"))?;
        let recovered = read(&connection).map_err(failed("read"))?;
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write_all(&writer, connection))
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
            .map_err(failed("start its writer"))?;
        let writer = Writer { shared: Arc::clone(&shared), thread: Some(thread) };
        Ok((Self { shared }, writer, recovered))
    }

    /// Will be on the disk soon.
    pub fn note(&self, entries: Vec<Entry<'_>>) -> Result<(), JournalError> {
        self.put(entries, None)
    }

    /// Is on the disk when this returns.
    pub async fn commit(&self, entries: Vec<Entry<'_>>) -> Result<(), JournalError> {
        let (sender, receiver) = oneshot::channel();
        self.put(entries, Some(sender))?;
        receiver.await.unwrap_or(Err(JournalError::Closed))
    }

    fn put(&self, entries: Vec<Entry<'_>>, waiter: Option<Waiter>) -> Result<(), JournalError> {
        let rows = entries.into_iter().map(Entry::encode).collect::<Result<Vec<_>, _>>()?;
        let mut pending = self.shared.lock();
        if pending.closed {
            return Err(JournalError::Closed);
        }
        for (key, value) in rows {
            if let (Key::Alloc(id), None) = (&key, &value) {
                pending.rows.retain(|key, _| !matches!(key, Key::Task(alloc, _) if alloc == id));
            }
            pending.rows.insert(key, value);
        }
        pending.waiters.extend(waiter);
        drop(pending);
        self.shared.wake.notify_one();
        Ok(())
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         CREATE TABLE IF NOT EXISTS alloc (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS task (
             alloc TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
             PRIMARY KEY (alloc, name)
         ) WITHOUT ROWID;",
    )
}

fn read(connection: &Connection) -> rusqlite::Result<Recovered> {
    let mut recovered = Recovered::default();
    let mut allocs = connection.prepare("SELECT id, body FROM alloc")?;
    let mut rows = allocs.query([])?;
    while let Some(row) = rows.next()? {
        recovered.add_alloc(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?);
    }
    let mut tasks = connection.prepare("SELECT alloc, name, body FROM task")?;
    let mut rows = tasks.query([])?;
    while let Some(row) = rows.next()? {
        let (alloc, name): (String, String) = (row.get(0)?, row.get(1)?);
        recovered.add_task(&alloc, &name, &row.get::<_, String>(2)?);
    }
    Ok(recovered)
}

/// How long the writer waits after a failure before it tries again: a full disk does not get better by haste.
const RETRY: Duration = Duration::from_secs(1);

fn write_all(shared: &Shared, mut connection: Connection) {
    loop {
        let (rows, waiters, closed) = {
            let mut pending = shared.lock();
            while pending.rows.is_empty() && pending.waiters.is_empty() && !pending.closed {
                pending = shared.wake.wait(pending).unwrap_or_else(PoisonError::into_inner);
            }
            let taken = std::mem::take(&mut pending.rows);
            (taken, std::mem::take(&mut pending.waiters), pending.closed)
        };
        let written = write(&mut connection, &rows).map_err(Arc::new);
        for waiter in waiters {
            // Nobody waits any more: then nobody needs to know.
            drop(waiter.send(written.clone().map_err(JournalError::Write)));
        }
        let mut pending = shared.lock();
        if let Err(error) = &written {
            tracing::error!(error = %report::chain(error), "journal: rows are not on the disk yet");
            for (key, value) in rows {
                pending.rows.entry(key).or_insert(value);
            }
            if !closed {
                drop(shared.wake.wait_timeout(pending, RETRY));
                continue;
            }
        }
        if closed && (written.is_err() || pending.rows.is_empty()) {
            return;
        }
    }
}

fn write(connection: &mut Connection, rows: &BTreeMap<Key, Value>) -> rusqlite::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for (key, value) in rows {
        match (key, value) {
            (Key::Alloc(id), Some(body)) => transaction
                .prepare_cached("INSERT OR REPLACE INTO alloc (id, body) VALUES (?1, ?2)")?
                .execute(params![id, body])?,
            (Key::Alloc(id), None) => {
                transaction
                    .prepare_cached("DELETE FROM task WHERE alloc = ?1")?
                    .execute(params![id])?;
                transaction
                    .prepare_cached("DELETE FROM alloc WHERE id = ?1")?
                    .execute(params![id])?
            }
            (Key::Task(id, name), Some(body)) => transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO task (alloc, name, body) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![id, name, body])?,
            (Key::Task(id, name), None) => transaction
                .prepare_cached("DELETE FROM task WHERE alloc = ?1 AND name = ?2")?
                .execute(params![id, name])?,
        };
    }
    transaction.commit()
}

#[cfg(test)]
mod tests;
