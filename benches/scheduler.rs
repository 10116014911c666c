//! Placements a second. `cargo bench --bench scheduler`; prints a table.
//!
//! One thread, the pure scheduler alone, on clusters of several sizes, for jobs of several counts; then the same
//! again on a cluster that already runs many unrelated jobs, to show that these cost nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use stead::model::node::DriverInfo;
use stead::model::resources::AllocatedTaskResources;
use stead::model::usage::NodeUse;
use stead::model::{
    AllocId, Allocation, Constraint, Evaluation, Job, JobKey, NetworkResource, Node, NodeId,
    NodeStatus, Port, Spread, Task, TaskGroup, Timestamp,
};
use stead::scheduler::{Config, Input, Lookup, NodeSet, schedule};

#[derive(Debug, Default)]
struct World {
    nodes: HashMap<NodeId, Arc<Node>>,
    usage: HashMap<NodeId, Arc<NodeUse>>,
}

impl Lookup for World {
    fn node(&self, id: &NodeId) -> Option<Arc<Node>> {
        self.nodes.get(id).cloned()
    }

    fn usage(&self, id: &NodeId) -> Arc<NodeUse> {
        self.usage.get(id).cloned().unwrap_or_default()
    }

    fn alloc(&self, _: &AllocId) -> Option<Arc<Allocation>> {
        None
    }

    fn allocs_on(&self, _: &NodeId) -> Vec<Arc<Allocation>> {
        Vec::new()
    }

    fn job_version(&self, _: &JobKey, _: u64) -> Option<Arc<Job>> {
        None
    }
}

fn world(nodes: usize) -> World {
    let mut world = World::default();
    for i in 0..nodes {
        let mut node = Node {
            id: NodeId::from(format!("{i:08x}-0000-4000-8000-000000000000")),
            name: format!("node-{i}"),
            datacenter: "dc1".into(),
            node_pool: "default".into(),
            status: NodeStatus::Ready,
            ..Node::default()
        };
        for attribute in 0..60 {
            node.attributes.insert(format!("attribute.{attribute}"), "value".into());
        }
        node.attributes.insert("kernel.name".into(), "linux".into());
        node.node_resources.cpu.cpu_shares = 1_000_000_000;
        node.node_resources.memory.memory_mb = 1_000_000_000;
        node.node_resources.disk.disk_mb = 1_000_000_000;
        let driver = DriverInfo { detected: true, healthy: true, ..DriverInfo::default() };
        node.drivers.insert("container".into(), driver);
        node.computed_class = stead::scheduler::feasible::computed_class(&node);
        world.nodes.insert(node.id.clone(), Arc::new(node));
    }
    world
}

#[expect(clippy::fn_params_excessive_bools, reason = "a table of variants")]
fn job(count: i64, ports: bool, spread: bool) -> Job {
    let mut task = Task { name: "main".into(), driver: "container".into(), ..Task::default() };
    task.resources.cpu = 100;
    task.resources.memory_mb = 128;
    let mut group =
        TaskGroup { name: "app".into(), count, tasks: vec![task], ..TaskGroup::default() };
    if ports {
        let port = Port { label: "http".into(), ..Port::default() };
        let network = NetworkResource { dynamic_ports: vec![port], ..NetworkResource::default() };
        group.networks.push(network);
    }
    if spread {
        group.spreads.push(Spread {
            attribute: "${node.datacenter}".into(),
            weight: 50,
            ..Spread::default()
        });
    }
    group.constraints.push(Constraint {
        left: "${attr.kernel.name}".into(),
        right: "linux".into(),
        operator: "=".into(),
    });
    Job {
        id: "bench".into(),
        namespace: "default".into(),
        priority: 50,
        datacenters: vec!["*".into()],
        node_pool: "default".into(),
        task_groups: vec![group],
        ..Job::default()
    }
}

/// Evaluates the job as new again and again for a second; the rate of placements and the time of an evaluation.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures")]
fn measure(world: &mut World, nodes: &Arc<NodeSet>, job: &Job) -> (f64, f64) {
    let (config, job) = (Config::default(), Arc::new(job.clone()));
    let eval =
        Evaluation { job_id: job.id.clone(), kind: "service".into(), ..Evaluation::default() };
    let (mut placed, mut evals) = (0usize, 0u32);
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < 1.0 {
        evals += 1;
        let input = Input {
            eval: &eval,
            job: Some(Arc::clone(&job)),
            allocs: Vec::new(),
            deployment: None,
            nodes: Arc::clone(nodes),
            config: &config,
            snapshot_index: 1,
            lookup: world,
        };
        let outcome = schedule(&input, u64::from(evals), Timestamp(1));
        for (node, allocs) in &outcome.plan.node_allocation {
            placed += allocs.len();
            let usage = Arc::make_mut(world.usage.entry(node.clone()).or_default());
            // The ports of a bench that never ends would run out.
            usage.cpu += i64::try_from(allocs.len()).unwrap_or(0);
        }
        assert!(outcome.is_complete(), "{:?}", outcome.failed);
    }
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let rate = placed as f64 / seconds;
    (rate, seconds / f64::from(evals) * 1e6)
}

#[expect(clippy::print_stdout, reason = "prints a table")]
fn main() {
    println!(
        "{:>6} {:>6} {:>6} {:>7} {:>14} {:>12}",
        "nodes", "count", "ports", "spread", "placements/s", "µs per eval"
    );
    for nodes in [1, 100, 1000, 5000] {
        for (count, ports, spread) in [
            (1, false, false),
            (10, false, false),
            (10, true, false),
            (1000, false, false),
            (10, false, true),
        ] {
            let mut world = world(nodes);
            let set = NodeSet::new(world.nodes.values(), "default", &["*".to_owned()]);
            let job = job(count, ports, spread);
            let (rate, each) = measure(&mut world, &Arc::new(set), &job);
            println!("{nodes:>6} {count:>6} {ports:>6} {spread:>7} {rate:>14.0} {each:>12.1}");
        }
    }
    unrelated();
}

/// The same evaluation on a cluster with and without many allocations of other jobs.
#[expect(clippy::print_stdout, reason = "prints a table")]
fn unrelated() {
    println!("\nunrelated allocations on 100 nodes → µs per evaluation of a job of 10 with ports");
    for others in [0usize, 10_000, 100_000] {
        let mut world = world(100);
        let ids: Vec<NodeId> = world.nodes.keys().cloned().collect();
        for i in 0..others {
            let id = AllocId::from(format!("{i:036}"));
            let mut alloc = Allocation { id, ..Allocation::default() };
            alloc
                .allocated_resources
                .tasks
                .insert("main".into(), AllocatedTaskResources::default());
            let usage = world.usage.entry(ids[i % ids.len()].clone()).or_default();
            Arc::make_mut(usage).add(&alloc);
        }
        let set = Arc::new(NodeSet::new(world.nodes.values(), "default", &["*".to_owned()]));
        let (_, each) = measure(&mut world, &set, &job(10, true, false));
        println!("{others:>8} {each:>10.1}");
    }
}
