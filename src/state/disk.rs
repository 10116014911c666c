//! ◇ `state.db`: every row as (table, key, JSON, modify index), so that a start reads rows instead of
//! replaying the log, and `sqlite3 state.db 'select value from jobs'` shows people what they have.
//!
//! It may lag behind the state in memory: the log has the rest. What was written last stands in the same
//! transaction as the rows, so a crash leaves an older state, never a mixed one. Therefore it is not synced
//! at each commit (`synchronous=NORMAL`).

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::sys::report::Kind;

use super::key::{RowKey, Table};
use super::row::RowError;
use super::tables::State;

/// The version of the file's layout. A newer one is refused.
const FORMAT: u64 = 1;

/// Why `state.db` could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The file could not be made.
    #[error("state file `{}`: create", path.display())]
    Create {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file could not be opened or read.
    #[error("state file `{}`: read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The file could not be written.
    #[error("state file `{}`: write", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A newer binary wrote it.
    #[error(
        "state file `{}`: has format {found}, this binary knows up to {FORMAT}; start the newer binary again",
        path.display()
    )]
    NewerFormat {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// A row could not be understood.
    #[error(transparent)]
    Row(RowError),
}

impl DiskError {
    /// What it means to who asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NewerFormat { .. } => Kind::Invalid,
            Self::Create { .. } | Self::Read { .. } | Self::Write { .. } | Self::Row(_) => {
                Kind::Internal
            }
        }
    }
}

/// What was in the file.
#[derive(Debug)]
pub struct Loaded {
    /// The state.
    pub state: State,
    /// What was saved beside it.
    pub meta: BTreeMap<String, String>,
}

/// The open file. One thread owns it.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    connection: Connection,
}

impl Disk {
    /// Opens or makes the file and reads all of it.
    pub fn open(path: &Path) -> Result<(Self, Loaded), DiskError> {
        // Rows hold secrets of nodes; SQLite gives its side files the mode of the first.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| DiskError::Create { path: path.to_owned(), source })?;
        let read = |source| DiskError::Read { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(read)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; \
                 PRAGMA cache_size=-2000; PRAGMA wal_autocheckpoint=1000; \
                 PRAGMA journal_size_limit=16777216;",
            )
            .map_err(read)?;
        let disk = Self { path: path.to_owned(), connection };
        disk.create_tables().map_err(|source| disk.write_error(source))?;
        let loaded = disk.load()?;
        Ok((disk, loaded))
    }

    fn write_error(&self, source: rusqlite::Error) -> DiskError {
        DiskError::Write { path: self.path.clone(), source }
    }

    fn read_error(&self, source: rusqlite::Error) -> DiskError {
        DiskError::Read { path: self.path.clone(), source }
    }

    fn create_tables(&self) -> rusqlite::Result<()> {
        let exists: Option<i64> = self
            .connection
            .query_row("SELECT 1 FROM sqlite_master WHERE name = 'rows'", [], |row| row.get(0))
            .optional()?;
        if exists.is_some() {
            return Ok(());
        }
        let transaction = self.connection.unchecked_transaction()?;
        transaction.execute_batch(
            "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
             CREATE TABLE rows (
                 tbl TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
                 modify_index INTEGER NOT NULL, PRIMARY KEY (tbl, key));",
        )?;
        for table in Table::ALL {
            let name = table.name();
            transaction.execute_batch(&format!(
                "CREATE VIEW {name} AS SELECT key, value, modify_index FROM rows WHERE tbl = '{name}';"
            ))?;
        }
        put_meta(&transaction, "format", &FORMAT.to_string())?;
        transaction.commit()
    }

    fn load(&self) -> Result<Loaded, DiskError> {
        let meta = self.load_meta().map_err(|source| self.read_error(source))?;
        let number = |key: &str| meta.get(key).and_then(|text| text.parse::<u64>().ok());
        let found = number("format").unwrap_or_default();
        if found > FORMAT {
            return Err(DiskError::NewerFormat { path: self.path.clone(), found });
        }
        let mut state = State::new();
        for table in Table::ALL {
            self.load_table(&mut state, table)?;
        }
        let tables: BTreeMap<String, u64> = meta
            .get("table_indexes")
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let tables = tables.iter().map(|(name, index)| (name.as_str(), *index));
        state.restore_indexes(number("index").unwrap_or_default(), tables);
        Ok(Loaded { state, meta })
    }

    fn load_meta(&self) -> rusqlite::Result<BTreeMap<String, String>> {
        let mut query = self.connection.prepare("SELECT key, value FROM meta")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }

    fn load_table(&self, state: &mut State, table: Table) -> Result<(), DiskError> {
        let read = |source| self.read_error(source);
        let mut query = self
            .connection
            .prepare_cached("SELECT key, value FROM rows WHERE tbl = ?1 ORDER BY key")
            .map_err(read)?;
        let mut rows = query.query([table.name()]).map_err(read)?;
        while let Some(row) = rows.next().map_err(read)? {
            let key = row.get_ref(0).and_then(|v| Ok(v.as_str()?)).map_err(read)?;
            let value = row.get_ref(1).and_then(|v| Ok(v.as_str()?)).map_err(read)?;
            state.restore_row(table, key, value).map_err(DiskError::Row)?;
        }
        Ok(())
    }

    /// Writes `rows` as they are in `state` (those that are gone are removed), its indexes, and `meta`
    /// beside them, in one transaction.
    pub fn save<'a>(
        &mut self,
        state: &State,
        rows: impl IntoIterator<Item = &'a RowKey>,
        meta: &[(&str, String)],
    ) -> Result<(), DiskError> {
        let transaction = self.connection.unchecked_transaction();
        transaction
            .and_then(|transaction| {
                for row in rows {
                    put_row(&transaction, state, row)?;
                }
                put_indexes(&transaction, state, meta)?;
                transaction.commit()
            })
            .map_err(|source| self.write_error(source))
    }

    /// Writes all of `state` in place of what was there, in one transaction.
    pub fn replace(&mut self, state: &State, meta: &[(&str, String)]) -> Result<(), DiskError> {
        let transaction = self.connection.unchecked_transaction();
        transaction
            .and_then(|transaction| {
                transaction.execute("DELETE FROM rows", [])?;
                for row in state.row_keys() {
                    put_row(&transaction, state, &row)?;
                }
                put_indexes(&transaction, state, meta)?;
                transaction.commit()
            })
            .map_err(|source| self.write_error(source))
    }

    /// Waits until all that was saved is safe from a power cut.
    pub fn sync(&mut self) -> Result<(), DiskError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .map_err(|source| self.write_error(source))
    }
}

fn put_row(transaction: &Transaction<'_>, state: &State, row: &RowKey) -> rusqlite::Result<()> {
    let (table, key) = (row.table().name(), row.text());
    if let Some((value, index)) = state.row_text(row) {
        transaction
            .prepare_cached(
                "INSERT INTO rows (tbl, key, value, modify_index) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (tbl, key) DO UPDATE SET value = ?3, modify_index = ?4",
            )?
            .execute(params![table, key, value, signed(index)])?;
    } else {
        transaction
            .prepare_cached("DELETE FROM rows WHERE tbl = ?1 AND key = ?2")?
            .execute(params![table, key])?;
    }
    Ok(())
}

fn put_indexes(
    transaction: &Transaction<'_>,
    state: &State,
    meta: &[(&str, String)],
) -> rusqlite::Result<()> {
    put_meta(transaction, "index", &state.index().to_string())?;
    let tables: BTreeMap<&str, u64> =
        Table::ALL.into_iter().map(|table| (table.name(), state.table_index(table))).collect();
    // A map of names to numbers always has a text.
    let tables = serde_json::to_string(&tables).unwrap_or_default();
    put_meta(transaction, "table_indexes", &tables)?;
    for (key, value) in meta {
        put_meta(transaction, key, value)?;
    }
    Ok(())
}

fn put_meta(transaction: &Transaction<'_>, key: &str, value: &str) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value])
        .map(drop)
}

/// SQLite's integers are signed; an index never gets near the difference.
fn signed(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::apply::random_log;
    use crate::state::{Command, apply};

    fn apply_all(state: &mut State, commands: &[Command]) -> Vec<RowKey> {
        let mut rows = Vec::new();
        for command in commands {
            let index = state.index() + 1;
            rows.extend(apply(state, command, index).changes.into_iter().map(|c| c.row));
        }
        rows
    }

    fn texts(state: &State) -> Vec<(String, Option<String>)> {
        state
            .row_keys()
            .map(|key| (key.text(), state.row_text(&key).map(|(text, _)| text)))
            .collect()
    }

    #[test]
    fn changed_rows_are_enough_to_read_the_state_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let (mut state, mut most) = (State::new(), 0);
        for chunk in random_log(900).chunks(60) {
            let (mut disk, loaded) = Disk::open(&path).unwrap();
            assert_eq!(texts(&loaded.state), texts(&state));
            assert_eq!(loaded.state.index(), state.index());
            for table in Table::ALL {
                assert_eq!(loaded.state.table_index(table), state.table_index(table), "{table:?}");
            }
            let rows = apply_all(&mut state, chunk);
            most = most.max(state.allocs().count());
            disk.save(&state, &rows, &[("note", state.index().to_string())]).unwrap();
        }
        let (mut disk, loaded) = Disk::open(&path).unwrap();
        assert_eq!(loaded.meta["note"], "900");
        assert!(most > 3, "{most}");
        let mut other = State::new();
        apply_all(&mut other, &random_log(40));
        disk.replace(&other, &[]).unwrap();
        disk.sync().unwrap();
        drop(disk);
        assert_eq!(texts(&Disk::open(&path).unwrap().1.state), texts(&other));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&path).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_newer_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let (disk, _) = Disk::open(&path).unwrap();
        disk.connection.execute("UPDATE meta SET value = '2' WHERE key = 'format'", []).unwrap();
        drop(disk);
        let error = Disk::open(&path).unwrap_err();
        assert!(error.to_string().contains("has format 2, this binary knows up to 1"), "{error}");
    }

    #[test]
    fn a_spoilt_row_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let (disk, _) = Disk::open(&path).unwrap();
        disk.connection
            .execute("INSERT INTO rows VALUES ('jobs', 'default/a', '{', 1)", [])
            .unwrap();
        drop(disk);
        let error = Disk::open(&path).unwrap_err();
        assert!(error.to_string().contains("row `default/a` of `jobs`"), "{error}");
    }
}
