//! `exec`: no image, the host's own programs in a root of read-only host directories.

use std::fs;

use serde_json::json;

use super::support::{Box_, may_run, within};

#[tokio::test]
async fn a_host_program_runs_as_nobody_in_a_root_of_its_own() {
    if !may_run("a_host_program_runs_as_nobody_in_a_root_of_its_own") {
        return;
    }
    let place = Box_::new("x-run");
    fs::set_permissions(
        place.path("alloc/web/local"),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let script = "id -un; pwd; ls -d /root /home /work 2>/dev/null; touch /usr/x /etc/x 2>/dev/null || echo ro; \
                  echo l > /local/l; echo t > /tmp/t && cat /tmp/t; grep -c . /etc/hosts; cat /proc/1/comm; \
                  grep -E 'Seccomp:|NoNewPrivs|CapEff' /proc/self/status; ls /proc | grep -c '^[0-9]'";
    let config = json!({"command": "bash", "args": ["-c", script]});
    let task = place.start("exec", config, place.context()).await;
    let exit = within(task.wait()).await;
    let text = place.log("stdout");
    assert_eq!(exit.exit_code, 0, "{text}{}", place.log("stderr"));
    assert!(text.starts_with("nobody\n/\nro\nt\n"), "{text}");
    assert!(
        text.contains("\nbash\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"),
        "{text}"
    );
    assert_eq!(fs::read_to_string(place.path("alloc/web/local/l")).unwrap(), "l\n");
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn a_program_in_the_task_directory_is_found() {
    if !may_run("a_program_in_the_task_directory_is_found") {
        return;
    }
    let place = Box_::new("x-local");
    let program = place.path("alloc/web/local/hello");
    fs::write(&program, "#!/bin/sh\necho hello $1\n").unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut context = place.context();
    context.user = Some("root".into());
    let config = json!({"command": "local/hello", "args": ["you"]});
    let task = place.start("exec", config, context).await;
    assert_eq!(within(task.wait()).await.exit_code, 0, "{}", place.log("stderr"));
    assert_eq!(place.log("stdout"), "hello you\n");
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}
