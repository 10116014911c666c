//! A server of the cluster, opened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver as _;
use openraft::{Config, SnapshotPolicy};
use tokio::sync::{mpsc, oneshot, watch};

use super::config::{Bootstrap, RaftConfig, Retention, Storage, Timing};
use super::error::{OpenError, ProposeError, RpcError};
use super::keeper::Keeper;
use super::leadership::{self, Leadership};
use super::log::LogStore;
use super::machine::Machine;
use super::members::{self, MemberStatus, MembershipError};
use super::net::{Desk, Network, RpcKind, serve};
use super::proposer::{self, Proposal};
use super::types::{Answers, Batch, Member, Openraft};
use crate::model::{Index, Timestamp};
use crate::state::disk::Disk;
use crate::state::{Command, Intent, Reply, State, Watch};
use crate::sys::tasks::{Stop, Tasks};

/// How long a shutdown waits for its own tasks.
const GRACE: Duration = Duration::from_secs(5);

/// A server of the cluster. Clones are the same server.
#[derive(Debug, Clone)]
pub struct RaftHandle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: u64,
    desk: Desk,
    log: LogStore,
    keeper: Option<Keeper>,
    proposals: mpsc::Sender<Proposal>,
    /// Proposals that went past the proposer because nothing was under way.
    direct: AtomicUsize,
    leadership: watch::Receiver<Leadership>,
    timing: Timing,
    tasks: Tasks,
}

/// Opens a server: reads what it has, joins in, and becomes a cluster of its own when it should. Returns as
/// soon as it can answer; who leads is told by [`RaftHandle::leadership`].
pub async fn open(config: RaftConfig) -> Result<RaftHandle, OpenError> {
    let (log, keeper, watch, machine) = match &config.storage {
        Storage::Memory => {
            let watch = Watch::new(Arc::new(State::new()));
            (LogStore::in_memory(), None, watch.clone(), Machine::in_memory(watch))
        }
        Storage::Directory(path) => open_directory(path)?,
    };
    let id = log.node();
    let settings = settings(config.timing, config.retention)?;
    let network = Network { own: id, transport: config.transport, watch: watch.clone() };
    let raft = Openraft::new(id, Arc::new(settings), network, log.clone(), machine)
        .await
        .map_err(|fatal| OpenError::Start(fatal.to_string()))?;
    if config.bootstrap == Bootstrap::Alone {
        bootstrap(&raft, BTreeMap::from([(id, config.member)])).await?;
    }
    let tasks = Tasks::new("raft", &Stop::new());
    let (told, leadership) = watch::channel(Leadership::Follower { leader: None });
    tasks.spawn("leadership", leadership::follow(raft.clone(), told, tasks.stop_token()));
    let (proposals, mailbox) = proposer::mailbox();
    tasks.spawn("proposer", proposer::run(raft.clone(), mailbox, tasks.stop_token()));
    let desk = Desk::new(id, raft, watch);
    let (direct, timing) = (AtomicUsize::new(0), config.timing);
    let inner = Inner { id, desk, log, keeper, proposals, direct, leadership, timing, tasks };
    Ok(RaftHandle { inner: Arc::new(inner) })
}

type Opened = (LogStore, Option<Keeper>, Watch, Machine);

fn open_directory(path: &Path) -> Result<Opened, OpenError> {
    let directory = |source| OpenError::Directory { path: path.to_owned(), source };
    std::fs::create_dir_all(path).map_err(directory)?;
    let log = LogStore::open(&path.join("raft.db")).map_err(OpenError::Log)?;
    let (disk, loaded) = Disk::open(&path.join("state.db")).map_err(OpenError::State)?;
    let watch = Watch::new(Arc::new(loaded.state.clone()));
    let keeper = Keeper::start(disk).map_err(directory)?;
    let machine = Machine::loaded(loaded, keeper.clone(), watch.clone())
        .map_err(|error| OpenError::Start(format!("state.db: {error}")))?;
    Ok((log, Some(keeper), watch, machine))
}

fn settings(timing: Timing, retention: Retention) -> Result<Config, OpenError> {
    let config = Config {
        cluster_name: "stead".to_owned(),
        heartbeat_interval: timing.heartbeat_ms,
        election_timeout_min: timing.election_min_ms,
        election_timeout_max: timing.election_max_ms,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(retention.snapshot_every),
        max_in_snapshot_log_to_keep: retention.kept_entries,
        replication_lag_threshold: retention.snapshot_every.saturating_add(retention.kept_entries),
        install_snapshot_timeout: 60_000,
        enable_pre_vote: Some(true),
        // The channels' default sizes cost megabytes each.
        api_channel_size: Some(1024),
        notification_channel_size: Some(1024),
        state_machine_channel_size: Some(256),
        log_stage_capacity: Some(64),
        ..Config::default()
    };
    config.validate().map_err(|error| OpenError::Timing(error.to_string()))
}

async fn bootstrap(raft: &Openraft, members: BTreeMap<u64, Member>) -> Result<(), OpenError> {
    let wrong = |text: String| OpenError::Bootstrap(text);
    if raft.is_initialized().await.map_err(|error| wrong(error.to_string()))? {
        return Ok(());
    }
    raft.initialize(members).await.map_err(|error| wrong(error.to_string()))
}

impl RaftHandle {
    /// This server's identity: random, kept in its directory, never used twice.
    pub fn id(&self) -> u64 {
        self.inner.id
    }

    /// The newest snapshot of the state on this server. On a follower it may be a little old.
    pub fn state(&self) -> Arc<State> {
        self.inner.desk.watch.state()
    }

    /// The current state and those who wait for it to change.
    pub fn watch(&self) -> &Watch {
        &self.inner.desk.watch
    }

    /// Whether this server leads, or who does, now and from now on.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.inner.leadership.clone()
    }

    /// Proposes `intent` and waits until it is applied here; gives the state's index then, and the reply. A
    /// refusal by the state machine is a reply.
    pub async fn propose(&self, intent: Intent) -> Result<(Index, Reply), ProposeError> {
        let time = Timestamp(crate::sys::clock::unix_nanos());
        self.propose_command(Command { time, intent }).await
    }

    /// As [`RaftHandle::propose`], for a command that was stamped elsewhere: a follower's, passed on.
    pub async fn propose_command(&self, command: Command) -> Result<(Index, Reply), ProposeError> {
        let command = command.detached();
        let text = self.inner.log.is_on_disk().then(|| serde_json::to_string(&command));
        let text = text.transpose().map_err(|error| ProposeError::Invalid(error.to_string()))?;
        let limit = Duration::from_millis(self.inner.timing.propose_ms);
        tokio::time::timeout(limit, self.propose_text(command, text))
            .await
            .unwrap_or_else(|_| Err(ProposeError::no_quorum()))
            .map_err(|error| self.explained(error))
    }

    async fn propose_text(
        &self,
        command: Command,
        text: Option<String>,
    ) -> Result<(Index, Reply), ProposeError> {
        // With nothing under way, a way past the proposer saves two wake-ups.
        let direct = Direct::enter(&self.inner.direct);
        if direct.is_alone {
            let texts: Vec<String> = text.into_iter().collect();
            let batch = Batch::new(vec![command], &texts);
            let written = self.inner.desk.raft.client_write(batch).await;
            let Answers(answers) = written.map_err(proposer::refusal)?.data;
            return answers.into_iter().next().ok_or_else(|| {
                ProposeError::Stopped("a command was applied without a reply".to_owned())
            });
        }
        let (answer, answered) = oneshot::channel();
        let proposal = Proposal { command, text, answer };
        self.inner.proposals.try_send(proposal).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ProposeError::Busy,
            mpsc::error::TrySendError::Closed(_) => ProposeError::Stopped("shut down".to_owned()),
        })?;
        answered.await.unwrap_or_else(|_| Err(ProposeError::Stopped("shut down".to_owned())))
    }

    /// The error with what this server knows about it.
    fn explained(&self, error: ProposeError) -> ProposeError {
        match error {
            ProposeError::Unavailable { .. } => ProposeError::Unavailable { reason: self.quorum() },
            ProposeError::NotLeader { .. }
            | ProposeError::Busy
            | ProposeError::Unknown
            | ProposeError::Invalid(_)
            | ProposeError::Stopped(_) => error,
        }
    }

    /// What is known of the quorum, for people.
    fn quorum(&self) -> String {
        let members = self.members();
        let voters = members.iter().filter(|m| m.role == members::Role::Voter).count();
        format!(
            "{} of {voters} voting servers must answer; start the others, or shrink the cluster with `operator raft recover`",
            voters / 2 + 1
        )
    }

    /// Waits until all that was agreed on before is applied here. Only a leader can.
    pub async fn barrier(&self) -> Result<Index, ProposeError> {
        let written = self.inner.desk.raft.write_blank().await;
        written.map_err(proposer::refusal).map_err(|error| self.explained(error))?;
        Ok(self.state().index())
    }

    /// Waits until this server leads, or knows who does.
    pub async fn wait_for_leader(&self, limit: Duration) -> Option<Leadership> {
        let mut leadership = self.leadership();
        let known =
            leadership.wait_for(|seen| !matches!(seen, Leadership::Follower { leader: None }));
        let known = tokio::time::timeout(limit, known).await.ok()?;
        known.ok().map(|seen| seen.clone())
    }

    /// The members of the cluster, as far as this server knows.
    pub fn members(&self) -> Vec<MemberStatus> {
        members::list(&self.inner.desk.raft)
    }

    /// Makes a cluster of these servers. Has an effect once, on servers that belong to none.
    pub async fn bootstrap(&self, members: BTreeMap<u64, Member>) -> Result<(), OpenError> {
        bootstrap(&self.inner.desk.raft, members).await
    }

    /// Takes a server in without a vote, and waits until it has caught up.
    pub async fn add_learner(&self, id: u64, member: Member) -> Result<(), MembershipError> {
        members::add_learner(&self.inner.desk.raft, id, member).await
    }

    /// Makes exactly these members the voters, in one joint change; those that no longer vote leave.
    pub async fn set_voters(&self, voters: BTreeSet<u64>) -> Result<(), MembershipError> {
        members::set_voters(&self.inner.desk.raft, voters).await
    }

    /// Changes what is known of a member: its name, its addresses.
    pub async fn set_member(&self, id: u64, member: Member) -> Result<(), MembershipError> {
        members::set_member(&self.inner.desk.raft, id, member).await
    }

    /// Takes members out that have no vote.
    pub async fn remove(&self, ids: BTreeSet<u64>) -> Result<(), MembershipError> {
        members::remove(&self.inner.desk.raft, ids).await
    }

    /// Asks another voter to lead. That it does is told by [`RaftHandle::leadership`].
    pub async fn transfer_leader(&self, to: u64) -> Result<(), ProposeError> {
        let asked = self.inner.desk.raft.trigger().transfer_leader(to).await;
        asked.map_err(|fatal| ProposeError::Stopped(fatal.to_string()))
    }

    /// Makes the state safe now and lets the log before it go.
    pub async fn snapshot(&self) -> Result<(), ProposeError> {
        let asked = self.inner.desk.raft.trigger().snapshot().await;
        asked.map_err(|fatal| ProposeError::Stopped(fatal.to_string()))
    }

    /// Answers another server's call. The transport hands it over as it came.
    pub async fn handle_rpc(&self, kind: RpcKind, body: &[u8]) -> Result<Bytes, RpcError> {
        serve(&self.inner.desk, kind, body).await
    }

    /// Numbers for `agent-info` and metrics.
    pub fn stats(&self) -> RaftStats {
        let metrics = self.inner.desk.raft.metrics();
        let seen = metrics.borrow_watched();
        let (transactions, entries) = self.inner.log.written();
        RaftStats {
            term: seen.current_term,
            last_log_index: seen.last_log_index.unwrap_or_default(),
            applied_index: seen.last_applied.map_or(0, |id| id.index),
            snapshot_index: seen.snapshot.map_or(0, |id| id.index),
            purged_index: seen.purged.map_or(0, |id| id.index),
            transactions,
            entries,
        }
    }

    /// Stops: nothing more is agreed on, and all that was is on disk when this returns.
    pub async fn shutdown(&self) {
        let inner = &self.inner;
        if !inner.tasks.shutdown(GRACE).await {
            tracing::warn!("raft: its tasks did not stop in time");
        }
        if let Err(error) = inner.desk.raft.shutdown().await {
            tracing::warn!(%error, "raft: did not stop cleanly");
        }
        inner.log.close().await;
        if let Some(keeper) = &inner.keeper {
            keeper.close().await;
        }
    }
}

/// Numbers of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaftStats {
    /// The term it is in.
    pub term: u64,
    /// The last entry of its log.
    pub last_log_index: u64,
    /// The last that is applied.
    pub applied_index: u64,
    /// The last that the state on disk has for sure.
    pub snapshot_index: u64,
    /// The last that is no longer in the log.
    pub purged_index: u64,
    /// Synced transactions since the start.
    pub transactions: u64,
    /// Entries written since the start.
    pub entries: u64,
}

/// Counts those on their way, and says whether this one is the only one.
struct Direct<'a> {
    count: &'a AtomicUsize,
    is_alone: bool,
}

impl<'a> Direct<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        let is_alone = count.fetch_add(1, Ordering::Relaxed) == 0;
        Self { count, is_alone }
    }
}

impl Drop for Direct<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
