//! A small world: nodes, jobs and allocations, and what applying a plan does to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead::model::allocation::AllocDeploymentStatus;
use stead::model::node::DriverInfo;
use stead::model::policy::{ReschedulePolicy, UpdateStrategy};
use stead::model::usage::NodeUse;
use stead::model::*;
use stead::scheduler::{Config, Input, Lookup, NodeSet, Outcome, audit, schedule};

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) index: Index,
    pub(crate) config: Config,
    pub(crate) nodes: BTreeMap<NodeId, Arc<Node>>,
    pub(crate) allocs: BTreeMap<AllocId, Arc<Allocation>>,
    pub(crate) jobs: BTreeMap<JobKey, Vec<Arc<Job>>>,
    pub(crate) deployments: BTreeMap<JobKey, Arc<Deployment>>,
    pub(crate) seed: u64,
}

impl Lookup for World {
    fn node(&self, id: &NodeId) -> Option<Arc<Node>> {
        self.nodes.get(id).cloned()
    }

    fn usage(&self, id: &NodeId) -> Arc<NodeUse> {
        Arc::new(NodeUse::of(self.allocs.values().filter(|a| a.node_id == *id).map(|a| &**a)))
    }

    fn alloc(&self, id: &AllocId) -> Option<Arc<Allocation>> {
        self.allocs.get(id).cloned()
    }

    fn allocs_on(&self, id: &NodeId) -> Vec<Arc<Allocation>> {
        let here = |a: &&Arc<Allocation>| a.node_id == *id && !a.is_client_terminal();
        self.allocs.values().filter(here).cloned().collect()
    }

    fn job_version(&self, key: &JobKey, version: u64) -> Option<Arc<Job>> {
        self.jobs.get(key)?.iter().find(|job| job.version == version).cloned()
    }
}

pub(crate) fn node(name: &str, cpu: i64, memory: i64) -> Node {
    let mut node = Node {
        id: NodeId::from(name),
        name: name.into(),
        datacenter: "dc1".into(),
        node_pool: "default".into(),
        status: NodeStatus::Ready,
        ..Node::default()
    };
    node.attributes.insert("kernel.name".into(), "linux".into());
    node.attributes.insert("nomad.version".into(), "2.0.6".into());
    node.node_resources.cpu.cpu_shares = cpu;
    node.node_resources.cpu.total_cpu_cores = 4;
    node.node_resources.cpu.reservable_cpu_cores = vec![0, 1, 2, 3];
    node.node_resources.memory.memory_mb = memory;
    node.node_resources.disk.disk_mb = 100_000;
    let driver = DriverInfo { detected: true, healthy: true, ..DriverInfo::default() };
    node.drivers.insert("mock_driver".into(), driver);
    node
}

pub(crate) fn job(id: &str, kind: JobType, groups: Vec<TaskGroup>) -> Job {
    Job {
        id: id.into(),
        name: id.into(),
        namespace: "default".into(),
        kind,
        priority: 50,
        datacenters: vec!["*".into()],
        node_pool: "default".into(),
        task_groups: groups,
        ..Job::default()
    }
}

pub(crate) fn group(name: &str, count: i64, cpu: i64, memory: i64) -> TaskGroup {
    let mut task = Task { name: "main".into(), driver: "mock_driver".into(), ..Task::default() };
    task.resources.cpu = cpu;
    task.resources.memory_mb = memory;
    TaskGroup { name: name.into(), count, tasks: vec![task], ..TaskGroup::default() }
}

pub(crate) fn rolling(mut group: TaskGroup, parallel: i64, canary: i64) -> TaskGroup {
    group.update = Some(UpdateStrategy {
        max_parallel: parallel,
        canary,
        progress_deadline: Nanos::from_secs(600),
        ..UpdateStrategy::default()
    });
    group
}

pub(crate) fn rescheduling(mut group: TaskGroup, delay: i64) -> TaskGroup {
    group.reschedule_policy = Some(ReschedulePolicy {
        delay: Nanos::from_secs(delay),
        delay_function: "constant".into(),
        unlimited: true,
        ..ReschedulePolicy::default()
    });
    group
}

pub(crate) fn port(mut group: TaskGroup, label: &str, value: i64) -> TaskGroup {
    let port =
        Port { label: label.into(), value, host_network: "default".into(), ..Port::default() };
    if group.networks.is_empty() {
        group.networks.push(NetworkResource::default());
    }
    let network = &mut group.networks[0];
    if value > 0 {
        network.reserved_ports.push(port);
    } else {
        network.dynamic_ports.push(port);
    }
    group
}

/// Some allocation of the job that is not over.
pub(crate) fn first_alive(world: &World, id: &str) -> Allocation {
    Allocation::clone(&world.alive(id)[0])
}

impl World {
    pub(crate) fn new() -> Self {
        Self { now: Timestamp(1_700_000_000_000_000_000), seed: 1, ..Self::default() }
    }

    pub(crate) fn with_nodes(count: usize) -> Self {
        let mut world = Self::new();
        for i in 0..count {
            world.add_node(node(&format!("node-{i:03}"), 4000, 8192));
        }
        world
    }

    pub(crate) fn add_node(&mut self, mut node: Node) {
        node.computed_class = stead::scheduler::feasible::computed_class(&node);
        self.nodes.insert(node.id.clone(), Arc::new(node));
    }

    pub(crate) fn change_node(&mut self, id: &str, change: impl FnOnce(&mut Node)) {
        let mut node = Node::clone(&self.nodes[&NodeId::from(id)]);
        change(&mut node);
        self.add_node(node);
    }

    /// Registers a job as a server would: the version goes up.
    pub(crate) fn register(&mut self, mut job: Job) -> Arc<Job> {
        self.index += 1;
        let versions = self.jobs.entry(job.key()).or_default();
        job.version = versions.last().map_or(0, |last| last.version + 1);
        job.create_index = versions.last().map_or(self.index, |last| last.create_index);
        job.job_modify_index = self.index;
        job.modify_index = self.index;
        let job = Arc::new(job);
        versions.push(Arc::clone(&job));
        job
    }

    pub(crate) fn job(&self, id: &str) -> Arc<Job> {
        Arc::clone(self.jobs[&JobKey::new("default", id)].last().expect("made by the test"))
    }

    pub(crate) fn evaluation(&self, job: &Job) -> Evaluation {
        Evaluation {
            id: EvalId::from(format!("eval-{}", self.index)),
            namespace: job.namespace.clone(),
            job_id: job.id.clone(),
            priority: job.priority,
            kind: job.kind.as_str().into(),
            ..Evaluation::default()
        }
    }

    pub(crate) fn of_job(&self, id: &str) -> Vec<Arc<Allocation>> {
        self.allocs.values().filter(|alloc| alloc.job_id == id).cloned().collect()
    }

    pub(crate) fn alive(&self, id: &str) -> Vec<Arc<Allocation>> {
        self.of_job(id).into_iter().filter(|alloc| !alloc.is_terminal()).collect()
    }

    /// Schedules without applying, and audits the plan.
    pub(crate) fn decide(&mut self, eval: &Evaluation) -> Outcome {
        self.seed += 1;
        let key = eval.job_key();
        let job = self.jobs.get(&key).and_then(|versions| versions.last()).cloned();
        let (pool, datacenters) = job
            .as_ref()
            .map(|job| (job.node_pool.clone(), job.datacenters.clone()))
            .unwrap_or_default();
        let input = Input {
            eval,
            job,
            allocs: self.of_job(&eval.job_id),
            deployment: self.deployments.get(&key).cloned(),
            nodes: Arc::new(NodeSet::new(self.nodes.values(), &pool, &datacenters)),
            config: &self.config,
            snapshot_index: self.index,
            lookup: self,
        };
        let outcome = schedule(&input, self.seed, self.now);
        let problems = audit::problems(&input, &outcome);
        assert!(problems.is_empty(), "{problems:#?}\n{outcome:#?}");
        let again = schedule(&input, self.seed, self.now);
        assert_eq!(outcome, again, "the same input gives the same plan");
        outcome
    }

    /// Schedules a job and applies the plan.
    pub(crate) fn run(&mut self, id: &str) -> Outcome {
        let eval = self.evaluation(&self.job(id));
        self.run_eval(&eval)
    }

    pub(crate) fn run_eval(&mut self, eval: &Evaluation) -> Outcome {
        let outcome = self.decide(eval);
        self.apply(&outcome);
        outcome
    }

    pub(crate) fn apply(&mut self, outcome: &Outcome) {
        self.index += 1;
        let plan = &outcome.plan;
        if let Some(deployment) = &plan.deployment {
            self.deployments.insert(deployment.job_key(), Arc::new(deployment.clone()));
        }
        for update in &plan.deployment_updates {
            for deployment in self.deployments.values_mut().filter(|d| d.id == update.deployment_id)
            {
                Arc::make_mut(deployment).status = update.status;
            }
        }
        let changed = plan.node_update.values().chain(plan.node_preemptions.values());
        for alloc in changed.chain(plan.node_allocation.values()).flatten() {
            self.upsert(alloc);
        }
    }

    fn upsert(&mut self, alloc: &Allocation) {
        let key = alloc.job_key();
        let job = self.job_version(&key, alloc.version()).expect("made by the test");
        let mut alloc = alloc.clone().attached(job);
        let is_new = !self.allocs.contains_key(&alloc.id);
        if is_new {
            alloc.create_index = self.index;
            if let Some(previous) = self.allocs.get_mut(&alloc.previous_allocation) {
                Arc::make_mut(previous).next_allocation = alloc.id.clone();
            }
            if let Some(deployment) = self.deployments.get_mut(&key)
                && deployment.id == alloc.deployment_id
                && let Some(state) =
                    Arc::make_mut(deployment).task_groups.get_mut(&alloc.task_group)
            {
                state.placed_allocs += 1;
                if alloc.deployment_status.as_ref().is_some_and(|status| status.canary) {
                    state.placed_canaries.push(alloc.id.clone());
                }
            }
        }
        alloc.modify_index = self.index;
        self.allocs.insert(alloc.id.clone(), Arc::new(alloc));
    }

    pub(crate) fn change(&mut self, id: &AllocId, change: impl FnOnce(&mut Allocation)) {
        change(Arc::make_mut(self.allocs.get_mut(id).expect("made by the test")));
    }

    /// The nodes do what is wanted: what is to stop stops, what is to run runs.
    pub(crate) fn obey(&mut self) {
        for alloc in self.allocs.values_mut().map(Arc::make_mut) {
            if alloc.is_client_terminal() {
                continue;
            }
            let stopped = alloc.is_server_terminal();
            alloc.client_status =
                if stopped { ClientStatus::Complete } else { ClientStatus::Running };
        }
    }

    /// Everything of the job's deployment that runs is healthy; what failed is to be replaced, as its watcher says.
    pub(crate) fn heal(&mut self, id: &str) {
        let Some(deployment) = self.deployments.get_mut(&JobKey::new("default", id)) else {
            return;
        };
        let deployment = Arc::make_mut(deployment);
        for state in deployment.task_groups.values_mut() {
            state.healthy_allocs = 0;
        }
        for alloc in self.allocs.values_mut() {
            if alloc.deployment_id != deployment.id {
                continue;
            }
            let alloc = Arc::make_mut(alloc);
            if alloc.client_status == ClientStatus::Failed {
                alloc.desired_transition.reschedule = Some(true);
            }
            if alloc.is_terminal() {
                continue;
            }
            alloc.deployment_status.get_or_insert_with(AllocDeploymentStatus::default).healthy =
                Some(true);
            if let Some(state) = deployment.task_groups.get_mut(&alloc.task_group) {
                state.healthy_allocs += 1;
            }
        }
    }

    pub(crate) fn fail(&mut self, id: &AllocId) {
        let now = self.now;
        self.change(id, |alloc| {
            alloc.client_status = ClientStatus::Failed;
            alloc.modify_time = now;
        });
    }

    pub(crate) fn wait(&mut self, seconds: i64) {
        self.now = self.now.plus(Nanos::from_secs(seconds));
    }
}
