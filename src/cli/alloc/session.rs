//! ◇ A command in a task over a WebSocket: Nomad's frames of JSON, base64 inside.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{SinkExt as _, StreamExt as _};
use nix::sys::termios::{self, SetArg, Termios};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::api::client::Socket;
use crate::cli::exit::{Failure, Outcome};
use crate::cli::output;

/// What the session passes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// Whether stdin is passed.
    pub(super) stdin: bool,
    /// Whether the command has a terminal.
    pub(super) tty: bool,
    /// What begins an escape at the beginning of a line.
    pub(super) escape: Option<u8>,
}

/// The terminal as it was, put back when the session ends however it ends.
struct Raw(Termios);

impl Raw {
    fn enter() -> Option<Self> {
        let before = termios::tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing can be done when the terminal has gone.
        termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.0).unwrap_or_default();
    }
}

/// Runs the session until the command ends; its exit code.
pub(super) async fn run(socket: Socket, options: Options) -> Outcome {
    let raw = options.tty.then(Raw::enter).flatten();
    let outcome = pass(socket, options).await;
    drop(raw);
    outcome
}

async fn pass(socket: Socket, options: Options) -> Outcome {
    let (mut to_task, mut from_task) = socket.split();
    let mut typed =
        if options.stdin { read_stdin(options.escape.filter(|_| options.tty)) } else { closed() };
    if options.tty
        && let Some(size) = terminal_size()
    {
        let frame = json!({ "tty_size": size }).to_string();
        to_task.send(Message::text(frame)).await.map_err(|error| lost(&error))?;
    }
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            // Nothing is lost when this is dropped: a frame is taken whole or not at all.
            frame = from_task.next() => match frame {
                Some(Ok(Message::Text(text))) => {
                    if let Some(code) = received(&text)? {
                        return Ok(code);
                    }
                }
                Some(Ok(Message::Close(close))) => return Err(closed_by_agent(close)),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(lost(&error)),
                None => return Err(Failure::new("failed to exec into task: the agent closed the connection")),
            },
            // Nothing is lost when this is dropped: a piece stays in the channel until it is taken.
            piece = typed.recv(), if open => {
                let frame = match piece {
                    Some(Typed::Bytes(bytes)) => json!({ "stdin": { "data": STANDARD.encode(bytes) } }),
                    Some(Typed::Escape) => return Ok(1),
                    None => {
                        open = false;
                        json!({ "stdin": { "close": true } })
                    }
                };
                to_task.send(Message::text(frame.to_string())).await.map_err(|error| lost(&error))?;
            }
        }
    }
}

enum Typed {
    Bytes(Vec<u8>),
    Escape,
}

fn closed() -> mpsc::Receiver<Typed> {
    mpsc::channel(1).1
}

/// Reads stdin on a thread of its own: a terminal's read cannot be given up, so the thread ends with the process.
fn read_stdin(escape: Option<u8>) -> mpsc::Receiver<Typed> {
    let (sender, receiver) = mpsc::channel(8);
    drop(std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        let mut keys = Keys { escape, line_start: true, pending: false };
        while let Ok(count @ 1..) = std::io::stdin().read(&mut buffer) {
            let Some(bytes) = keys.filter(&buffer[..count]) else {
                sender.blocking_send(Typed::Escape).unwrap_or_default();
                return;
            };
            if !bytes.is_empty() && sender.blocking_send(Typed::Bytes(bytes)).is_err() {
                return;
            }
        }
    }));
    receiver
}

/// What was typed, with escapes taken out.
struct Keys {
    escape: Option<u8>,
    line_start: bool,
    pending: bool,
}

impl Keys {
    /// What to pass on; `None` when the session was to end.
    fn filter(&mut self, typed: &[u8]) -> Option<Vec<u8>> {
        let Some(escape) = self.escape else { return Some(typed.to_vec()) };
        let mut out = Vec::with_capacity(typed.len());
        for &byte in typed {
            if std::mem::take(&mut self.pending) {
                match byte {
                    b'.' => return None,
                    byte if byte == escape => out.push(escape),
                    byte => out.extend([escape, byte]),
                }
                self.line_start = byte == b'\r' || byte == b'\n';
            } else if self.line_start && byte == escape {
                self.pending = true;
            } else {
                out.push(byte);
                self.line_start = byte == b'\r' || byte == b'\n';
            }
        }
        Some(out)
    }
}

/// Prints what came; the exit code when the command ended.
fn received(text: &str) -> Result<Option<u8>, Failure> {
    let frame: Value = serde_json::from_str(text)
        .map_err(|error| Failure::of("failed to exec into task", &error))?;
    for (stream, print) in
        [("stdout", output::raw as fn(&[u8])), ("stderr", output::raw_error as fn(&[u8]))]
    {
        if let Some(data) = frame[stream]["data"].as_str() {
            print(&STANDARD.decode(data).unwrap_or_default());
        }
    }
    if frame["exited"].as_bool() != Some(true) {
        return Ok(None);
    }
    let code = frame["result"]["exit_code"].as_i64().unwrap_or(0);
    Ok(Some(u8::try_from(code).unwrap_or(1)))
}

fn lost(error: &tokio_tungstenite::tungstenite::Error) -> Failure {
    Failure::of("failed to exec into task", error)
}

fn closed_by_agent(close: Option<tokio_tungstenite::tungstenite::protocol::CloseFrame>) -> Failure {
    let reason = close.map(|close| close.reason.to_string()).unwrap_or_default();
    Failure::new(format!("failed to exec into task: {reason}"))
}

fn terminal_size() -> Option<Value> {
    stty_size().map(|(height, width)| json!({ "height": height, "width": width }))
}

/// Rows and columns of the terminal, asked of `stty size`: the ioctl would need unsafe code for one number.
fn stty_size() -> Option<(u16, u16)> {
    let mut command = crate::sys::command::command("stty");
    let out = command.arg("size").stdin(std::process::Stdio::inherit()).output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    let (rows, columns) = text.trim().split_once(' ')?;
    Some((rows.parse().ok()?, columns.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::Keys;

    #[test]
    fn an_escape_ends_the_session_only_at_the_beginning_of_a_line() {
        let mut keys = Keys { escape: Some(b'~'), line_start: true, pending: false };
        assert_eq!(keys.filter(b"ls ~.\r"), Some(b"ls ~.\r".to_vec()));
        assert_eq!(keys.filter(b"~~x\r"), Some(b"~x\r".to_vec()));
        assert_eq!(keys.filter(b"~"), Some(Vec::new()));
        assert_eq!(keys.filter(b"."), None);
    }
}
