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

/// Takes over the connection and runs the command.
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
        session(cx, socket, alloc, request).await;
    }))
}

async fn session(cx: Context, mut socket: WebSocket, alloc: AllocId, request: ExecRequest) {
    let opened = match cx.local() {
        Ok(local) => local.exec(&alloc, request).await,
        Err(_) => Err(LocalError {
            kind: Kind::Invalid,
            text: "client is not enabled on this agent".to_owned(),
        }),
    };
    let outcome = match opened {
        Ok(session) => pass(&mut socket, session).await,
        Err(error) => Err(error),
    };
    let close = match outcome {
        Ok(()) => CloseFrame { code: 1000, reason: "".into() },
        Err(error) => {
            let code = if error.kind == Kind::Internal { 1011 } else { 1008 };
            // RFC 6455, section 5.5: a control frame holds at most 125 bytes, two of them the code.
            let text: String = error.text.chars().take(100).collect();
            CloseFrame { code, reason: text.into() }
        }
    };
    // The peer may have gone already.
    drop(socket.send(Message::Close(Some(close))).await);
}

async fn pass(socket: &mut WebSocket, mut session: ExecSession) -> Result<(), LocalError> {
    loop {
        tokio::select! {
            biased;
            // Nothing is lost when this is dropped: what was not taken stays in the channel.
            output = session.output.recv() => match output {
                Some(Ok(ExecOutput::Exited(code))) => {
                    let result = if code == 0 { json!({}) } else { json!({ "exit_code": code }) };
                    for stream in ["stdout", "stderr"] {
                        send(socket, json!({ stream: { "close": true } })).await;
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
