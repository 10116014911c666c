//! What holds after any sequence of commands.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::allocation::AllocDeploymentStatus;
use crate::model::deployment::DeploymentState;
use crate::model::job::{ChildrenSummary, GroupSummary};
use crate::model::node::{DrainStrategy, Eligibility};
use crate::model::plan::DeploymentStatusUpdate;
use crate::model::{Deployment, DeploymentStatus, JobStatus};
use crate::state::Table;
use crate::state::command::NodeDrain;

type Step = (u8, u8, u8, u8);

const JOBS: [&str; 4] = ["a", "b", "a/periodic-1", "a/periodic-2"];
const NODES: [&str; 2] = ["n", "m"];

/// A command made of four small numbers and the state; garbage collection only when `collects`.
#[expect(clippy::too_many_lines, reason = "one short arm for each kind of command")]
fn intent(state: &State, (op, a, b, c): Step, collects: bool, serial: usize) -> Intent {
    let id = JOBS[usize::from(a) % JOBS.len()];
    let node_id = NODES[usize::from(b) % NODES.len()];
    let parent = if id.contains('/') { "a" } else { "" };
    let spec = Job { priority: i64::from(c % 3), parent_id: parent.into(), ..job(id) };
    let new_eval = |job: &Job| Some(Box::new(eval(&format!("e{serial}"), job)));
    let pick = |n: usize| (usize::from(a) * 7 + usize::from(b)) % n.max(1);
    let allocs: Vec<_> = state.allocs().cloned().collect();
    let some_alloc = allocs.get(pick(allocs.len()));
    match op % if collects { 16 } else { 14 } {
        0 | 1 => Intent::RegisterJob {
            eval: new_eval(&spec),
            job: Box::new(spec),
            submission: Some(Box::default()),
            enforce_index: (c % 5 == 4).then_some(u64::from(b)),
        },
        2 => Intent::DeregisterJob {
            key: key(id),
            purge: collects && c % 2 == 0,
            eval: new_eval(&spec),
            no_shutdown_delay: b % 2 == 0,
        },
        3 | 4 => state.job(&key(id)).map_or(Intent::Noop, |job| placement(state, job, (b, c))),
        5 => some_alloc.map_or(Intent::Noop, |alloc| {
            let job = alloc.job.clone().unwrap();
            let mut stop = stopped(alloc);
            if c % 2 == 0 {
                stop.client_status = ClientStatus::Lost;
            }
            plan(&job, alloc.node_id.as_str(), vec![], vec![stop])
        }),
        6 | 7 => some_alloc.map_or(Intent::Noop, |alloc| {
            let mut told = Allocation::clone(alloc);
            told.client_status = match c % 5 {
                0 => ClientStatus::Pending,
                1 => ClientStatus::Running,
                2 => ClientStatus::Complete,
                3 => ClientStatus::Failed,
                _ => ClientStatus::Unknown,
            };
            let healthy = [None, Some(true), Some(false)][usize::from(b) % 3];
            told.deployment_status = Some(AllocDeploymentStatus { healthy, ..Default::default() });
            Intent::UpdateAllocsFromClient { allocs: vec![told], evals: vec![] }
        }),
        8 => {
            let evals: Vec<_> = state.evals().cloned().collect();
            evals.get(pick(evals.len())).map_or(Intent::Noop, |eval| {
                let status = [EvalStatus::Complete, EvalStatus::Blocked][usize::from(c) % 2];
                Intent::UpsertEvals(vec![Evaluation { status, ..Evaluation::clone(eval) }])
            })
        }
        9 => Intent::RegisterNode(Box::new(node(node_id))),
        10 => Intent::UpdateNodeDrain {
            nodes: [(
                node_id.into(),
                NodeDrain {
                    strategy: (c % 2 == 0).then(DrainStrategy::default),
                    mark_eligible: true,
                    metadata: None,
                },
            )]
            .into(),
            event: None,
            evals: vec![],
        },
        11 => Intent::UpdateNodeEligibility {
            node: node_id.into(),
            eligibility: Eligibility::Eligible,
            event: None,
            evals: vec![],
        },
        12 => {
            let all: Vec<_> = state.deployments().cloned().collect();
            all.get(pick(all.len())).map_or(Intent::Noop, |deployment| Intent::UpdateDeployment {
                update: DeploymentStatusUpdate {
                    deployment_id: deployment.id.clone(),
                    status: DeploymentStatus::Successful,
                    status_description: String::new(),
                },
                revert: None,
                eval: None,
            })
        }
        13 => Intent::ScaleJob {
            key: key(id),
            group: "web".into(),
            count: Some(i64::from(c % 4)),
            event: serde_json::json!({}),
            eval: new_eval(&spec),
        },
        14 => Intent::DeregisterNodes(vec![node_id.into()]),
        _ => Intent::Collect {
            evals: state.evals().filter(|e| e.is_terminal()).map(|e| e.id.clone()).collect(),
            allocs: allocs.iter().take(usize::from(b)).map(|a| a.id.clone()).collect(),
            deployments: state.deployments().map(|d| d.id.clone()).collect(),
            jobs: state.jobs().map(|j| j.key()).collect(),
            nodes: vec![node_id.into()],
        },
    }
}

fn placement(state: &State, job: &Arc<Job>, (b, c): (u8, u8)) -> Intent {
    let name = format!("alloc{}", u16::from(b) * 4 + u16::from(c % 4));
    let mut placed = alloc(&name, job, NODES[usize::from(b) % NODES.len()]);
    let deployment = format!("d-{}-{}", job.job_modify_index, job.id);
    placed.deployment_id = deployment.as_str().into();
    placed.deployment_status =
        Some(AllocDeploymentStatus { canary: c % 2 == 0, ..Default::default() });
    if c % 3 == 0 {
        placed = with_port(placed, 80);
    }
    if let Some(known) = state.alloc(&placed.id) {
        placed = Allocation::clone(known);
    }
    let mut plan = Plan { job: Some(Arc::clone(job)), ..Plan::default() };
    plan.node_allocation.insert(placed.node_id.clone(), vec![placed]);
    plan.deployment = Some(Deployment {
        id: deployment.into(),
        namespace: "default".into(),
        job_id: job.id.clone(),
        job_version: job.version,
        status: DeploymentStatus::Running,
        task_groups: [("web".to_owned(), DeploymentState::default())].into(),
        ..Deployment::default()
    });
    Intent::ApplyPlan { plan: Box::new(plan), preemption_evals: vec![], on_full: vec![] }
}

fn run(steps: &[Step], collects: bool) -> World {
    let mut world = World::new();
    for (serial, step) in steps.iter().enumerate() {
        let intent = intent(&world.state, *step, collects, serial);
        world.apply(intent);
    }
    world
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(any::<Step>(), 1..80)
}

fn restored(state: &State) -> State {
    let mut again = State::new();
    for (table, key, text) in dump(state) {
        again.restore_row(Table::named(table).unwrap(), &key, &text).unwrap();
    }
    let tables = Table::ALL.map(|table| (table.name(), state.table_index(table)));
    again.restore_indexes(state.index(), tables);
    again
}

fn check_indexes(state: &State) {
    let allocs = |pred: &dyn Fn(&Allocation) -> bool| -> Vec<String> {
        state.allocs().filter(|a| pred(a)).map(|a| a.id.to_string()).collect()
    };
    let ids = |found: &mut dyn Iterator<Item = &Arc<Allocation>>| -> Vec<String> {
        found.map(|a| a.id.to_string()).collect()
    };
    for node in NODES {
        let id = node.into();
        assert_eq!(ids(&mut state.allocs_by_node(&id)), allocs(&|a| a.node_id == id));
        assert_eq!(
            ids(&mut state.allocs_by_node_non_terminal(&id)),
            allocs(&|a| a.node_id == id && !a.is_terminal())
        );
    }
    for job in JOBS {
        let key = key(job);
        assert_eq!(ids(&mut state.allocs_by_job(&key)), allocs(&|a| a.job_id == job));
        let evals: Vec<_> = state.evals_by_job(&key).map(|e| e.id.clone()).collect();
        let wanted: Vec<_> =
            state.evals().filter(|e| e.job_id == job).map(|e| e.id.clone()).collect();
        assert_eq!(evals, wanted);
        let deployments = state.deployments_by_job(&key).count();
        assert_eq!(deployments, state.deployments().filter(|d| d.job_id == job).count());
        if let Some(current) = state.job(&key) {
            let versions = state.job_versions(&key);
            assert!(Arc::ptr_eq(versions[0], current));
        }
    }
    for deployment in state.deployments() {
        let id = &deployment.id;
        assert_eq!(ids(&mut state.allocs_by_deployment(id)), allocs(&|a| a.deployment_id == *id));
    }
    assert_eq!(state.allocs_of_eval.pairs().count(), state.allocs().count());
    assert!(state.allocs().all(|alloc| alloc.job.is_some()), "an allocation lost its job");
}

fn check_counts(state: &State) {
    for job in state.jobs() {
        let mut groups: BTreeMap<String, GroupSummary> = BTreeMap::new();
        for alloc in state.allocs_by_job(&job.key()) {
            let group = groups.entry(alloc.task_group.clone()).or_default();
            match alloc.client_status {
                ClientStatus::Pending => group.starting += 1,
                ClientStatus::Running => group.running += 1,
                ClientStatus::Complete => group.complete += 1,
                ClientStatus::Failed => group.failed += 1,
                ClientStatus::Lost => group.lost += 1,
                ClientStatus::Unknown => group.unknown += 1,
            }
        }
        let summary = state.job_summary(&job.key()).unwrap();
        for (name, counted) in &summary.summary {
            let recount = groups.remove(name).unwrap_or_default();
            assert_eq!(GroupSummary { queued: 0, ..*counted }, recount, "{}", job.id);
        }
        let mut children = ChildrenSummary::default();
        for child in state.children(&job.key()) {
            match child.status {
                JobStatus::Pending => children.pending += 1,
                JobStatus::Running => children.running += 1,
                JobStatus::Dead => children.dead += 1,
            }
        }
        if !job.id.contains('/')
            && state.children(&job.key()).all(|c| c.create_index > job.create_index)
        {
            assert_eq!(summary.children.as_ref(), Some(&children), "{}", job.id);
        }
    }
    for deployment in state.deployments() {
        let group = &deployment.task_groups["web"];
        let of = |healthy| {
            let count = state
                .allocs_by_deployment(&deployment.id)
                .filter(|a| a.deployment_status.as_ref().and_then(|s| s.healthy) == healthy)
                .count();
            i64::try_from(count).unwrap()
        };
        assert_eq!(group.healthy_allocs, of(Some(true)));
        assert_eq!(group.unhealthy_allocs, of(Some(false)));
        assert_eq!(group.placed_allocs, of(Some(true)) + of(Some(false)) + of(None));
    }
}

/// The same odd steps every time.
fn fixed_steps(count: u32) -> Vec<Step> {
    let bytes = |n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes();
    (0..count).map(bytes).map(|[a, b, c, d]| (d, a ^ c, b, c)).collect()
}

/// A log of many kinds of commands, the same every time.
pub(in crate::state) fn random_log(count: u32) -> Vec<Command> {
    let mut world = World::new();
    for (serial, step) in fixed_steps(count).iter().enumerate() {
        let intent = intent(&world.state, *step, serial % 200 > 180, serial);
        world.apply(intent);
    }
    world.log
}

#[test]
fn random_steps_reach_what_they_are_to_check() {
    let steps = fixed_steps(2100);
    let world = run(&steps, false);
    let state = &world.state;
    assert!(state.allocs().count() > 20, "{}", state.allocs().count());
    assert!(state.allocs().any(|a| !a.is_terminal()) && state.allocs().any(|a| a.is_terminal()));
    assert!(state.deployments().count() > 5 && state.jobs().count() == JOBS.len());
    assert!(state.jobs().any(|job| job.version > 6));
    check_indexes(state);
    check_counts(state);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_log_gives_the_same_state(steps in steps()) {
        let world = run(&steps, true);
        let mut again = State::new();
        for (at, command) in world.log.iter().enumerate() {
            apply(&mut again, command, at as Index + 1);
        }
        prop_assert_eq!(&again, &world.state);
    }

    #[test]
    fn a_state_read_back_is_the_same_and_goes_on_the_same(steps in steps(), more in steps()) {
        let mut world = run(&steps, true);
        let again = restored(&world.state);
        prop_assert_eq!(dump(&again), dump(&world.state));
        let mut other = World { state: again, log: world.log.clone() };
        for (serial, step) in more.iter().enumerate() {
            let intent = intent(&world.state, *step, true, 1000 + serial);
            let (one, two) = (world.apply(intent.clone()), other.apply(intent));
            prop_assert_eq!(one.reply, two.reply);
            prop_assert_eq!(one.changes.len(), two.changes.len());
        }
        prop_assert_eq!(dump(&other.state), dump(&world.state));
        prop_assert_eq!(other.state.table_indexes, world.state.table_indexes);
    }

    #[test]
    fn every_index_says_what_the_tables_say(steps in steps()) {
        let world = run(&steps, true);
        check_indexes(&world.state);
    }

    #[test]
    fn counters_equal_a_recount(steps in steps()) {
        let mut world = run(&steps, false);
        check_counts(&world.state);
        let before: Vec<_> = world.state.summaries.values().cloned().collect();
        world.ok(Intent::ReconcileSummaries);
        for (old, new) in before.iter().zip(world.state.summaries.values()) {
            prop_assert_eq!(&old.summary, &new.summary);
        }
    }

    #[test]
    fn changes_name_every_row_that_changed(steps in steps()) {
        let mut world = World::new();
        for (serial, step) in steps.iter().enumerate() {
            let before: BTreeMap<_, _> = dump(&world.state).into_iter().map(|(t, k, v)| ((t, k), v)).collect();
            let intent = intent(&world.state, *step, true, serial);
            let applied = world.apply(intent);
            let after: BTreeMap<_, _> = dump(&world.state).into_iter().map(|(t, k, v)| ((t, k), v)).collect();
            let named: Vec<_> = applied.changes.iter().map(|c| (c.row.table().name(), c.row.text())).collect();
            for key in before.keys().chain(after.keys()) {
                if before.get(key) != after.get(key) {
                    prop_assert!(named.contains(key), "{:?} changed unnamed by {:?}", key, world.log.last());
                }
            }
        }
    }
}
