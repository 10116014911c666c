//! Commands run inside tasks, with and without a terminal.

use stead::driver::{ExecEvent, ExecRequest, ExecSession, TaskHandle, TerminalSize};

use super::support::{Box_, may_run, until, within};

pub(super) fn request(words: &[&str]) -> ExecRequest {
    let command = words.iter().map(|word| (*word).to_owned()).collect();
    ExecRequest { command, ..ExecRequest::default() }
}

/// Everything until the end: output, errors, code.
pub(super) async fn collect(session: &mut ExecSession) -> (String, String, i32) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match within(session.output.next()).await.expect("an exit code") {
            ExecEvent::Stdout(bytes) => out.extend(bytes),
            ExecEvent::Stderr(bytes) => err.extend(bytes),
            ExecEvent::Exited(code) => {
                let text = |bytes| String::from_utf8(bytes).unwrap();
                return (text(out), text(err), code);
            }
        }
    }
}

async fn sleeper(place: &Box_) -> TaskHandle {
    place.script("exec sleep 100").await
}

#[tokio::test]
async fn a_command_runs_beside_the_task() {
    if !may_run("a_command_runs_beside_the_task") {
        return;
    }
    let place = Box_::new("exec");
    let task = sleeper(&place).await;
    let mut asked = request(&["sh", "-c", "echo $A; pwd; echo err >&2; exit 3"]);
    asked.env.insert("A".into(), "b".into());
    let mut session = within(task.exec(&asked)).await.unwrap();
    let (out, err, code) = collect(&mut session).await;
    let expected = format!("b\n{}\n", place.path("alloc/web").display());
    assert_eq!((out, err.as_str(), code), (expected, "err\n", 3));
    let refused = within(task.exec(&request(&["no-such"]))).await.unwrap_err();
    assert!(refused.to_string().contains("exec `no-such`"), "{refused}");
    within(task.destroy()).await.unwrap();
    let refused = within(task.exec(&request(&["true"]))).await;
    assert!(refused.is_err());
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn more_input_than_a_pipe_holds_comes_back_whole() {
    if !may_run("more_input_than_a_pipe_holds_comes_back_whole") {
        return;
    }
    let place = Box_::new("exec-cat");
    let task = sleeper(&place).await;
    let ExecSession { mut input, mut output } =
        within(task.exec(&request(&["cat"]))).await.unwrap();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let writing = {
        let sent = sent.clone();
        tokio::spawn(async move {
            input.write(&sent).await.unwrap();
            input.close().await.unwrap();
            input
        })
    };
    let mut received = Vec::new();
    loop {
        match within(output.next()).await.unwrap() {
            ExecEvent::Stdout(bytes) => received.extend(bytes),
            ExecEvent::Stderr(_) => {}
            ExecEvent::Exited(code) => {
                assert_eq!(code, 0);
                break;
            }
        }
    }
    drop(writing.await.unwrap());
    assert!(received == sent, "{} of {}", received.len(), sent.len());
    within(task.destroy()).await.unwrap();
}

#[tokio::test]
async fn a_terminal_has_a_size_and_is_controlled() {
    if !may_run("a_terminal_has_a_size_and_is_controlled") {
        return;
    }
    let place = Box_::new("exec-tty");
    let task = sleeper(&place).await;
    let asked = ExecRequest {
        tty: true,
        size: Some(TerminalSize { width: 100, height: 30 }),
        ..request(&[
            "sh",
            "-c",
            "stty size; read line; stty size; exec 3</dev/tty && echo got $line",
        ])
    };
    let mut session = within(task.exec(&asked)).await.unwrap();
    let first = within(session.output.next()).await;
    assert_eq!(first, Some(ExecEvent::Stdout(b"30 100\r\n".to_vec())));
    session.input.resize(TerminalSize { width: 120, height: 40 }).await.unwrap();
    session.input.write(b"hello\n").await.unwrap();
    let (out, _, code) = collect(&mut session).await;
    assert_eq!((out.as_str(), code), ("hello\r\n40 120\r\ngot hello\r\n", 0));
    within(task.destroy()).await.unwrap();
}

#[tokio::test]
async fn a_dropped_session_kills_its_command() {
    if !may_run("a_dropped_session_kills_its_command") {
        return;
    }
    let place = Box_::new("exec-drop");
    let task = sleeper(&place).await;
    let before = task.stats().unwrap().pids.len();
    let session = within(task.exec(&request(&["sleep", "1000"]))).await.unwrap();
    until("the command", || task.stats().unwrap().pids.len() > before).await;
    drop(session);
    until("its end", || task.stats().unwrap().pids.len() == before).await;
    within(task.destroy()).await.unwrap();
    place.assert_nothing_is_left();
}
