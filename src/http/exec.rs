//! ◇ `/v1/client/allocation/:id/exec`: a command in a task over a WebSocket, Nomad's frames of JSON.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::Answer;
use super::context::Context;
use super::error::HttpError;
use super::local::{ExecInput, ExecOutput, ExecRequest, ExecSession, LocalError};
use super::query::Query;
use crate::model::AllocId;
use crate::sys::report::Kind;

/// Sent when nothing else was for so long, so that both sides know the other is there.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Takes over the connection and runs the command. What is wrong is told when it is closed.
pub(super) fn run(cx: &Context, upgrade: WebSocketUpgrade, id: &str, query: &Query) -> Answer {
    let command: Vec<String> = serde_json::from_str(query.text("command")).map_err(|error| {
        HttpError::bad_request(format!("command: it must be a JSON list of texts: {error}"))
    })?;
    let request = ExecRequest {
        task: query.text("task").to_owned(),
        command,
        tty: query.flag("tty", false)?,
    };
    let handshake = query.flag("ws_handshake", false)?;
    let (cx, alloc) = (cx.clone(), AllocId::from(id));
    Ok(upgrade.on_upgrade(move |socket| async move {
        let mut socket = socket;
        if handshake {
            // The first frame carries a token; there is nothing to check it against yet.
            drop(socket.recv().await);
        }
        let frame = match session(&cx, &mut socket, &alloc, request).await {
            Ok(()) => CloseFrame { code: 1000, reason: "".into() },
            Err(end) => end,
        };
        // The peer may have gone already.
        drop(socket.send(Message::Close(Some(frame))).await);
    }))
}

/// RFC 6455, section 7.4.1: what was asked cannot be done.
const POLICY: u16 = 1008;
/// And: it was tried.
const FAILED: u16 = 1011;

fn end(code: u16, text: &str) -> CloseFrame {
    // RFC 6455, section 5.5: a control frame holds at most 125 bytes, two of them the code.
    let mut reason = text.to_owned();
    while reason.len() > 123 {
        reason.pop();
    }
    CloseFrame { code, reason: reason.into() }
}

async fn session(
    cx: &Context,
    socket: &mut WebSocket,
    alloc: &AllocId,
    request: ExecRequest,
) -> Result<(), CloseFrame> {
    if request.command.is_empty() {
        return Err(end(POLICY, "command is not present"));
    }
    if let Some(watch) = &cx.watch
        && watch.state().alloc(alloc).is_none()
    {
        return Err(end(POLICY, &format!("Unknown allocation \"{alloc}\"")));
    }
    let Ok(local) = cx.local() else {
        return Err(end(POLICY, "client is not enabled on this agent"));
    };
    let tty = request.tty;
    let opened = local.exec(alloc, request).await;
    let session = opened.map_err(|error| end(FAILED, &error.text))?;
    pass(socket, session, tty).await.map_err(|error| end(FAILED, &error.text))
}

async fn pass(
    socket: &mut WebSocket,
    mut session: ExecSession,
    tty: bool,
) -> Result<(), LocalError> {
    // A terminal has one stream.
    let streams: &[&str] = if tty { &["stdout"] } else { &["stdout", "stderr"] };
    loop {
        tokio::select! {
            biased;
            // Nothing is lost when this is dropped: what was not taken stays in the channel.
            output = session.output.recv() => match output {
                Some(Ok(ExecOutput::Exited(code))) => {
                    let result = if code == 0 { json!({}) } else { json!({ "exit_code": code }) };
                    for stream in streams {
                        send(socket, json!({ *stream: { "close": true } })).await;
                    }
                    send(socket, json!({ "exited": true, "result": result })).await;
                    return Ok(());
                }
                Some(Ok(ExecOutput::Stdout(data))) => send(socket, frame("stdout", &data)).await,
                Some(Ok(ExecOutput::Stderr(data))) => send(socket, frame("stderr", &data)).await,
                Some(Err(error)) => return Err(error),
                None => {
                    let text = "the command's end is not known".to_owned();
                    return Err(LocalError { kind: Kind::Internal, text });
                }
            },
            // A message is taken whole or not at all.
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => told(&session, &text).await,
                Some(Ok(Message::Binary(bytes))) => told(&session, &String::from_utf8_lossy(&bytes)).await,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                // The peer left: dropping the session ends the command's input.
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
            },
            () = tokio::time::sleep(HEARTBEAT) => send(socket, json!({})).await,
        }
    }
}

fn frame(stream: &str, data: &Bytes) -> Value {
    json!({ stream: { "data": STANDARD.encode(data) } })
}

async fn send(socket: &mut WebSocket, frame: Value) {
    // A peer that has gone is noticed when the next message is read.
    drop(socket.send(Message::Text(frame.to_string().into())).await);
}

/// What the peer sent, for the command. An empty object is a sign of life.
async fn told(session: &ExecSession, text: &str) {
    let Ok(frame) = serde_json::from_str::<Value>(text) else { return };
    let mut inputs = Vec::new();
    if let Some(data) = frame["stdin"]["data"].as_str().and_then(|data| STANDARD.decode(data).ok())
    {
        inputs.push(ExecInput::Stdin(Bytes::from(data)));
    }
    if frame["stdin"]["close"] == true {
        inputs.push(ExecInput::Close);
    }
    let size = |field: &str| frame["tty_size"][field].as_u64().and_then(|n| u16::try_from(n).ok());
    if let (Some(width), Some(height)) = (size("width"), size("height")) {
        inputs.push(ExecInput::Resize { width, height });
    }
    for input in inputs {
        // A command that ended takes nothing any more; its end is on the way.
        if session.input.send(input).await.is_err() {
            return;
        }
    }
}
