//! What holds whatever happens: the count is reached, no more than `max_parallel` change at once, every plan stands up to
//! the audit (which [`World`] asks each time).

use proptest::prelude::*;
use stead::model::*;

use super::world::{World, group, job, rescheduling, rolling};

#[derive(Debug, Clone)]
enum Happening {
    Scale(i64),
    Change(u8),
    NodeDown(usize),
    NodeUp(usize),
    Fail(usize),
    Obey,
    Heal,
    Wait(i64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (0i64..8).prop_map(Happening::Scale),
        (0u8..4).prop_map(Happening::Change),
        (0usize..4).prop_map(Happening::NodeDown),
        (0usize..4).prop_map(Happening::NodeUp),
        (0usize..8).prop_map(Happening::Fail),
        Just(Happening::Obey),
        Just(Happening::Heal),
        (1i64..40).prop_map(Happening::Wait),
    ]
}

fn run_to_rest(world: &mut World, id: &str) {
    for _ in 0..60 {
        world.obey();
        world.heal(id);
        world.wait(60);
        let before = world.now;
        let outcome = world.run(id);
        if outcome.plan.is_no_op() && world.now == before {
            return;
        }
    }
    panic!("no rest after 60 rounds");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_service_comes_to_rest_with_as_many_as_it_wants(
        parallel in 0i64..3,
        canary in 0i64..2,
        kind in prop_oneof![Just(JobType::Service), Just(JobType::Batch)],
        story in prop::collection::vec(happening(), 0..12),
    ) {
        let mut world = World::with_nodes(4);
        let app = |count: i64, value: u8| {
            let mut app = rescheduling(group("app", count, 100, 100), 5);
            app.tasks[0].env.insert("V".into(), value.to_string());
            if kind == JobType::Service { rolling(app, parallel, canary) } else { app }
        };
        let (mut count, mut value) = (3, 0);
        world.register(job("web", kind, vec![app(count, value)]));
        world.run("web");
        for event in story {
            match event {
                Happening::Scale(to) => count = to,
                Happening::Change(to) => value = to,
                Happening::NodeDown(at) => {
                    world.change_node(&format!("node-{at:03}"), |n| n.status = NodeStatus::Down);
                }
                Happening::NodeUp(at) => {
                    world.change_node(&format!("node-{at:03}"), |n| n.status = NodeStatus::Ready);
                }
                Happening::Fail(at) => {
                    let alive = world.alive("web");
                    if let Some(alloc) = alive.get(at) {
                        world.fail(&alloc.id.clone());
                    }
                }
                Happening::Obey => world.obey(),
                Happening::Heal => world.heal("web"),
                Happening::Wait(seconds) => world.wait(seconds),
            }
            if matches!(event, Happening::Scale(_) | Happening::Change(_)) {
                world.register(job("web", kind, vec![app(count, value)]));
            }
            let rolling = world.deployments.contains_key(&JobKey::new("default", "web"));
            let outcome = world.run("web");
            let updates = outcome.plan.annotations.as_ref().unwrap().desired_tg_updates["app"];
            if rolling && parallel > 0 && kind == JobType::Service {
                prop_assert!(updates.destructive_update <= u64::try_from(parallel).unwrap());
            }
        }
        for at in 0..4 {
            world.change_node(&format!("node-{at:03}"), |n| n.status = NodeStatus::Ready);
        }
        // Canaries are promoted by somebody.
        for _ in 0..3 {
            run_to_rest(&mut world, "web");
            if let Some(deployment) = world.deployments.get_mut(&JobKey::new("default", "web")) {
                let deployment = std::sync::Arc::make_mut(deployment);
                for state in deployment.task_groups.values_mut() {
                    state.promoted = true;
                }
            }
        }
        run_to_rest(&mut world, "web");
        prop_assert_eq!(world.alive("web").len(), usize::try_from(count).unwrap());
    }
}
