//! Containers from an image of busybox, made on the spot: no registry, no network.

use std::fs;

use serde_json::{Value, json};
use stead::driver::{Resources, Settings, TaskContext, TaskHandle};

use super::exec_session::{collect, request};
use super::support::{Box_, image, is_running, may_run, until, within};

fn context(place: &Box_) -> TaskContext {
    let mut context = place.context();
    context.env.clear();
    context.image = Some(image(place));
    context
}

fn shell(script: &str) -> Value {
    json!({"image": "busybox", "command": "sh", "args": ["-c", script]})
}

/// Starts a shell script with the image's root.
async fn start(place: &Box_, script: &str) -> TaskHandle {
    place.start("docker", shell(script), context(place)).await
}

/// Runs a script to its end and returns what it wrote.
async fn output(place: &Box_, config: Value, context: TaskContext) -> String {
    let task = place.start("docker", config, context).await;
    let exit = within(task.wait()).await;
    let (out, err) = (place.log("stdout"), place.log("stderr"));
    assert_eq!(exit.exit_code, 0, "{out}{err}{exit:?}");
    within(task.destroy()).await.unwrap();
    out
}

#[tokio::test]
async fn a_container_runs_and_leaves_nothing() {
    if !may_run("a_container_runs_and_leaves_nothing") {
        return;
    }
    let place = Box_::new("c-run");
    let script = "cat /srv/file; pwd; echo $FROM_IMAGE $A; id; hostname; echo $HOME; echo x > /alloc/a; \
                  echo y > /local/l; echo z > /secrets/s; echo err >&2; exit 5";
    let mut context = context(&place);
    context.env.insert("A".into(), "task".into());
    let task = place.start("docker", shell(script), context).await;
    let exit = within(task.wait()).await;
    assert_eq!((exit.exit_code, exit.signal, exit.oom_killed), (5, 0, false));
    let expected =
        "top\n/srv/made\nyes task\nuid=0(root) gid=0(root) groups=0(root)\n5f3c1a2e0000\n/root\n";
    assert_eq!(place.log("stdout"), expected);
    assert_eq!(place.log("stderr"), "err\n");
    for (file, text) in [("alloc/a", "x\n"), ("web/local/l", "y\n"), ("web/secrets/s", "z\n")] {
        assert_eq!(fs::read_to_string(place.path("alloc").join(file)).unwrap(), text);
    }
    assert_eq!(fs::read_to_string(place.path("layers/top/srv/file")).unwrap(), "top\n");
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn the_posture_is_dockers() {
    if !may_run("the_posture_is_dockers") {
        return;
    }
    let place = Box_::new("c-posture");
    let script = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; \
                  cat /proc/kcore | head -c 1 | od -c | head -1; \
                  echo 1 > /proc/sys/kernel/sysrq; echo sys $?; \
                  touch /sys/x; echo touch $?; \
                  mount -t tmpfs none /tmp; echo mount $?; \
                  unshare -U true; echo unshare $?; \
                  echo $$; ls /dev";
    let text = output(&place, shell(script), context(&place)).await;
    for line in [
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "sys 1",
        "touch 1",
        "mount 1",
        "unshare 1",
        "0000000\n",
        "\n1\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    assert!(!text.contains("vda") && !text.contains("sda") && text.contains("ptmx"), "{text}");
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn a_container_cannot_raise_its_limits() {
    if !may_run("a_container_cannot_raise_its_limits") {
        return;
    }
    let place = Box_::new("c-raise");
    let script = "for f in $(find_ /sys/fs/cgroup 2>/dev/null; ls -d /sys/fs/cgroup/* /sys/fs/cgroup/*/* \
                  2>/dev/null); do case $f in *limit_in_bytes|*memory.max|*pids.max) \
                  echo 999999999 > $f && echo RAISED $f;; esac; done; echo done";
    let text = output(&place, shell(script), context(&place)).await;
    assert_eq!(text, "done\n");
}

#[tokio::test]
async fn devices_that_were_not_given_cannot_be_opened() {
    if !may_run("devices_that_were_not_given_cannot_be_opened") {
        return;
    }
    let place = Box_::new("c-device");
    // 1:11 is /dev/kmsg, 1:3 null: one on the list and one not.
    let script = "mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg; echo kmsg $?; \
                  mknod /tmp/null c 1 3; echo x > /tmp/null; echo null $?; echo y > /dev/null && echo dev";
    let text = output(&place, shell(script), context(&place)).await;
    assert!(text.contains("kmsg 1") && text.contains("dev"), "{text}");
}

/// The flags of clone(2) are what the filter must look at; libcontainer 0.7 swaps two numbers there.
#[tokio::test]
async fn clone_makes_processes_but_no_namespaces() {
    if !may_run("clone_makes_processes_but_no_namespaces") {
        return;
    }
    let place = Box_::new("c-clone");
    let source = place.path("clone.c");
    let code = "#define _GNU_SOURCE\n#include <sched.h>\n#include <stdio.h>\n#include <errno.h>\n\
        #include <unistd.h>\n#include <sys/syscall.h>\n#include <signal.h>\n#include <sys/wait.h>\n\
        int main(void){ long p = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); if (p == 0) _exit(0); \
        printf(\"fork %d\\n\", p > 0); wait(0); p = syscall(SYS_clone, SIGCHLD|CLONE_NEWUSER, 0, 0, 0, 0); \
        if (p == 0) _exit(0); printf(\"newuser %d\\n\", p < 0 ? errno : 0); \
        p = syscall(SYS_clone3, 0, 0); printf(\"clone3 %d\\n\", errno); return 0; }\n";
    fs::write(&source, code).unwrap();
    let program = place.path("alloc/web/local/clone");
    let built = std::process::Command::new("cc")
        .arg("-static")
        .arg(&source)
        .arg("-o")
        .arg(&program)
        .status();
    if !built.is_ok_and(|status| status.success()) {
        eprintln!("skipped: clone_makes_processes_but_no_namespaces needs cc and a static libc");
        return;
    }
    let text = output(&place, shell("/local/clone"), context(&place)).await;
    assert_eq!(text, format!("fork 1\nnewuser {}\nclone3 {}\n", libc::EPERM, libc::ENOSYS));
}

#[tokio::test]
async fn users_come_from_the_image_or_the_task() {
    if !may_run("users_come_from_the_image_or_the_task") {
        return;
    }
    let place = Box_::new("c-user");
    let mut context = context(&place);
    if let Some(image) = &mut context.image {
        image.user = "web".into();
    }
    let script = "id; echo $HOME; grep CapEff /proc/self/status; echo again > /dev/stdout; true";
    let text = output(&place, shell(script), context.clone()).await;
    let expected = "uid=1001(web) gid=1002(web) groups=1002(web),1003(extra)\n/home/web\n\
                    CapEff:\t0000000000000000\nagain\n";
    assert_eq!(text, expected);
    context.user = Some("nosuch".into());
    let refused = place.try_start("docker", shell("true"), context).await.unwrap_err().to_string();
    assert_eq!(refused, "task web: no user `nosuch` in /etc/passwd");
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_leaves_nothing() {
    if !may_run("a_start_that_fails_says_why_and_leaves_nothing") {
        return;
    }
    let place = Box_::new("c-fail");
    let config = json!({"image": "busybox", "command": "/no/such"});
    let refused = place.try_start("docker", config, context(&place)).await.unwrap_err();
    assert!(refused.to_string().contains("/no/such"), "{refused}");
    place.assert_nothing_is_left();
    let mut missing = context(&place);
    if let Some(image) = &mut missing.image {
        image.layers = vec![place.path("nowhere")];
    }
    let refused = place.try_start("docker", shell("true"), missing).await.unwrap_err();
    assert!(refused.to_string().contains("mount its image: "), "{refused}");
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn a_container_that_ignores_its_signal_is_killed_with_its_children() {
    if !may_run("a_container_that_ignores_its_signal_is_killed_with_its_children") {
        return;
    }
    let place = Box_::new("c-kill");
    let task = start(&place, "trap '' TERM; sleep 1000 & echo up; while :; do sleep 1; done").await;
    until("output", || place.log("stdout") == "up\n").await;
    task.signal(libc::SIGTERM).unwrap();
    let pid = task.process().unwrap().pid;
    assert!(is_running(pid) && task.stats().unwrap().pids.len() >= 2);
    within(task.kill()).await.unwrap();
    let exit = within(task.wait()).await;
    assert_eq!((exit.exit_code, exit.signal), (137, 9));
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn memory_and_processes_are_limited_in_containers() {
    if !may_run("memory_and_processes_are_limited_in_containers") {
        return;
    }
    let place = Box_::new("c-limits");
    let mut context = context(&place);
    context.resources = Resources { memory_mb: 24, ..Resources::default() };
    let task = place.start("docker", shell("tail /dev/zero"), context.clone()).await;
    let exit = within(task.wait()).await;
    assert!(exit.oom_killed && exit.exit_code == 137, "{exit:?}");
    within(task.destroy()).await.unwrap();
    let config = json!({"image": "b", "command": "sh", "pids_limit": 20,
                        "args": ["-c", "b() { b | b & }; b; sleep 100"]});
    let task = place.start("docker", config, context).await;
    until("the limit", || place.log("stderr").contains("fork")).await;
    assert!(task.stats().unwrap().pids.len() <= 20);
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn commands_run_inside_with_and_without_a_terminal() {
    if !may_run("commands_run_inside_with_and_without_a_terminal") {
        return;
    }
    let place = Box_::new("c-exec");
    let mut context = context(&place);
    context.user = Some("web".into());
    let task = place.start("docker", shell("exec sleep 1000"), context).await;
    let script = "id -u; pwd; echo $FROM_IMAGE; grep -E 'Seccomp:|NoNewPrivs|CapBnd' /proc/self/status; exit 4";
    let mut session = within(task.exec(&request(&["sh", "-c", script]))).await.unwrap();
    let (out, err, code) = collect(&mut session).await;
    let expected = "1001\n/srv/made\nyes\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t2\n";
    assert_eq!((out.as_str(), err.as_str(), code), (expected, "", 4));
    let mut asked = request(&["sh", "-c", "stty size; tty; read x; echo got $x; echo err >&2"]);
    asked.tty = true;
    asked.size = Some(stead::driver::TerminalSize { width: 90, height: 20 });
    let mut session = within(task.exec(&asked)).await.unwrap();
    session.input.write(b"word\n").await.unwrap();
    let (out, _, code) = collect(&mut session).await;
    assert!(out.contains("20 90") && out.contains("got word") && out.contains("err"), "{out}");
    assert!(out.contains("/dev/pts/"), "{out}");
    assert_eq!(code, 0);
    let refused = within(task.exec(&request(&["no-such"]))).await.unwrap_err();
    assert!(refused.to_string().contains("no-such"), "{refused}");
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn a_container_survives_its_shim_and_its_agent() {
    if !may_run("a_container_survives_its_shim_and_its_agent") {
        return;
    }
    let place = Box_::new("c-shim");
    let task = start(
        &place,
        "echo before; while [ ! -e /local/go ]; do sleep 0.01; done; echo after; exit 11",
    )
    .await;
    until("output", || place.log("stdout") == "before\n").await;
    let stored = task.stored();
    let run: Value =
        serde_json::from_str(&fs::read_to_string(stored.state.join("run.json")).unwrap()).unwrap();
    let shim = i32::try_from(run["shim"]["pid"].as_i64().unwrap()).unwrap();
    drop(task);
    let task = within(place.driver("docker").recover(stored)).await;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(shim), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    let waiting = tokio::spawn({
        let task = task.clone();
        async move { task.wait().await }
    });
    until("the shim's death", || !is_running(shim)).await;
    let mut session = within(task.exec(&request(&["touch", "/local/go"]))).await.unwrap();
    assert_eq!(collect(&mut session).await.2, 0);
    let exit = within(waiting).await.unwrap();
    assert_eq!((exit.exit_code, exit.err), (11, None));
    assert_eq!(place.log("stdout"), "before\nafter\n");
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn volumes_are_shown_and_links_cannot_lead_out() {
    if !may_run("volumes_are_shown_and_links_cannot_lead_out") {
        return;
    }
    let settings = Settings { volumes: true, ..Settings::default() };
    let place = Box_::with("c-volumes", settings);
    fs::create_dir(place.path("data")).unwrap();
    let mut config = shell(
        "echo w > /data/w; echo r > /ro/r; echo $?; echo n > /new/n; mount | grep ' /t '; cat /etc/hosts",
    );
    config["volumes"] = json!([
        format!("{}:/data", place.path("data").display()),
        format!("{}:/ro:ro", place.path("data").display()),
        "local/new:/new"
    ]);
    config["mount"] =
        json!([{"type": "tmpfs", "target": "/t", "tmpfs_options": [{"size": 65536}]}]);
    config["extra_hosts"] = json!(["db:10.1.2.3"]);
    let text = output(&place, config, context(&place)).await;
    assert!(
        text.starts_with("1\n") && text.contains("size=64k") && text.contains("10.1.2.3\tdb"),
        "{text}"
    );
    assert_eq!(fs::read_to_string(place.path("data/w")).unwrap(), "w\n");
    assert!(place.path("alloc/web/local/new/n").exists());

    std::os::unix::fs::symlink("/etc", place.path("alloc/web/local/link")).unwrap();
    let mut config = shell("cat /l/passwd");
    config["volumes"] = json!(["local/link:/l"]);
    let refused = place.try_start("docker", config, context(&place)).await.unwrap_err().to_string();
    assert!(refused.contains("mount local/link"), "{refused}");
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn a_task_with_a_terminal_logs_what_it_prints() {
    if !may_run("a_task_with_a_terminal_logs_what_it_prints") {
        return;
    }
    let place = Box_::new("c-tty");
    let mut config = shell("tty; echo err >&2; echo $TERM");
    config["tty"] = json!(true);
    let text = output(&place, config, context(&place)).await;
    assert!(text.contains("/dev/pts/0\r\n") || text.contains("/dev/console\r\n"), "{text}");
    assert!(text.ends_with("err\r\nxterm\r\n"), "{text}");
}

#[tokio::test]
async fn read_only_roots_and_tight_settings_hold() {
    if !may_run("read_only_roots_and_tight_settings_hold") {
        return;
    }
    let place = Box_::new("c-ro");
    let mut config = shell(
        "touch /x; echo $?; touch /local/y; echo $?; grep CapEff /proc/self/status; \
                            grep 'Max core' /proc/self/limits; ls /sys/class/net; id",
    );
    config["readonly_rootfs"] = json!(true);
    config["cap_drop"] = json!(["all"]);
    config["cap_add"] = json!(["chown"]);
    config["ulimit"] = json!([{"core": "0:0"}]);
    config["network_mode"] = json!("none");
    config["group_add"] = json!(["extra"]);
    let text = output(&place, config, context(&place)).await;
    assert!(text.starts_with("1\n0\nCapEff:\t0000000000000001\n"), "{text}");
    assert!(text.contains("Max core file size        0                    0"), "{text}");
    assert!(text.contains("\nlo\nuid=0(root) gid=0(root) groups=0(root),1003(extra)\n"), "{text}");
}

#[tokio::test]
async fn an_init_of_ours_reaps_and_passes_signals_on() {
    if !may_run("an_init_of_ours_reaps_and_passes_signals_on") {
        return;
    }
    let place = Box_::new("c-init");
    let mut config =
        shell("trap 'echo term; exit 6' TERM; (sleep 0 &) ; echo $$; while :; do sleep 0.05; done");
    config["init"] = json!(true);
    let task = place.start("docker", config, context(&place)).await;
    until("output", || place.log("stdout") == "2\n").await;
    task.signal(libc::SIGTERM).unwrap();
    let exit = within(task.wait()).await;
    assert_eq!((exit.exit_code, place.log("stdout").as_str()), (6, "2\nterm\n"));
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}
