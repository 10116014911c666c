//! openraft's own suite for storages, on ours, and what it does not ask for.

use std::sync::Arc;
use std::time::Duration;

use openraft::entry::RaftEntry as _;
use openraft::storage::{IOFlushed, RaftLogStorage as _};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::TypeConfigExt as _;
use openraft::vote::RaftLeaderId as _;
use openraft::{RaftLogReader as _, StorageError};

use crate::raft::keeper::Keeper;
use crate::raft::log::LogStore;
use crate::raft::machine::Machine;
use crate::raft::types::{Batch, Entry, LeaderId, LogId, Types};
use crate::state::disk::Disk;
use crate::state::{Command, Intent, State, Watch};

struct OnDisk;

impl StoreBuilder<Types, LogStore, Machine, tempfile::TempDir> for OnDisk {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, Machine), StorageError<Types>> {
        let dir = tempfile::tempdir().unwrap();
        let log = LogStore::open(&dir.path().join("raft.db")).unwrap();
        let (disk, loaded) = Disk::open(&dir.path().join("state.db")).unwrap();
        let watch = Watch::new(Arc::new(loaded.state.clone()));
        let machine = Machine::loaded(loaded, Keeper::start(disk).unwrap(), watch).unwrap();
        Ok((dir, log, machine))
    }
}

struct InMemory;

impl StoreBuilder<Types, LogStore, Machine, ()> for InMemory {
    async fn build(&self) -> Result<((), LogStore, Machine), StorageError<Types>> {
        let watch = Watch::new(Arc::new(State::new()));
        Ok(((), LogStore::in_memory(), Machine::in_memory(watch)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openrafts_suite_passes_on_disk() {
    Suite::test_all(OnDisk).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openrafts_suite_passes_in_memory() {
    Suite::test_all(InMemory).await.unwrap();
}

fn entry(index: u64) -> Entry {
    let command = Command {
        time: crate::model::Timestamp(1),
        intent: Intent::SetClusterId(format!("{index:>2000}")),
    };
    let text = serde_json::to_string(&command).unwrap();
    let log_id = LogId { leader_id: LeaderId::new(1, u64::MAX), index };
    Entry::new(log_id, openraft::EntryPayload::Normal(Batch::new(vec![command], &[text])))
}

async fn append(log: &mut LogStore, entries: impl Iterator<Item = u64>) {
    let (sender, receiver) = Types::oneshot();
    let entries: Vec<_> = entries.map(entry).collect();
    log.append(entries, IOFlushed::signal(sender)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), receiver).await.unwrap().unwrap().unwrap();
}

fn indexes(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.log_id.index).collect()
}

#[tokio::test]
async fn entries_that_left_memory_are_read_from_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raft.db");
    let mut log = LogStore::open(&path).unwrap();
    let node = log.node();
    for chunk in 0..6 {
        append(&mut log, chunk * 500..(chunk + 1) * 500).await;
    }
    let all = log.try_get_log_entries(0..3000).await.unwrap();
    assert!(indexes(&all).into_iter().eq(0..3000));
    assert_eq!(all[7].log_id.leader_id, LeaderId::new(1, u64::MAX));
    log.purge(LogId { leader_id: LeaderId::new(1, u64::MAX), index: 999 }).await.unwrap();
    log.truncate_after(Some(entry(2499).log_id)).await.unwrap();
    log.close().await;
    let mut again = LogStore::open(&path).unwrap();
    assert_eq!(again.node(), node, "an identity is for ever");
    let state = again.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id.unwrap().index, 999);
    assert_eq!(state.last_log_id.unwrap().index, 2499);
    let left = again.try_get_log_entries(1000..).await.unwrap();
    assert!(indexes(&left).into_iter().eq(1000..2500));
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raft.db");
    LogStore::open(&path).unwrap().close().await;
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute("UPDATE facts SET value = '9' WHERE key = 'format'", []).unwrap();
    let error = LogStore::open(&path).unwrap_err();
    assert!(error.to_string().contains("has format 9, this binary knows up to 1"), "{error}");
}
