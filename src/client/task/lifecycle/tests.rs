use proptest::prelude::*;

use super::*;

fn terms(attempts: i64) -> Terms {
    Terms {
        policy: RestartPolicy {
            attempts,
            interval: Nanos::from_secs(600),
            delay: Nanos::from_secs(10),
            mode: "fail".to_owned(),
            render_templates: false,
        },
        on_success: OnSuccess::Complete,
        kill_timeout: Nanos::from_secs(5),
        shutdown_delay: Nanos::ZERO,
    }
}

fn at(secs: i64) -> Moment {
    Moment { time: Timestamp(secs * 1_000_000_000), random: 0 }
}

fn started(terms: Terms) -> Lifecycle {
    let mut life = Lifecycle::new(terms, Tracker::default());
    assert_eq!(life.step(Event::Open, at(1)), [Action::Prepare]);
    assert_eq!(life.step(Event::Prepared, at(1)), [Action::Start]);
    assert_eq!(life.step(Event::Started, at(1)), [Action::Tell(Happening::Started)]);
    life
}

fn exit(code: i32) -> Event {
    Event::Exited(Exit { code, ..Exit::default() })
}

const KILL: Event = Event::Kill { because: None, delay: Delay::Observe };

fn tells(actions: &[Action]) -> Vec<&'static str> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Tell(happening) => Some(happening.kind()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_batch_task_that_succeeds_is_dead_and_has_not_failed() {
    let mut life = started(terms(3));
    let actions = life.step(exit(0), at(2));
    assert_eq!(tells(&actions), ["Terminated"]);
    assert_eq!((life.phase(), life.has_failed()), (TaskPhase::Dead, false));
}

#[test]
fn a_failing_task_is_started_again_after_its_delay_until_its_attempts_are_used_up() {
    let mut life = started(terms(1));
    let actions = life.step(exit(3), at(2));
    assert_eq!(tells(&actions), ["Terminated", "Restarting"]);
    assert_eq!(actions.last(), Some(&Action::WakeAt(at(12).time)));
    assert_eq!(life.phase(), TaskPhase::Pending);
    assert_eq!(life.step(Event::Tick, at(11)), [Action::WakeAt(at(12).time)]);
    assert_eq!(life.step(Event::Tick, at(12)), [Action::Prepare]);
    life.step(Event::Prepared, at(12));
    life.step(Event::Started, at(12));
    assert_eq!(tells(&life.step(exit(3), at(13))), ["Terminated", "Not Restarting"]);
    assert!(life.has_failed());
}

#[test]
fn a_task_that_ignores_its_signal_is_killed_when_its_time_is_over() {
    let mut life = started(terms(3));
    let actions = life.step(KILL, at(2));
    assert_eq!(tells(&actions), ["Killing"]);
    assert!(actions.contains(&Action::Signal) && actions.contains(&Action::WakeAt(at(7).time)));
    assert_eq!(life.step(Event::Tick, at(6)), [Action::WakeAt(at(7).time)]);
    assert_eq!(life.step(Event::Tick, at(7)), [Action::ForceKill, Action::WakeAt(at(12).time)]);
    let killed = Exit { code: 137, signal: 9, ..Exit::default() };
    assert_eq!(tells(&life.step(Event::Exited(killed), at(7))), ["Terminated", "Killed"]);
    assert_eq!((life.phase(), life.has_failed()), (TaskPhase::Dead, false));
}

#[test]
fn a_shutdown_delay_comes_before_the_signal_unless_it_is_skipped() {
    let slow = Terms { shutdown_delay: Nanos::from_secs(3), ..terms(1) };
    let mut life = started(slow.clone());
    let actions = life.step(KILL, at(2));
    assert!(!actions.contains(&Action::Signal));
    assert!(life.step(Event::Tick, at(5)).contains(&Action::Signal));
    let mut life = started(slow);
    let actions = life.step(Event::Kill { because: None, delay: Delay::Skip }, at(2));
    assert!(actions.contains(&Action::Signal));
}

#[test]
fn a_kill_during_the_start_follows_the_start() {
    let mut life = Lifecycle::new(terms(3), Tracker::default());
    life.step(Event::Open, at(1));
    life.step(Event::Prepared, at(1));
    assert_eq!(tells(&life.step(KILL, at(1))), ["Killing"]);
    let actions = life.step(Event::Started, at(1));
    assert!(actions.contains(&Action::Signal));
    assert_eq!(tells(&life.step(exit(0), at(1))), ["Terminated", "Killed"]);
}

#[test]
fn a_kill_while_preparing_abandons_the_preparation() {
    let mut life = Lifecycle::new(terms(3), Tracker::default());
    life.step(Event::Open, at(1));
    assert!(life.step(KILL, at(1)).contains(&Action::Abandon));
    assert_eq!(life.phase(), TaskPhase::Dead);
    assert_eq!(life.step(Event::Prepared, at(1)), []);
}

#[test]
fn a_restart_by_a_person_is_not_counted_and_comes_at_once() {
    let mut life = started(terms(1));
    for _ in 0..3 {
        let event = Event::Restart {
            reason: "User requested task to restart".to_owned(),
            counted_as: Ending::Asked,
        };
        assert_eq!(tells(&life.step(event, at(2))), ["Restart Signaled"]);
        let actions = life.step(exit(0), at(3));
        assert_eq!(tells(&actions), ["Terminated", "Restarting"]);
        assert_eq!(actions.last(), Some(&Action::Prepare));
        life.step(Event::Prepared, at(3));
        life.step(Event::Started, at(3));
    }
    assert!(life.is_running());
}

#[test]
fn a_start_that_cannot_succeed_fails_the_task_at_once() {
    let mut life = Lifecycle::new(terms(5), Tracker::default());
    life.step(Event::Open, at(1));
    life.step(Event::Prepared, at(1));
    let reason = "config has no key `imaeg`".to_owned();
    let actions = life.step(Event::NotStarted { reason, hopeless: true }, at(1));
    assert_eq!(tells(&actions), ["Driver Failure", "Not Restarting"]);
    assert!(life.has_failed());
}

#[test]
fn a_task_that_starts_over_waits_for_its_turn_whatever_it_was_doing() {
    let over = || Event::StartOver { reason: "User requested all tasks to restart".to_owned() };
    let mut life = started(terms(0));
    assert_eq!(tells(&life.step(over(), at(2))), ["Restart Signaled"]);
    let actions = life.step(exit(143), at(2));
    assert_eq!(tells(&actions), ["Terminated", "Restarting"]);
    assert!(life.is_waiting() && life.rounds() == 1);
    life.step(Event::Open, at(3));
    assert!(life.step(over(), at(3)).contains(&Action::Abandon));
    assert!(life.is_waiting());
    let mut dead = started(terms(0));
    dead.step(exit(0), at(2));
    dead.step(over(), at(2));
    assert!(dead.is_waiting());
}

#[test]
fn a_task_that_was_lost_runs_again_without_being_counted() {
    let mut life = Lifecycle::taken_over(terms(0), Tracker::default());
    let actions = life.step(Event::Lost("the machine was restarted".to_owned()), at(2));
    assert_eq!(tells(&actions), ["Failed Restoring Task"]);
    assert!(actions.contains(&Action::Prepare));
    let mut life = Lifecycle::taken_over(terms(0), Tracker::default());
    life.step(KILL, at(2));
    life.step(Event::Lost(String::new()), at(2));
    assert_eq!(life.phase(), TaskPhase::Dead);
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Open),
        Just(Event::Prepared),
        any::<bool>().prop_map(|hopeless| Event::NotPrepared { reason: String::new(), hopeless }),
        Just(Event::Started),
        any::<bool>().prop_map(|hopeless| Event::NotStarted { reason: String::new(), hopeless }),
        (0i32..2).prop_map(exit),
        Just(Event::Lost(String::new())),
        Just(KILL),
        Just(Event::Restart { reason: String::new(), counted_as: Ending::Asked }),
        Just(Event::Tick),
    ]
}

proptest! {
    /// Whatever happens in whatever order: a killed task is never started again and never counts as failed.
    #[test]
    fn nothing_starts_after_a_kill(
        before in proptest::collection::vec(any_event(), 0..20),
        after in proptest::collection::vec(any_event(), 0..20),
        delay in 0i64..3,
    ) {
        let terms = Terms { shutdown_delay: Nanos::from_secs(delay), ..terms(2) };
        let mut life = Lifecycle::new(terms, Tracker::default());
        let mut now = 1;
        for event in before {
            now += 1;
            life.step(event, at(now));
        }
        let failed_before = life.has_failed();
        life.step(KILL, at(now));
        for event in after {
            now += 4;
            let actions = life.step(event, at(now));
            prop_assert!(!actions.contains(&Action::Prepare));
        }
        prop_assert!(life.has_failed() == failed_before);
    }

    /// A task that was told to stop ends, however it ignores signals, as soon as its process does.
    #[test]
    fn a_stopping_task_always_asks_to_be_woken(events in proptest::collection::vec(any_event(), 0..30)) {
        let mut life = Lifecycle::new(terms(2), Tracker::default());
        let mut now = 1;
        for event in events {
            now += 1;
            let actions = life.step(event, at(now));
            if matches!(life.state, State::Stopping { .. }) && actions.contains(&Action::Signal) {
                let wakes = actions.iter().any(|action| matches!(action, Action::WakeAt(_)));
                prop_assert!(wakes);
            }
        }
    }
}
