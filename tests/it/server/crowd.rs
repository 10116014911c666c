//! A server and nodes that do what they are told, in one process and without any container.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use stead::model::allocation::AllocDeploymentStatus;
use stead::model::node::DriverInfo;
use stead::model::policy::{MigrateStrategy, UpdateStrategy};
use stead::model::*;
use stead::raft::{RaftConfig, RaftHandle, open};
use stead::server::{JobChanged, RegisterJob, Server, ServerConfig};
use stead::state::State;
use stead::sys::tasks::{Stop, Tasks};

/// How long a test waits for anything.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A server and its nodes. Nodes obey in the background until it is dropped.
pub(crate) struct Crowd {
    pub(crate) server: Server,
    raft: RaftHandle,
    stop: Stop,
    tasks: Tasks,
    temper: Arc<Mutex<Temper>>,
}

/// How nodes treat their allocations.
#[derive(Debug, Default, Clone)]
struct Temper {
    /// Client statuses by job id; others run and are healthy.
    by_job: HashMap<String, ClientStatus>,
    /// Nodes that say nothing.
    silent: Vec<NodeId>,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn node(name: &str, cpu: i64, memory: i64) -> Node {
    let mut node = Node {
        id: NodeId::from(name),
        name: name.into(),
        datacenter: "dc1".into(),
        node_pool: "default".into(),
        ..Node::default()
    };
    node.node_resources.cpu.cpu_shares = cpu;
    node.node_resources.cpu.total_cpu_cores = 4;
    node.node_resources.memory.memory_mb = memory;
    node.node_resources.disk.disk_mb = 100_000;
    let driver = DriverInfo { detected: true, healthy: true, ..DriverInfo::default() };
    node.drivers.insert("mock_driver".into(), driver);
    node
}

pub(crate) fn job(id: &str, kind: JobType, count: i64, memory: i64) -> Job {
    let mut task = Task { name: "main".into(), driver: "mock_driver".into(), ..Task::default() };
    task.resources.cpu = 10;
    task.resources.memory_mb = memory;
    let group = TaskGroup {
        name: "app".into(),
        count,
        tasks: vec![task],
        migrate: Some(MigrateStrategy { max_parallel: 1, ..MigrateStrategy::default() }),
        ..TaskGroup::default()
    };
    Job {
        id: id.into(),
        name: id.into(),
        namespace: "default".into(),
        kind,
        priority: 50,
        datacenters: vec!["*".into()],
        node_pool: "default".into(),
        task_groups: vec![group],
        ..Job::default()
    }
}

pub(crate) fn rolling(mut job: Job, parallel: i64, canary: i64) -> Job {
    job.task_groups[0].update = Some(UpdateStrategy {
        max_parallel: parallel,
        canary,
        progress_deadline: Nanos::from_secs(600),
        auto_revert: true,
        ..UpdateStrategy::default()
    });
    job
}

pub(crate) fn changed(mut job: Job, value: &str) -> Job {
    job.task_groups[0].tasks[0].env.insert("V".into(), value.into());
    job
}

impl Crowd {
    pub(crate) async fn new() -> Self {
        Self::with(ServerConfig::default(), RaftConfig::in_memory()).await
    }

    pub(crate) async fn with(config: ServerConfig, log: RaftConfig) -> Self {
        let stop = Stop::new();
        let raft = open(log).await.expect("made by the test");
        let server = Server::start(raft.clone(), config, &stop);
        assert!(server.wait_until_leading(LONG).await, "nobody leads");
        let tasks = Tasks::new("crowd", &stop);
        Self { server, raft, stop, tasks, temper: Arc::default() }
    }

    /// A node joins, and obeys from now on.
    pub(crate) async fn join(&self, node: Node) {
        let id = node.id.clone();
        self.server.register_node(node).await.expect("made by the test");
        let (server, temper) = (self.server.clone(), Arc::clone(&self.temper));
        let stop = self.tasks.stop_token();
        self.tasks.spawn("node", async move {
            let mut seen = 0;
            loop {
                let (index, allocs) = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    answer = server.node_allocs(&id, seen, LONG) => answer,
                };
                seen = index;
                let temper = temper.lock().expect("made by the test").clone();
                if temper.silent.contains(&id) {
                    continue;
                }
                let told: Vec<Allocation> =
                    allocs.iter().filter_map(|alloc| obey(alloc, &temper)).collect();
                if !told.is_empty() && server.update_allocs(told).await.is_err() {
                    return;
                }
            }
        });
    }

    pub(crate) fn ending(&self, job: &str, status: ClientStatus) {
        self.temper.lock().expect("made by the test").by_job.insert(job.into(), status);
    }

    pub(crate) fn silence(&self, node: &str) {
        self.temper.lock().expect("made by the test").silent.push(NodeId::from(node));
    }

    pub(crate) async fn register(&self, job: Job) -> JobChanged {
        let wanted = RegisterJob { job, ..RegisterJob::default() };
        self.server.register_job(wanted).await.expect("made by the test")
    }

    /// Waits until the state is so; panics with what it is otherwise.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) -> Arc<State> {
        let mut follow = self.server.watch().follow();
        let found = follow.wait_for(|state| is_so(state));
        match tokio::time::timeout(LONG, found).await.ok() {
            Some(state) => Arc::clone(&state.expect("made by the test")),
            None => panic!("not in time: {what}\n{}", describe(&self.server.state())),
        }
    }

    pub(crate) async fn shutdown(self) {
        self.stop.cancel();
        assert!(self.server.shutdown(LONG).await, "the loops did not end");
        self.raft.shutdown().await;
    }
}

fn obey(alloc: &Allocation, temper: &Temper) -> Option<Allocation> {
    if alloc.is_client_terminal() {
        return None;
    }
    let mut told = alloc.clone();
    if alloc.is_server_terminal() {
        told.client_status = ClientStatus::Complete;
        return Some(told);
    }
    let wanted = temper.by_job.get(&alloc.job_id).copied().unwrap_or(ClientStatus::Running);
    let healthy = wanted == ClientStatus::Running;
    let watched = !alloc.deployment_id.is_empty();
    let known = alloc.deployment_status.as_ref().and_then(|status| status.healthy);
    if alloc.client_status == wanted && (!watched || known.is_some()) {
        return None;
    }
    told.client_status = wanted;
    if watched {
        let canary = alloc.deployment_status.as_ref().is_some_and(|status| status.canary);
        told.deployment_status = Some(AllocDeploymentStatus {
            healthy: Some(healthy),
            canary,
            ..AllocDeploymentStatus::default()
        });
    }
    Some(told)
}

pub(crate) fn key(id: &str) -> JobKey {
    JobKey::new("default", id)
}

pub(crate) fn running(state: &State, id: &str) -> usize {
    state
        .allocs_by_job(&key(id))
        .filter(|a| {
            a.client_status == ClientStatus::Running && a.desired_status == DesiredStatus::Run
        })
        .count()
}

pub(crate) fn describe(state: &State) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for alloc in state.allocs() {
        writeln!(
            text,
            "alloc {} {} v{} on {}: {:?}/{:?} {} {:?} next {}",
            alloc.id.short(),
            alloc.name,
            alloc.version(),
            alloc.node_id,
            alloc.desired_status,
            alloc.client_status,
            alloc.desired_description,
            alloc.deployment_status,
            alloc.next_allocation.short(),
        )
        .expect("made by the test");
    }
    for eval in state.evals() {
        writeln!(
            text,
            "eval {} {} {:?} {:?} {}",
            eval.id.short(),
            eval.job_id,
            eval.triggered_by,
            eval.status,
            eval.status_description
        )
        .expect("made by the test");
    }
    for deployment in state.deployments() {
        writeln!(
            text,
            "deployment {} {:?} {:?}",
            deployment.id.short(),
            deployment.status,
            deployment.task_groups
        )
        .expect("made by the test");
    }
    text
}
