use proptest::prelude::*;

use super::*;
use crate::model::task;

const WAITING: Report = Report { stand: Stand::Waiting, rounds: 0 };
const NOW: Timestamp = Timestamp(1);

fn task(name: &str, hook: &str, sidecar: bool) -> Task {
    let lifecycle = (!hook.is_empty()).then(|| task::Lifecycle { hook: hook.to_owned(), sidecar });
    Task { name: name.to_owned(), lifecycle, ..Task::default() }
}

fn leader(name: &str) -> Task {
    Task { leader: true, ..task(name, "", false) }
}

fn group(tasks: &[Task]) -> Lifecycle {
    Lifecycle::new(tasks.iter().map(|task| (task, WAITING)), None)
}

fn report(life: &mut Lifecycle, task: &str, stand: Stand) -> Vec<String> {
    let report = Report { stand, rounds: life.rounds };
    told(&life.step(Event::Report { task: task.to_owned(), report }, NOW))
}

fn told(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .map(|action| match action {
            Action::Open(task) => format!("open {task}"),
            Action::Kill { task, .. } => format!("kill {task}"),
            Action::Tell { task, happening } => format!("{task}: {}", happening.kind()),
            Action::Fail { task, .. } => format!("fail {task}"),
            Action::StartOver { task, .. } => format!("again {task}"),
            Action::WakeAt(_) => "wake".to_owned(),
            Action::Finish => "finish".to_owned(),
        })
        .collect()
}

const DEAD: Stand = Stand::Dead { failed: false };
const FAILED: Stand = Stand::Dead { failed: true };

#[test]
fn tasks_start_in_the_order_of_their_hooks() {
    let mut life = group(&[
        task("init", "prestart", false),
        task("proxy", "prestart", true),
        task("web", "", false),
        task("hello", "poststart", false),
        task("bye", "poststop", false),
    ]);
    assert_eq!(told(&life.step(Event::Ready, NOW)), ["open init", "open proxy"]);
    assert!(report(&mut life, "init", Stand::Running).is_empty());
    assert!(report(&mut life, "init", DEAD).is_empty());
    assert_eq!(report(&mut life, "proxy", Stand::Running), ["open web"]);
    assert!(report(&mut life, "web", Stand::Pending).is_empty());
    assert_eq!(report(&mut life, "web", Stand::Running), ["open hello"]);
    assert!(report(&mut life, "hello", DEAD).is_empty());
    assert_eq!(report(&mut life, "web", DEAD), ["proxy: Main Tasks Dead", "kill proxy"]);
    assert_eq!(report(&mut life, "proxy", DEAD), ["open bye"]);
    report(&mut life, "bye", Stand::Running);
    assert_eq!(report(&mut life, "bye", DEAD), ["finish"]);
    assert!(life.is_done());
}

#[test]
fn a_failed_task_takes_its_siblings_with_it_and_poststop_still_runs() {
    let mut life =
        group(&[task("a", "", false), task("b", "", false), task("bye", "poststop", false)]);
    life.step(Event::Ready, NOW);
    report(&mut life, "a", Stand::Running);
    report(&mut life, "b", Stand::Running);
    assert_eq!(report(&mut life, "a", FAILED), ["b: Sibling Task Failed", "kill b"]);
    assert_eq!(report(&mut life, "b", DEAD), ["open bye"]);
}

#[test]
fn a_stop_ends_the_leader_first_and_sidecars_last() {
    let mut life =
        group(&[leader("main"), task("helper", "", false), task("ships-logs", "poststart", true)]);
    life.step(Event::Ready, NOW);
    for name in ["main", "helper", "ships-logs"] {
        report(&mut life, name, Stand::Running);
    }
    assert_eq!(told(&life.step(Event::Stop(Delay::Observe), NOW)), ["kill main"]);
    assert_eq!(report(&mut life, "main", DEAD), ["kill helper"]);
    assert_eq!(report(&mut life, "helper", DEAD), ["kill ships-logs"]);
    assert_eq!(report(&mut life, "ships-logs", DEAD), ["finish"]);
}

#[test]
fn the_end_of_the_leader_is_the_end_of_the_group() {
    let mut life = group(&[leader("main"), task("helper", "", false)]);
    life.step(Event::Ready, NOW);
    report(&mut life, "main", Stand::Running);
    report(&mut life, "helper", Stand::Running);
    assert_eq!(report(&mut life, "main", DEAD), ["helper: Leader Task Dead", "kill helper"]);
}

#[test]
fn a_group_that_cannot_be_set_up_fails_every_task_and_runs_none() {
    let mut life = group(&[task("a", "", false), task("bye", "poststop", false)]);
    let actions = life.step(Event::NotReady("no address is left".to_owned()), NOW);
    assert_eq!(told(&actions), ["fail a", "fail bye"]);
    report(&mut life, "a", FAILED);
    assert_eq!(report(&mut life, "bye", FAILED), ["finish"]);
}

#[test]
fn a_stop_before_anything_ran_runs_nothing() {
    let mut life = group(&[task("a", "", false), task("bye", "poststop", false)]);
    assert_eq!(told(&life.step(Event::Stop(Delay::Observe), NOW)), ["kill a"]);
    assert_eq!(report(&mut life, "a", DEAD), ["kill bye"]);
    assert_eq!(report(&mut life, "bye", DEAD), ["finish"]);
}

#[test]
fn the_groups_shutdown_delay_comes_before_the_first_kill() {
    let a = task("a", "", false);
    let mut life = Lifecycle::new([(&a, WAITING)], Some(Nanos(10)));
    life.step(Event::Ready, NOW);
    report(&mut life, "a", Stand::Running);
    let actions = life.step(Event::Stop(Delay::Observe), Timestamp(5));
    assert_eq!(told(&actions), ["a: Waiting for shutdown delay", "wake"]);
    assert_eq!(told(&life.step(Event::Tick, Timestamp(9))), ["wake"]);
    assert_eq!(told(&life.step(Event::Tick, Timestamp(15))), ["kill a"]);
}

#[test]
fn starting_over_runs_every_task_again_in_order() {
    let mut life = group(&[task("init", "prestart", false), task("web", "", false)]);
    life.step(Event::Ready, NOW);
    report(&mut life, "init", DEAD);
    report(&mut life, "web", Stand::Running);
    let actions = life.step(Event::StartOver { reason: String::new() }, NOW);
    assert_eq!(told(&actions), ["again init", "again web"]);
    assert!(report(&mut life, "init", Stand::Waiting).is_empty());
    assert_eq!(report(&mut life, "web", Stand::Waiting), ["open init"]);
    assert_eq!(report(&mut life, "init", DEAD), ["open web"]);
}

#[test]
fn after_a_restart_of_the_agent_nothing_runs_twice() {
    let tasks =
        [task("init", "prestart", false), task("web", "", false), task("log", "poststart", true)];
    let running = Report { stand: Stand::Running, rounds: 0 };
    let reports = [WAITING, running, WAITING];
    let mut life = Lifecycle::new(tasks.iter().zip(reports), None);
    assert_eq!(told(&life.step(Event::Ready, NOW)), ["kill init", "open log"]);
}

fn any_stand() -> impl Strategy<Value = Stand> {
    prop_oneof![
        Just(Stand::Waiting),
        Just(Stand::Pending),
        Just(Stand::Running),
        Just(DEAD),
        Just(FAILED)
    ]
}

fn any_group() -> impl Strategy<Value = Vec<Task>> {
    let hooks = prop_oneof![Just("prestart"), Just(""), Just("poststart"), Just("poststop")];
    proptest::collection::vec((hooks, any::<bool>(), any::<bool>()), 1..6).prop_map(|specs| {
        let one = |(n, (hook, sidecar, leads)): (usize, (&str, bool, bool))| Task {
            leader: leads && hook.is_empty(),
            ..task(&format!("t{n}"), hook, sidecar)
        };
        specs.into_iter().enumerate().map(one).collect()
    })
}

proptest! {
    /// Obedient tasks, a stop at any time: the group always ends, and every task was told at most once.
    #[test]
    fn a_stopped_group_always_ends(
        tasks in any_group(),
        reports in proptest::collection::vec((0usize..6, any_stand()), 0..20),
    ) {
        let mut life = group(&tasks);
        life.step(Event::Ready, NOW);
        for (n, stand) in reports {
            if let Some(task) = tasks.get(n % tasks.len()) {
                report(&mut life, &task.name, stand);
            }
        }
        let mut queue = life.step(Event::Stop(Delay::Skip), NOW);
        for task in &tasks {
            let entry = life.tasks[&task.name].clone();
            if entry.killed || entry.opened {
                queue.push(Action::Kill { task: task.name.clone(), delay: Delay::Skip });
            }
        }
        let mut steps = 0;
        while let Some(action) = queue.pop() {
            steps += 1;
            prop_assert!(steps < 100);
            let (Action::Kill { task, .. } | Action::Open(task) | Action::Fail { task, .. }) = action
            else {
                continue;
            };
            if life.tasks[&task].is_dead() { continue; }
            let report = Report { stand: DEAD, rounds: life.rounds };
            queue.extend(life.step(Event::Report { task, report }, NOW));
        }
        prop_assert!(life.is_done());
    }
}
