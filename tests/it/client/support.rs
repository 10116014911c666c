//! Servers in memory, and a node that asks them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::json;
use stead::client::alloc::dir::AllocDir;
use stead::client::{ClientConfig, Desired, Lease, Local, Parts, Running, Upstream, UpstreamError};
use stead::driver::{Drivers, Settings, StoredHandle};
use stead::model::{
    AllocId, Allocation, ClientStatus, DesiredStatus, Index, Job, JobType, Nanos, Node, NodeId,
    Task, TaskGroup,
};
use stead::sys::tasks::Stop;
use tokio::sync::watch;

/// What the servers know.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) index: Index,
    pub(super) allocs: BTreeMap<AllocId, Arc<Allocation>>,
    pub(super) node: Option<Arc<Node>>,
    pub(super) registrations: usize,
    pub(super) updates: usize,
}

/// Servers in memory.
#[derive(Debug, Clone)]
pub(super) struct Servers {
    world: watch::Sender<World>,
    /// Every client status each allocation had, in order.
    history: Arc<Mutex<Vec<(AllocId, ClientStatus)>>>,
}

impl Servers {
    pub(super) fn new() -> Self {
        Self {
            world: watch::channel(World { index: 1, ..World::default() }).0,
            history: Arc::default(),
        }
    }

    pub(super) fn place(&self, alloc: Allocation) {
        self.world.send_modify(|world| {
            world.index += 1;
            let index = world.index;
            let alloc = Allocation {
                create_index: index,
                alloc_modify_index: index,
                modify_index: index,
                ..alloc
            };
            world.allocs.insert(alloc.id.clone(), Arc::new(alloc));
        });
    }

    pub(super) fn change(&self, id: &str, change: impl FnOnce(&mut Allocation)) {
        self.world.send_modify(|world| {
            world.index += 1;
            let mut alloc = Allocation::clone(&world.allocs[&AllocId::from(id)]);
            change(&mut alloc);
            alloc.alloc_modify_index = world.index;
            world.allocs.insert(alloc.id.clone(), Arc::new(alloc));
        });
    }

    pub(super) fn stop(&self, id: &str) {
        self.change(id, |alloc| alloc.desired_status = DesiredStatus::Stop);
    }

    pub(super) fn forget(&self, id: &str) {
        self.world.send_modify(|world| {
            world.index += 1;
            world.allocs.remove(&AllocId::from(id));
        });
    }

    pub(super) fn alloc(&self, id: &str) -> Arc<Allocation> {
        Arc::clone(&self.world.borrow().allocs[&AllocId::from(id)])
    }

    pub(super) fn world(&self) -> World {
        self.world.borrow().clone()
    }

    /// The statuses an allocation went through.
    pub(super) fn statuses(&self, id: &str) -> Vec<ClientStatus> {
        let history = self.history.lock().unwrap();
        history.iter().filter(|(of, _)| of.as_str() == id).map(|(_, status)| *status).collect()
    }

    /// Waits until the allocation is as `is` says.
    pub(super) async fn until(
        &self,
        id: &str,
        what: &str,
        is: impl Fn(&Allocation) -> bool,
    ) -> Arc<Allocation> {
        let id = AllocId::from(id);
        let mut world = self.world.subscribe();
        let waited = world.wait_for(|world| world.allocs.get(&id).is_some_and(|alloc| is(alloc)));
        match tokio::time::timeout(Duration::from_secs(20), waited).await {
            Ok(world) => Arc::clone(&world.unwrap().allocs[&id]),
            Err(tokio::time::error::Elapsed { .. }) => {
                panic!("{id} is not {what}: {:#?}", self.alloc(id.as_str()).task_states)
            }
        }
    }

    pub(super) async fn until_status(&self, id: &str, status: ClientStatus) -> Arc<Allocation> {
        self.until(id, &format!("{status:?}"), |alloc| alloc.client_status == status).await
    }
}

impl Upstream for Servers {
    fn register(&self, node: Arc<Node>) -> BoxFuture<'_, Result<Lease, UpstreamError>> {
        self.world.send_modify(|world| {
            world.node = Some(node);
            world.registrations += 1;
        });
        Box::pin(async { Ok(Lease { ttl: Duration::from_secs(10) }) })
    }

    fn heartbeat(&self, _node: &NodeId) -> BoxFuture<'_, Result<Lease, UpstreamError>> {
        Box::pin(async { Ok(Lease { ttl: Duration::from_secs(10) }) })
    }

    fn desired(
        &self,
        _node: &NodeId,
        after: Index,
    ) -> BoxFuture<'_, Result<Desired, UpstreamError>> {
        let mut world = self.world.subscribe();
        Box::pin(async move {
            let world = world.wait_for(|world| world.index > after).await.unwrap();
            Ok(Desired { index: world.index, allocs: world.allocs.values().cloned().collect() })
        })
    }

    fn update(
        &self,
        _node: &NodeId,
        allocs: Vec<Allocation>,
    ) -> BoxFuture<'_, Result<(), UpstreamError>> {
        self.world.send_modify(|world| {
            world.updates += 1;
            for told in allocs {
                self.history.lock().unwrap().push((told.id.clone(), told.client_status));
                let Some(alloc) = world.allocs.get(&told.id) else { continue };
                let alloc = Allocation {
                    client_status: told.client_status,
                    client_description: told.client_description,
                    task_states: told.task_states,
                    deployment_status: told.deployment_status,
                    network_status: told.network_status,
                    ..Allocation::clone(alloc)
                };
                world.allocs.insert(told.id, Arc::new(alloc));
            }
        });
        Box::pin(async { Ok(()) })
    }
}

/// A directory for a node. Nothing of the node is left when it goes, also when a test fails.
pub(super) struct Place {
    dir: tempfile::TempDir,
    cgroup_parent: String,
}

impl Place {
    pub(super) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("stead-client-").tempdir().unwrap();
        let name = dir.path().file_name().unwrap().to_string_lossy().into_owned();
        Self { dir, cgroup_parent: format!("/{name}.slice") }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    fn config(&self) -> ClientConfig {
        ClientConfig {
            cgroup_parent: self.cgroup_parent.clone(),
            ..ClientConfig::new(self.path().join("client"), self.path().join("alloc"))
        }
    }

    /// Every task whose records are still there.
    fn tasks(&self) -> Vec<(String, String, PathBuf)> {
        let below = |dir: &Path| -> Vec<PathBuf> {
            std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect()
        };
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let allocs = below(&self.path().join("client/tasks"));
        let tasks = allocs.iter().flat_map(|dir| below(dir));
        tasks.map(|task| (name(task.parent().unwrap()), name(&task), task)).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (tasks, cgroup_parent) = (self.tasks(), self.cgroup_parent.clone());
        let destroy = move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let driver = drivers().get("raw_exec").unwrap();
                for (alloc_id, task, state) in tasks {
                    let driver_name = "raw_exec".to_owned();
                    let cgroup_parent = cgroup_parent.clone();
                    let stored =
                        StoredHandle { driver: driver_name, alloc_id, task, state, cgroup_parent };
                    drop(driver.recover(stored).await.destroy().await);
                }
            });
        };
        drop(std::thread::spawn(destroy).join());
        for entry in std::fs::read_dir(self.path().join("alloc")).into_iter().flatten().flatten() {
            let id = entry.file_name().to_string_lossy().into_owned();
            drop(AllocDir::new(&self.path().join("alloc"), &id.as_str().into()).remove());
        }
        Drivers::remove_cgroup_parent(&self.cgroup_parent);
    }
}

fn drivers() -> Drivers {
    Drivers::new(Settings {
        program: env!("CARGO_BIN_EXE_stead").into(),
        raw_exec: true,
        mock: true,
        ..Settings::default()
    })
}

/// A node below a directory.
pub(super) struct NodeUnderTest {
    pub(super) client: Local,
    running: Running,
    stop: Stop,
}

impl NodeUnderTest {
    pub(super) async fn start(place: &Place, servers: &Servers) -> Self {
        Self::start_with(place.config(), servers).await
    }

    pub(super) async fn start_with(config: ClientConfig, servers: &Servers) -> Self {
        let parts = Parts { drivers: drivers(), images: None };
        let stop = Stop::new();
        let (client, running) =
            Local::start(config, parts, Arc::new(servers.clone()), &stop).await.unwrap();
        Self { client, running, stop }
    }

    pub(super) async fn shutdown(self) {
        self.stop.cancel();
        self.running.shutdown().await;
    }
}

/// A task for the mock driver.
#[expect(clippy::needless_pass_by_value, reason = "what `json!` makes is written in place")]
pub(super) fn mock(name: &str, config: serde_json::Value) -> Task {
    Task {
        name: name.to_owned(),
        driver: "mock_driver".to_owned(),
        config: config.as_object().cloned(),
        kill_timeout: Nanos::from_secs(5),
        ..Task::default()
    }
}

/// A shell script for the `raw_exec` driver.
pub(super) fn script(name: &str, script: &str) -> Task {
    let config = json!({ "command": "/bin/sh", "args": ["-c", script] });
    Task { driver: "raw_exec".to_owned(), ..mock(name, config) }
}

/// An allocation of a group with these tasks, to be placed.
pub(super) fn alloc(id: &str, kind: JobType, tasks: Vec<Task>) -> Allocation {
    let group = TaskGroup { name: "app".to_owned(), count: 1, tasks, ..TaskGroup::default() };
    let job = Job {
        id: "web".to_owned(),
        name: "web".to_owned(),
        namespace: "default".to_owned(),
        kind,
        task_groups: vec![group],
        ..Job::default()
    };
    Allocation {
        id: id.into(),
        name: "web.app[0]".to_owned(),
        namespace: "default".to_owned(),
        job_id: "web".to_owned(),
        task_group: "app".to_owned(),
        job: Some(Arc::new(job)),
        ..Allocation::default()
    }
}

/// The types of a task's events.
pub(super) fn events(alloc: &Allocation, task: &str) -> Vec<String> {
    alloc.task_states[task].events.iter().map(|event| event.kind.clone()).collect()
}
