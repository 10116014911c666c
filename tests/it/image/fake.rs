//! A registry that does what a test tells it to: lie, break off, wait, count.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::fixture::{Built, digest};

/// What one path answers.
#[derive(Clone, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// Closes the connection after so many bytes of the body, the first time.
    pub(super) break_after: Option<usize>,
    /// Holds the rest of the body back after half of it, until told.
    pub(super) gate: Option<Arc<Notify>>,
    /// Goes on for as long as somebody listens, whatever the body is.
    pub(super) endless: bool,
}

impl Answer {
    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, body: body.into(), ..Self::default() }
    }
}

#[derive(Default)]
struct Shared {
    answers: Mutex<HashMap<String, Answer>>,
    /// Paths asked for, each with the range and authorization it was asked with.
    asked: Mutex<Vec<Asked>>,
    /// Requests must carry this `Authorization`, else they are sent to `challenge`.
    guard: Mutex<Option<(String, String)>>,
}

#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) range: Option<String>,
    pub(super) authorization: Option<String>,
}

/// Serves until dropped.
pub(super) struct Fake {
    pub(super) host: String,
    shared: Arc<Shared>,
    _serving: tokio::task::JoinSet<()>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        Self::serve(None).await
    }

    /// With TLS, as `localhost`.
    pub(super) async fn start_tls(config: rustls::ServerConfig) -> Self {
        Self::serve(Some(tokio_rustls::TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serve(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = if tls.is_some() { "localhost" } else { "127.0.0.1" };
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, tls) = (Arc::clone(&serving), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, shared).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, shared).await;
                            }
                        }
                    }
                });
            }
        });
        Self { host: format!("{name}:{port}"), shared, _serving: tasks }
    }

    pub(super) fn answer(&self, path: impl Into<String>, answer: Answer) {
        self.shared.answers.lock().unwrap().insert(path.into(), answer);
    }

    /// Serves an image honestly.
    pub(super) fn serve_image(&self, repository: &str, tag: &str, image: &Built) {
        let media_type = ("Content-Type", "application/vnd.oci.image.manifest.v1+json".to_owned());
        let manifest = Answer { headers: vec![media_type], ..Answer::ok(image.manifest.clone()) };
        self.answer(format!("/v2/{repository}/manifests/{tag}"), manifest.clone());
        self.answer(format!("/v2/{repository}/manifests/{}", digest(&image.manifest)), manifest);
        for bytes in image.layers.iter().map(|layer| &layer.bytes).chain([&image.config]) {
            self.answer(blob_path(repository, &digest(bytes)), Answer::ok(bytes.clone()));
        }
    }

    /// Wants `authorization` on every request, and tells who comes without it where to get one.
    pub(super) fn guard(&self, authorization: &str, challenge: &str) {
        *self.shared.guard.lock().unwrap() = Some((authorization.to_owned(), challenge.to_owned()));
    }

    pub(super) fn asked(&self, path: &str) -> Vec<Asked> {
        self.shared
            .asked
            .lock()
            .unwrap()
            .iter()
            .filter(|asked| asked.path == path)
            .cloned()
            .collect()
    }
}

pub(super) fn blob_path(repository: &str, digest: &str) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, shared: Arc<Shared>) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = head(&mut stream).await {
        shared.asked.lock().unwrap().push(asked.clone());
        let path = asked.path.split('?').next().unwrap_or_default().to_owned();
        let guard = shared.guard.lock().unwrap().clone();
        let mut answer = shared.answers.lock().unwrap().get(&path).cloned().unwrap_or_else(|| {
            Answer { status: if path == "/v2/" { 200 } else { 404 }, ..Answer::default() }
        });
        let challenge = guard.filter(|(wanted, _)| {
            path.starts_with("/v2/") && asked.authorization.as_ref() != Some(wanted)
        });
        if let Some((_, challenge)) = challenge {
            answer = Answer {
                status: 401,
                headers: vec![("WWW-Authenticate", challenge)],
                ..Answer::default()
            };
        }
        if answer.break_after.is_some() {
            shared.answers.lock().unwrap().get_mut(&path).unwrap().break_after = None;
        }
        if respond(&mut stream, &asked, answer).await.is_err() {
            return;
        }
    }
}

async fn head<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<Asked> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let mut asked =
        Asked { path: line.split(' ').nth(1)?.to_owned(), range: None, authorization: None };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { return Some(asked) };
        match name.to_ascii_lowercase().as_str() {
            "range" => asked.range = Some(value.to_owned()),
            "authorization" => asked.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
}

async fn respond<S>(stream: &mut BufReader<S>, asked: &Asked, answer: Answer) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let start = asked
        .range
        .as_deref()
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let (status, body) = match start {
        Some(start) => (206, answer.body.get(start..).unwrap_or_default()),
        None => (answer.status, answer.body.as_slice()),
    };
    let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in &answer.headers {
        head = format!("{head}{name}: {value}\r\n");
    }
    if answer.endless {
        stream.write_all(format!("HTTP/1.1 {status} X\r\n\r\n").as_bytes()).await?;
        loop {
            stream.write_all(&[b' '; 8 * 1024]).await?;
        }
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await?;
    if let Some(length) = answer.break_after {
        stream.write_all(&body[..length]).await?;
        stream.flush().await?;
        return Err(std::io::ErrorKind::ConnectionAborted.into());
    }
    let (first, second) = body.split_at(if answer.gate.is_some() { body.len() / 2 } else { 0 });
    stream.write_all(first).await?;
    stream.flush().await?;
    if let Some(gate) = answer.gate {
        // Either the test opens the gate or the other side goes away.
        let mut gone = [0];
        tokio::select! {
            biased;
            () = gate.notified() => {}
            _ = stream.read(&mut gone) => return Err(std::io::ErrorKind::ConnectionAborted.into()),
        }
    }
    stream.write_all(second).await?;
    stream.flush().await
}
