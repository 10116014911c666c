//! `raw_exec` and all that it shares with the isolated drivers: shim, records, logs, recovery.

use std::fs;

use serde_json::json;
use stead::driver::{LogPolicy, Resources, StoredHandle, TaskHandle};

use super::support::{Box_, is_running, may_run, until, within};

fn shim_pid(stored: &StoredHandle) -> i32 {
    let text = fs::read_to_string(stored.state.join("run.json")).unwrap();
    let run: serde_json::Value = serde_json::from_str(&text).unwrap();
    run["shim"]["pid"].as_i64().unwrap().try_into().unwrap()
}

fn kill_shim(task: &TaskHandle) {
    let pid = nix::unistd::Pid::from_raw(shim_pid(&task.stored()));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_task_runs_writes_its_output_and_ends_with_its_code() {
    if !may_run("a_task_runs_writes_its_output_and_ends_with_its_code") {
        return;
    }
    let place = Box_::new("code");
    let task = place.script("echo out; echo err >&2; exit 7").await;
    let exit = within(task.wait()).await;
    assert_eq!((exit.exit_code, exit.signal, exit.err.clone()), (7, 0, None));
    assert!(!exit.oom_killed);
    assert!(exit.finished_at >= task.started_at().unwrap());
    assert_eq!((place.log("stdout"), place.log("stderr")), ("out\n".into(), "err\n".into()));
    assert_eq!(within(task.wait()).await, exit, "a second wait tells the same");
    within(task.destroy()).await.unwrap();
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn a_signal_reaches_the_task_and_is_told() {
    if !may_run("a_signal_reaches_the_task_and_is_told") {
        return;
    }
    let place = Box_::new("signal");
    let task = place.script("echo up; exec sleep 100").await;
    until("output", || place.log("stdout") == "up\n").await;
    task.signal(libc::SIGTERM).unwrap();
    let exit = within(task.wait()).await;
    assert_eq!((exit.exit_code, exit.signal), (143, 15));
    assert!(task.signal(libc::SIGTERM).is_err());
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn a_task_that_ignores_signals_and_leaves_children_is_killed_whole() {
    if !may_run("a_task_that_ignores_signals_and_leaves_children_is_killed_whole") {
        return;
    }
    let place = Box_::new("kill");
    let script = "trap '' TERM INT; setsid sleep 1000 & echo $!; while :; do sleep 1; done";
    let task = place.script(script).await;
    until("a child", || place.log("stdout").trim().parse::<i32>().is_ok()).await;
    let child: i32 = place.log("stdout").trim().parse().unwrap();
    task.signal(libc::SIGTERM).unwrap();
    task.signal(libc::SIGINT).unwrap();
    assert!(is_running(child));
    within(task.kill()).await.unwrap();
    let exit = within(task.wait()).await;
    assert_eq!((exit.exit_code, exit.signal), (137, 9));
    assert!(!is_running(child));
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn what_a_task_leaves_running_dies_with_it() {
    if !may_run("what_a_task_leaves_running_dies_with_it") {
        return;
    }
    let place = Box_::new("orphan");
    let task = place.script("setsid sleep 1000 & echo $!; exit 0").await;
    assert_eq!(within(task.wait()).await.exit_code, 0);
    let child: i32 = place.log("stdout").trim().parse().unwrap();
    assert!(!is_running(child));
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn an_unknown_command_is_refused_and_leaves_nothing() {
    if !may_run("an_unknown_command_is_refused_and_leaves_nothing") {
        return;
    }
    let place = Box_::new("unknown");
    let refused = place.try_start("raw_exec", json!({"command": "no-such"}), place.context()).await;
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("command `no-such` is neither in the task directory nor in PATH"),
        "{text}"
    );
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn environment_user_and_directory_are_as_told() {
    if !may_run("environment_user_and_directory_are_as_told") {
        return;
    }
    let place = Box_::new("user");
    let mut context = place.context();
    context.env.insert("GREETING".into(), "hello world".into());
    context.env.insert("AWS_KEY".into(), "secret".into());
    context.user = Some("nobody".into());
    let script = "id -u; pwd; echo $GREETING$AWS_KEY; echo again > /dev/stderr; \
                  umask; kill -s PIPE $$";
    let config = json!({"command": "sh", "args": ["-c", script], "denied_envvars": ["AWS_*"]});
    let task = place.start("raw_exec", config, context).await;
    let exit = within(task.wait()).await;
    assert_eq!(exit.signal, 13, "SIGPIPE must not be ignored in tasks: {}", place.log("stderr"));
    let expected = format!("65534\n{}\nhello world\n0022\n", place.path("alloc/web").display());
    assert_eq!(place.log("stdout"), expected);
    assert_eq!(place.log("stderr"), "again\n", "a task may open its own output again");
    within(task.destroy()).await.unwrap();
}

#[tokio::test]
async fn logs_rotate_and_the_exit_code_is_kept_while_the_agent_is_away() {
    if !may_run("logs_rotate_and_the_exit_code_is_kept_while_the_agent_is_away") {
        return;
    }
    let place = Box_::new("away");
    let mut context = place.context();
    context.logs = LogPolicy { max_files: 3, max_file_size_mb: 1, disabled: false };
    let script = "read go < go; i=0; while [ $i -lt 70 ]; do head -c 65536 /dev/zero | tr '\\0' x; \
                  echo; i=$((i+1)); done; exit 5";
    let go = place.path("alloc/web/go");
    nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let config = json!({"command": "/bin/sh", "args": ["-c", script]});
    let task = place.start("raw_exec", config, context).await;
    let stored = task.stored();
    drop(task);
    fs::write(&go, "go\n").unwrap();
    until("the exit record", || stored.state.join("exit.json").exists()).await;
    assert_eq!(place.log_files("stdout"), ["web.stdout.2", "web.stdout.3", "web.stdout.4"]);
    let task = within(place.driver("raw_exec").recover(stored)).await;
    assert_eq!(within(task.wait()).await.exit_code, 5);
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn a_running_task_is_recovered() {
    if !may_run("a_running_task_is_recovered") {
        return;
    }
    let place = Box_::new("recover");
    let task = place.script("echo up; sleep 100; exit 3").await;
    let (stored, process) = (task.stored(), task.process());
    drop(task);
    let json = serde_json::to_string(&stored).unwrap();
    let stored = serde_json::from_str(&json).unwrap();
    let task = within(place.driver("raw_exec").recover(stored)).await;
    assert_eq!(task.process(), process);
    assert!(!task.stats().unwrap().pids.is_empty());
    task.signal(libc::SIGKILL).unwrap();
    assert_eq!(within(task.wait()).await.signal, 9);
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn a_task_survives_its_shim_and_keeps_its_output_and_code() {
    if !may_run("a_task_survives_its_shim_and_keeps_its_output_and_code") {
        return;
    }
    let place = Box_::new("shimless");
    let go = place.path("alloc/web/go");
    nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let task = place.script("echo before; read x < go; echo after; exit 42").await;
    until("output", || place.log("stdout") == "before\n").await;
    let first = shim_pid(&task.stored());
    let waiting = tokio::spawn({
        let task = task.clone();
        async move { task.wait().await }
    });
    kill_shim(&task);
    until("another shim", || shim_pid(&task.stored()) != first).await;
    assert!(is_running(task.process().unwrap().pid));
    fs::write(&go, "go\n").unwrap();
    let exit = within(waiting).await.unwrap();
    assert_eq!((exit.exit_code, exit.err), (42, None));
    assert_eq!(place.log("stdout"), "before\nafter\n");
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn a_task_whose_shim_died_first_is_told_exactly_when_the_agent_looks_later() {
    if !may_run("a_task_whose_shim_died_first_is_told_exactly_when_the_agent_looks_later") {
        return;
    }
    let place = Box_::new("late");
    let go = place.path("alloc/web/go");
    nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let task = place.script("read x < go; echo last words; exit 9").await;
    let pid = task.process().unwrap().pid;
    kill_shim(&task);
    fs::write(&go, "go\n").unwrap();
    until("its end", || !is_running(pid)).await;
    let exit = within(task.wait()).await;
    assert_eq!((exit.exit_code, exit.err), (9, None));
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn memory_and_process_limits_bind() {
    if !may_run("memory_and_process_limits_bind") {
        return;
    }
    let place = Box_::new("limits");
    let mut context = place.context();
    context.resources = Resources { memory_mb: 24, pids_limit: Some(20), ..Resources::default() };
    let config = json!({"command": "/bin/sh", "args": ["-c", "exec tail /dev/zero"]});
    let task = place.start("raw_exec", config, context.clone()).await;
    let exit = within(task.wait()).await;
    assert_eq!((exit.exit_code, exit.oom_killed), (137, true));
    within(task.destroy()).await.unwrap();

    let bomb = "b() { b | b & }; b; sleep 100";
    let config = json!({"command": "/bin/sh", "args": ["-c", bomb]});
    let task = place.start("raw_exec", config, context).await;
    until("the limit", || place.log("stderr").contains("fork")).await;
    assert!(task.stats().unwrap().pids.len() <= 20);
    within(task.kill()).await.unwrap();
    assert_eq!(within(task.wait()).await.signal, 9);
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn a_task_in_another_boot_is_lost_and_said_so() {
    if !may_run("a_task_in_another_boot_is_lost_and_said_so") {
        return;
    }
    let place = Box_::new("boot");
    let task = place.script("sleep 0.1").await;
    let stored = task.stored();
    within(task.wait()).await;
    let path = stored.state.join("run.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut run: serde_json::Value = serde_json::from_str(&text).unwrap();
    run["boot_id"] = json!("another");
    fs::write(&path, run.to_string()).unwrap();
    fs::remove_file(stored.state.join("exit.json")).unwrap();
    let task = within(place.driver("raw_exec").recover(stored)).await;
    let exit = within(task.wait()).await;
    assert_eq!(exit.err.as_deref(), Some("the machine was restarted while the task ran"));
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}
