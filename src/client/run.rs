//! ◇ The loops of the node: keep it registered, watch what the servers want, make it so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::alloc::order::{AllocLine, Order};
use super::alloc::runner;
use super::journal::{AllocRow, Recovered, TaskRow};
use super::reconcile::{Known, reconcile};
use super::site::{self, Site};
use super::status::StatusBoard;
use super::upstream::{Desired, Lease, Upstream, UpstreamError};
use crate::model::{AllocId, Allocation, ClientStatus, Node};
use crate::sys::report::{self, Kind};
use crate::sys::tasks::{Stop, Tasks};

/// The allocations the node has anything of.
pub(super) type Lines = imbl::OrdMap<AllocId, AllocLine>;

/// The waits between attempts to reach a server; short at first, because at the start of a box the server is about to
/// be there.
const RETRY: [Duration; 6] = [
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

fn wait(failures: usize) -> Duration {
    RETRY.get(failures).or(RETRY.last()).copied().unwrap_or_default()
}

/// Registers the node, again whenever it changes, and says that it is alive. `registered` counts the servers' states
/// that the node was new to: more than one means that servers forgot it.
pub(super) async fn register(
    mut node: watch::Receiver<Arc<Node>>,
    upstream: Arc<dyn Upstream>,
    registered: watch::Sender<u64>,
    stop: Stop,
) {
    let (mut is_new, mut known, mut failures) = (true, false, 0);
    loop {
        let current = Arc::clone(&node.borrow_and_update());
        let asked = async {
            if known {
                upstream.heartbeat(&current.id).await
            } else {
                upstream.register(current).await
            }
        };
        let answer: Result<Lease, UpstreamError> = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // Dropped by the stop only: a lost answer is asked for again by the next agent.
            answer = asked => answer,
        };
        let pause = match answer {
            Ok(lease) => {
                (known, failures) = (true, 0);
                if std::mem::take(&mut is_new) {
                    registered.send_modify(|times| *times += 1);
                }
                lease.ttl / 2
            }
            Err(error) if error.kind == Kind::NotFound && known => {
                tracing::warn!("the servers do not know this node any more; it registers again");
                (is_new, known) = (true, false);
                continue;
            }
            Err(error) => {
                if failures > 3 {
                    tracing::warn!(error = %report::chain(&error), "servers not reached");
                }
                failures += 1;
                wait(failures - 1)
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Ok(()) = node.changed() => known = false,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Asks what the servers want, again and again.
pub(super) async fn watch_desired(
    site: Arc<Site>,
    upstream: Arc<dyn Upstream>,
    mut registered: watch::Receiver<u64>,
    desired: watch::Sender<Option<Arc<Desired>>>,
    stop: Stop,
) {
    let node = site.node.borrow().id.clone();
    tokio::select! {
        biased;
        () = stop.cancelled() => return,
        _ = registered.wait_for(|times| *times > 0) => {}
    }
    let (mut index, mut failures) = (0, 0);
    loop {
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // Servers that forgot the node count from the beginning, and so does it.
            Ok(()) = registered.changed() => {
                index = 0;
                continue;
            }
            // A question; nothing is lost when it is not answered.
            answer = upstream.desired(&node, index) => answer,
        };
        match answer {
            Ok(answer) => {
                failures = 0;
                // An older state, from a server that lags behind, must not undo a newer one.
                if answer.index >= index {
                    index = answer.index;
                    desired.send_replace(Some(Arc::new(answer)));
                }
            }
            Err(error) => {
                tracing::debug!(error = %report::chain(&error), "desired allocations not known");
                failures += 1;
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(wait(failures - 1)) => {}
                }
            }
        }
    }
}

/// Owns the allocations: starts what is new, tells what changed, forgets what nobody knows.
pub(super) struct Keeper {
    pub site: Arc<Site>,
    pub board: Arc<StatusBoard>,
    pub tasks: Tasks,
    pub desired: watch::Receiver<Option<Arc<Desired>>>,
    pub lines: watch::Sender<Lines>,
    pub gc_max_allocs: usize,
    /// What the node is done with, as long as the servers speak of it.
    settled: BTreeSet<AllocId>,
    changed: Arc<Notify>,
}

impl Keeper {
    pub(super) fn new(
        site: Arc<Site>,
        board: Arc<StatusBoard>,
        tasks: Tasks,
        desired: watch::Receiver<Option<Arc<Desired>>>,
        gc_max_allocs: usize,
    ) -> Self {
        let lines = watch::channel(Lines::new()).0;
        let (settled, changed) = (BTreeSet::new(), Arc::default());
        Self { site, board, tasks, desired, lines, gc_max_allocs, settled, changed }
    }

    /// Takes over what an earlier agent left, before any server is asked.
    pub(super) async fn recover(&mut self, recovered: Recovered) {
        for (id, reason) in recovered.damaged {
            tracing::error!(alloc = %id, %reason, "journal row is damaged; the allocation is removed");
            let alloc = Arc::new(Allocation { id: id.clone(), ..Allocation::default() });
            let row = AllocRow { alloc, doomed: true, ..AllocRow::default() };
            self.start(row, Some(BTreeMap::new())).await;
        }
        for (_, (row, tasks)) in recovered.allocs {
            self.start(row, Some(tasks)).await;
        }
    }

    pub(super) async fn run(mut self, stop: Stop) {
        loop {
            self.drop_gone();
            self.step().await;
            self.collect().await;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Ok(()) = self.desired.changed() => {}
                () = self.changed.notified() => {}
            }
        }
    }

    async fn step(&mut self) {
        let Some(desired) = self.desired.borrow_and_update().clone() else { return };
        let desired: BTreeMap<AllocId, Arc<Allocation>> =
            desired.allocs.iter().map(|alloc| (alloc.id.clone(), Arc::clone(alloc))).collect();
        let lines = self.lines.borrow().clone();
        let known = lines
            .iter()
            .map(|(id, line)| {
                let view = line.view.borrow();
                (id.clone(), Known { index: view.alloc.alloc_modify_index, ended: view.ended })
            })
            .collect();
        self.settled.retain(|id| desired.contains_key(id));
        let steps = reconcile(&desired, &known, &self.settled);
        for id in steps.forget {
            if let Some(line) = lines.get(&id) {
                line.tell(Order::Destroy).await;
            }
        }
        for alloc in steps.update {
            if let Some(line) = lines.get(&alloc.id) {
                line.tell(Order::Update(alloc)).await;
            }
        }
        for alloc in steps.decline {
            self.settled.insert(alloc.id.clone());
            self.board.put(declined(&alloc));
        }
        for alloc in steps.start {
            let row = AllocRow { alloc, since: site::now(), ..AllocRow::default() };
            self.start(row, None).await;
        }
    }

    async fn start(&mut self, row: AllocRow, tasks: Option<BTreeMap<String, TaskRow>>) {
        let id = row.alloc.id.clone();
        let start = runner::Start {
            site: Arc::clone(&self.site),
            board: Arc::clone(&self.board),
            row,
            tasks,
            changed: Arc::clone(&self.changed),
        };
        let line = runner::run(start, &self.tasks).await;
        self.lines.send_modify(|lines| drop(lines.insert(id, line)));
    }

    fn drop_gone(&mut self) {
        let gone = |lines: &Lines| -> Vec<AllocId> {
            let gone = lines.iter().filter(|(_, line)| line.view.borrow().gone);
            gone.map(|(id, _)| id.clone()).collect()
        };
        let ids = gone(&self.lines.borrow());
        if !ids.is_empty() {
            self.settled.extend(ids.iter().cloned());
            self.lines.send_modify(|lines| {
                for id in &ids {
                    drop(lines.remove(id));
                }
            });
        }
    }

    /// Nomad: ended allocations stay for their logs, until there are too many; the oldest go first.
    async fn collect(&self) {
        let lines = self.lines.borrow().clone();
        let excess = lines.len().saturating_sub(self.gc_max_allocs);
        if excess == 0 {
            return;
        }
        let mut ended: Vec<_> = lines
            .iter()
            .filter(|(_, line)| line.view.borrow().ended)
            .map(|(_, line)| (line.view.borrow().alloc.create_index, line))
            .collect();
        ended.sort_by_key(|(index, _)| *index);
        for (_, line) in ended.into_iter().take(excess) {
            line.tell(Order::Destroy).await;
        }
    }
}

/// An allocation that was not wanted any more when the node first heard of it.
fn declined(alloc: &Allocation) -> Allocation {
    Allocation {
        id: alloc.id.clone(),
        namespace: alloc.namespace.clone(),
        job_id: alloc.job_id.clone(),
        node_id: alloc.node_id.clone(),
        task_group: alloc.task_group.clone(),
        client_status: ClientStatus::Complete,
        client_description: "Stopped before it was started".to_owned(),
        task_states: alloc.task_states.clone(),
        ..Allocation::default()
    }
}

/// Removes what belongs to no allocation of the journal: an agent died before the first row, or somebody removed it.
pub(super) fn sweep(site: &Site, lines: &Lines) {
    let state = &site.settings.state_dir;
    for dir in [site.settings.alloc_dir.clone(), state.join("tasks"), state.join("etc")] {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_alloc = name.len() == 36 && !lines.contains_key(name.as_str());
            if is_alloc {
                let left = super::alloc::dir::AllocDir::new(&dir, &name.as_str().into());
                match left.remove() {
                    Ok(()) => tracing::info!(alloc = %name, "removed what an allocation left"),
                    Err(error) => tracing::warn!(error = %report::chain(&error), "leftover stays"),
                }
            }
        }
    }
}
