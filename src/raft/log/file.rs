//! The file `raft.db`: a row per entry, and a few facts beside them.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Text;
use crate::raft::forms::{Ballot, EntryKind, FORMAT, LineError, Position, entry_of};
use crate::raft::types::{Entry, LogId, Vote};

/// How many rows of what was purged are deleted with each transaction, so that none takes long.
const TRASH_ROWS: u64 = 256;

/// Why `raft.db` could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file could not be made.
    #[error("raft log `{}`: create", path.display())]
    Create {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file could not be opened or read.
    #[error("raft log `{}`: read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A fact in it cannot be understood.
    #[error("raft log `{}`: `{key}` cannot be read; the file was changed by something else", path.display())]
    Fact {
        /// Which file.
        path: PathBuf,
        /// Which fact.
        key: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A newer binary wrote it.
    #[error(
        "raft log `{}`: has format {found}, this binary knows up to {FORMAT}; start the newer binary again",
        path.display()
    )]
    NewerFormat {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Its thread could not be started.
    #[error("raft log: start its writer")]
    Thread {
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Why entries could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("raft log: read entries")]
    Rows(#[source] rusqlite::Error),
    #[error("raft log: entry {index} has kind {kind}")]
    Kind { index: u64, kind: i64 },
    #[error("raft log")]
    Line(#[source] LineError),
}

/// A row of the log.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) position: Position,
    pub(super) kind: EntryKind,
    pub(super) text: Text,
}

/// What a log begins with.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) node: u64,
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    pub(super) last: Option<LogId>,
    /// Rows below this are purged and may still be there.
    pub(super) trash: u64,
}

/// A connection to the file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    connection: Connection,
}

impl LogFile {
    /// Opens or makes the file, for its one writer.
    pub(super) fn open(path: &Path) -> Result<(Self, Head), LogError> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| LogError::Create { path: path.to_owned(), source })?;
        let read = |source| LogError::Read { path: path.to_owned(), source };
        let file = Self::connect(path)?;
        // Checkpoints are made beside the writer (`checkpoint.rs`), so that no commit waits for one.
        file.connection
            .execute_batch(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; \
                 PRAGMA temp_store=MEMORY; PRAGMA cache_size=-1000;",
            )
            .map_err(read)?;
        file.create_tables().map_err(read)?;
        let head = file.head()?;
        Ok((file, head))
    }

    /// A second connection to a file that is there.
    pub(super) fn reader(path: &Path) -> Result<Self, LogError> {
        let file = Self::connect(path)?;
        file.connection
            .execute_batch("PRAGMA synchronous=FULL; PRAGMA cache_size=-200;")
            .map_err(|source| LogError::Read { path: path.to_owned(), source })?;
        Ok(file)
    }

    fn connect(path: &Path) -> Result<Self, LogError> {
        let read = |source| LogError::Read { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(read)?;
        connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(read)?;
        Ok(Self { path: path.to_owned(), connection })
    }

    fn create_tables(&self) -> rusqlite::Result<()> {
        let exists: Option<i64> = self
            .connection
            .query_row("SELECT 1 FROM sqlite_master WHERE name = 'log'", [], |row| row.get(0))
            .optional()?;
        if exists.is_some() {
            return Ok(());
        }
        let transaction = self.connection.unchecked_transaction()?;
        transaction.execute_batch(
            "CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
             CREATE TABLE log (
                 idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, node INTEGER NOT NULL,
                 kind INTEGER NOT NULL, body TEXT NOT NULL);",
        )?;
        self.put("format", &FORMAT)?;
        self.put("node", &crate::sys::ids::random_u64())?;
        transaction.commit()
    }

    fn head(&self) -> Result<Head, LogError> {
        let found: u32 = self.fact("format")?.unwrap_or_default();
        if found > FORMAT {
            return Err(LogError::NewerFormat { path: self.path.clone(), found });
        }
        let purged: Option<Position> = self.fact("purged")?;
        let read = |source| LogError::Read { path: self.path.clone(), source };
        let last = self.last().map_err(read)?.filter(|last| {
            // Rows that were purged and not deleted yet are not the log.
            purged.is_none_or(|purged| last.index > purged.index)
        });
        Ok(Head {
            node: self.fact("node")?.unwrap_or_default(),
            vote: self.fact::<Ballot>("vote")?.map(Vote::from),
            committed: self.fact::<Position>("committed")?.map(LogId::from),
            purged: purged.map(LogId::from),
            last: last.map(LogId::from),
            trash: purged.map_or(0, |purged| purged.index.saturating_add(1)),
        })
    }

    fn last(&self) -> rusqlite::Result<Option<Position>> {
        self.connection
            .query_row("SELECT term, node, idx FROM log ORDER BY idx DESC LIMIT 1", [], |row| {
                Ok(Position {
                    term: unsigned(row.get(0)?),
                    node: unsigned(row.get(1)?),
                    index: unsigned(row.get(2)?),
                })
            })
            .optional()
    }

    fn fact<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, LogError> {
        let text: Option<String> = self
            .connection
            .query_row("SELECT value FROM facts WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(|source| LogError::Read { path: self.path.clone(), source })?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(|source| LogError::Fact {
            path: self.path.clone(),
            key,
            source,
        })
    }

    /// Entries from `from` on and before `to`.
    pub(super) fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, ReadError> {
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT idx, term, node, kind, body FROM log WHERE idx >= ?1 AND idx < ?2 ORDER BY idx",
            )
            .map_err(ReadError::Rows)?;
        let mut rows = query.query(params![bound(from), bound(to)]).map_err(ReadError::Rows)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(ReadError::Rows)? {
            let (position, kind, text) = entry_columns(row).map_err(ReadError::Rows)?;
            let kind = match kind {
                0 => EntryKind::Blank,
                1 => EntryKind::Commands,
                2 => EntryKind::Membership,
                _ => return Err(ReadError::Kind { index: position.index, kind }),
            };
            found.push(entry_of(position, kind, text).map_err(ReadError::Line)?);
        }
        Ok(found)
    }

    /// Does `work` as one transaction that is safe from a power cut when this returns.
    pub(super) fn transact(
        &self,
        work: impl FnOnce(&Self) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.unchecked_transaction()?;
        work(self)?;
        transaction.commit()
    }

    pub(super) fn append(&self, rows: &[Row]) -> rusqlite::Result<()> {
        let mut insert = self.connection.prepare_cached(
            "INSERT OR REPLACE INTO log (idx, term, node, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for row in rows {
            let Position { term, node, index } = row.position;
            let (kind, text) = (row.kind as i64, row.text.as_str());
            insert.execute(params![signed(index), signed(term), signed(node), kind, text])?;
        }
        Ok(())
    }

    pub(super) fn put<T: Serialize>(&self, key: &str, value: &T) -> rusqlite::Result<()> {
        let text = serde_json::to_string(value)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO facts (key, value) VALUES (?1, ?2)")?
            .execute(params![key, text])
            .map(drop)
    }

    /// Deletes all entries from `from` on.
    pub(super) fn delete_from(&self, from: u64) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM log WHERE idx >= ?1")?
            .execute([signed(from)])
            .map(drop)
    }

    /// Deletes some of the entries before `before`; says whether more are left.
    pub(super) fn delete_some_before(&self, before: u64) -> rusqlite::Result<bool> {
        let deleted = self
            .connection
            .prepare_cached(
                "DELETE FROM log WHERE idx IN (SELECT idx FROM log WHERE idx < ?1 ORDER BY idx LIMIT ?2)",
            )?
            .execute(params![signed(before), signed(TRASH_ROWS)])?;
        Ok(deleted as u64 == TRASH_ROWS)
    }

    /// Copies what is in the write-ahead log into the file, as far as nobody is in the way; gives the pages
    /// that are in the write-ahead log and those of them that were copied.
    pub(super) fn checkpoint(&self) -> rusqlite::Result<(i64, i64)> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))
    }
}

fn entry_columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Position, i64, String)> {
    let position = Position {
        index: unsigned(row.get(0)?),
        term: unsigned(row.get(1)?),
        node: unsigned(row.get(2)?),
    };
    Ok((position, row.get(3)?, row.get(4)?))
}

/// A bound of a range: no index is greater than SQLite's greatest number.
fn bound(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

/// SQLite knows signed numbers only; the bits are what counts (an identity uses all of them).
fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}
