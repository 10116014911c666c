//! What commands do, one by one, and what holds after any sequence of them.

mod deployments;
mod jobs;
mod nodes;
mod plans;
mod properties;

use std::sync::Arc;

use crate::model::resources::{AllocatedPort, AllocatedTaskResources};
use crate::model::{
    Allocation, ClientStatus, DesiredStatus, EvalStatus, Evaluation, Index, Job, JobKey, JobType,
    Node, NodeStatus, Plan, Task, TaskGroup, Timestamp,
};
use crate::state::command::{Command, Intent, Refusal, Reply};
use crate::state::{Applied, State, apply};

pub(in crate::state) use properties::random_log;

/// A state and the index of the last command.
#[derive(Debug, Clone)]
struct World {
    state: State,
    log: Vec<Command>,
}

impl World {
    fn new() -> Self {
        Self { state: State::new(), log: Vec::new() }
    }

    fn index(&self) -> Index {
        self.log.len() as Index
    }

    fn apply(&mut self, intent: Intent) -> Applied {
        let time = Timestamp(1_000_000_000 * (i64::try_from(self.log.len()).unwrap() + 1));
        // As the log has it.
        let command = Command { time, intent }.detached();
        let text = serde_json::to_string(&command).unwrap();
        let command: Command = serde_json::from_str(&text).unwrap();
        self.log.push(command.clone());
        apply(&mut self.state, &command, self.log.len() as Index)
    }

    #[track_caller]
    fn ok(&mut self, intent: Intent) -> Applied {
        let applied = self.apply(intent);
        assert!(!matches!(applied.reply, Reply::Refused(_)), "{:?}", applied.reply);
        applied
    }

    #[track_caller]
    fn refused(&mut self, intent: Intent) -> Refusal {
        let before = dump(&self.state);
        let applied = self.apply(intent);
        assert_eq!(dump(&self.state), before, "a refused command changed rows");
        assert!(applied.changes.is_empty() && applied.events.is_empty());
        match applied.reply {
            Reply::Refused(refusal) => refusal,
            Reply::Done | Reply::Job { .. } | Reply::Plan(_) => panic!("not refused"),
        }
    }

    fn register(&mut self, job: Job) -> Applied {
        let evals = self.log.len();
        let eval = (!job.is_parent()).then(|| Box::new(eval(&format!("eval-{evals}"), &job)));
        self.ok(Intent::RegisterJob {
            job: Box::new(job),
            submission: None,
            enforce_index: None,
            eval,
        })
    }

    fn job(&self, id: &str) -> Arc<Job> {
        Arc::clone(self.state.job(&key(id)).unwrap())
    }

    fn alloc(&self, id: &str) -> Arc<Allocation> {
        Arc::clone(self.state.alloc(&id.into()).unwrap())
    }

    /// Places allocations of the current version on `node`.
    fn place(&mut self, job: &str, node: &str, ids: &[&str]) -> Applied {
        let job = self.job(job);
        let allocs = ids.iter().map(|id| alloc(id, &job, node)).collect();
        self.ok(plan(&job, node, allocs, Vec::new()))
    }

    fn tell(&mut self, id: &str, status: ClientStatus) -> Applied {
        let told = Allocation { client_status: status, ..Allocation::clone(&self.alloc(id)) };
        self.ok(Intent::UpdateAllocsFromClient { allocs: vec![told], evals: Vec::new() })
    }

    fn complete(&mut self, eval: &str) -> Applied {
        let eval = Evaluation {
            status: EvalStatus::Complete,
            ..Evaluation::clone(self.state.eval(&eval.into()).unwrap())
        };
        self.ok(Intent::UpsertEvals(vec![eval]))
    }
}

fn key(id: &str) -> JobKey {
    JobKey::new("default", id)
}

fn job(id: &str) -> Job {
    Job {
        id: id.into(),
        name: id.into(),
        namespace: "default".into(),
        priority: 50,
        kind: JobType::Service,
        task_groups: vec![TaskGroup {
            name: "web".into(),
            count: 1,
            tasks: vec![Task { name: "main".into(), ..Task::default() }],
            ..TaskGroup::default()
        }],
        ..Job::default()
    }
}

fn eval(id: &str, job: &Job) -> Evaluation {
    Evaluation {
        id: id.into(),
        namespace: job.namespace.clone(),
        job_id: job.id.clone(),
        priority: job.priority,
        kind: job.kind.as_str().into(),
        ..Evaluation::default()
    }
}

fn node(id: &str) -> Node {
    let mut node = Node {
        id: id.into(),
        name: id.into(),
        node_pool: "default".into(),
        status: NodeStatus::Ready,
        ..Node::default()
    };
    node.node_resources.cpu.cpu_shares = 1000;
    node.node_resources.memory.memory_mb = 1000;
    node.node_resources.disk.disk_mb = 1000;
    node
}

fn alloc(id: &str, job: &Arc<Job>, node: &str) -> Allocation {
    let mut alloc = Allocation {
        id: id.into(),
        namespace: job.namespace.clone(),
        eval_id: "eval-of-plan".into(),
        name: format!("{}.web[0]", job.id),
        node_id: node.into(),
        job_id: job.id.clone(),
        job: Some(Arc::clone(job)),
        task_group: "web".into(),
        ..Allocation::default()
    };
    let mut task = AllocatedTaskResources::default();
    task.cpu.cpu_shares = 100;
    task.memory.memory_mb = 100;
    alloc.allocated_resources.tasks.insert("main".into(), task);
    alloc
}

fn with_port(mut alloc: Allocation, port: u16) -> Allocation {
    alloc.allocated_resources.shared.ports.push(AllocatedPort {
        label: "http".into(),
        value: port,
        ..AllocatedPort::default()
    });
    alloc
}

fn stopped(alloc: &Allocation) -> Allocation {
    Allocation { desired_status: DesiredStatus::Stop, ..alloc.clone() }
}

fn plan(job: &Arc<Job>, node: &str, place: Vec<Allocation>, stop: Vec<Allocation>) -> Intent {
    let mut plan = Plan { job: Some(Arc::clone(job)), ..Plan::default() };
    if !place.is_empty() {
        plan.node_allocation.insert(node.into(), place);
    }
    if !stop.is_empty() {
        plan.node_update.insert(node.into(), stop);
    }
    Intent::ApplyPlan { plan: Box::new(plan), preemption_evals: Vec::new(), on_full: Vec::new() }
}

/// Every row as text.
fn dump(state: &State) -> Vec<(&'static str, String, String)> {
    state
        .row_keys()
        .filter_map(|key| Some((key.table().name(), key.text(), state.row_text(&key)?.0)))
        .collect()
}
