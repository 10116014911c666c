//! ◇ Starts the loops when this server leads and stops them when it does not.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Server, collect, drains, drive, evals, nodes, rollouts, worker};
use crate::state::Intent;
use crate::sys::tasks::{Stop, Tasks};

/// How long the loops have to end when leadership is lost.
const GRACE: Duration = Duration::from_secs(5);

/// The mailboxes of the loops. They are gone with leadership.
#[derive(Debug)]
pub(super) struct Loops {
    pub(super) evals: mpsc::Sender<evals::Event>,
    pub(super) nodes: mpsc::Sender<nodes::Event>,
    pub(super) rollouts: mpsc::Sender<rollouts::Event>,
    pub(super) drains: mpsc::Sender<()>,
    pub(super) garbage: mpsc::Sender<()>,
    pub(super) flags: Arc<Flags>,
}

/// Spares loops from being woken for nothing.
#[derive(Debug, Default)]
pub(super) struct Flags {
    /// Whether some node is drained.
    pub(super) draining: AtomicBool,
    /// Whether the time of the next look for garbage is set.
    pub(super) collecting: AtomicBool,
}

/// Follows who leads until it is told to stop.
pub(super) async fn follow(server: Server, stop: Stop) {
    let mut leadership = server.raft().leadership();
    let mut running: Option<Tasks> = None;
    loop {
        let leads = leadership.borrow_and_update().is_leader();
        match (leads, running.take()) {
            (true, None) => running = Some(start(&server, &stop)),
            (true, Some(tasks)) => running = Some(tasks),
            (false, Some(tasks)) => end(&server, &tasks).await,
            (false, None) => {}
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            // Dropping it loses nothing: the next look sees the newest.
            changed = leadership.changed() => if changed.is_err() { break },
        }
    }
    if let Some(tasks) = running {
        end(&server, &tasks).await;
    }
}

fn start(server: &Server, stop: &Stop) -> Tasks {
    let tasks = Tasks::new("leader", stop);
    let (evals, evals_in) = drive::mailbox();
    let (nodes, nodes_in) = drive::mailbox();
    let (rollouts, rollouts_in) = drive::mailbox();
    let (drains, drains_in) = mpsc::channel(1);
    let (garbage, garbage_in) = mpsc::channel(1);
    let flags = Arc::new(Flags::default());
    let loops = Loops {
        evals: evals.clone(),
        nodes,
        rollouts: rollouts.clone(),
        drains: drains.clone(),
        garbage,
        flags: Arc::clone(&flags),
    };
    // From here on every command tells the loops; what was there before they read from the state.
    server.set_loops(Some(Arc::new(loops)));
    let mut workers = Vec::new();
    for id in 0..server.inner.config.workers {
        let (deliver, delivered) = mpsc::channel(1);
        workers.push(deliver);
        let id = u64::try_from(id).unwrap_or(u64::MAX);
        let worker = worker::run(server.clone(), id, delivered, evals.clone(), tasks.stop_token());
        tasks.spawn("worker", worker);
    }
    let of_evals = evals::Evals::new(server.clone(), tasks.clone(), workers);
    tasks.spawn("evals", evals::run(of_evals, evals_in));
    tasks.spawn("nodes", nodes::run(server.clone(), tasks.clone(), nodes_in));
    tasks.spawn(
        "deployments",
        rollouts::run(server.clone(), tasks.clone(), (rollouts, rollouts_in)),
    );
    tasks.spawn(
        "drains",
        drains::run(server.clone(), tasks.clone(), (drains, drains_in), Arc::clone(&flags)),
    );
    tasks.spawn("garbage", collect::run(server.clone(), tasks.clone(), garbage_in, flags));
    tasks.spawn("cluster", name_cluster(server.clone()));
    tracing::info!("this server leads");
    tasks
}

/// A new cluster gets its identity from its first leader.
async fn name_cluster(server: Server) {
    if server.state().cluster_id().is_some() {
        return;
    }
    if let Err(error) = server.propose(Intent::SetClusterId(crate::sys::ids::uuid())).await {
        tracing::warn!(%error, "the cluster could not be named");
    }
}

async fn end(server: &Server, tasks: &Tasks) {
    server.set_loops(None);
    if !tasks.shutdown(GRACE).await {
        tracing::warn!("the leader's loops did not end in time");
    }
    tracing::info!("this server leads no longer");
}
