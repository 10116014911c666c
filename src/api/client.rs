//! ◇ The HTTP client of the API: what the command line talks to an agent with.
//!
//! One connection a request: a command makes few, and none may wait for another's pool. Starting costs
//! nothing. Errors have the words that people know from Nomad's own command line.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::sys::report::Kind;
use crate::sys::tasks::{Stop, Tasks};

/// Where the agent is and who asks.
#[derive(Clone, Default)]
pub struct ClientConfig {
    /// `http://host:port` or `unix:///path`.
    pub address: String,
    /// Sent as `X-Nomad-Token`; empty for none.
    pub token: String,
    /// Sent as `region`; empty for the agent's.
    pub region: String,
    /// Sent as `namespace` unless the query names one; empty for the default.
    pub namespace: String,
}

impl std::fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientConfig").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address cannot be used.
    #[error("address `{address}` is not of the form http://host:port or unix:///path")]
    Address {
        /// What was given.
        address: String,
    },
    /// The agent was not reached.
    #[error("{method} \"{url}\"")]
    Connect {
        /// What was asked.
        method: &'static str,
        /// Of whom.
        url: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The agent answered something else than success.
    #[error("Unexpected response code: {status} ({body})")]
    Status {
        /// The code.
        status: u16,
        /// The text that came with it.
        body: String,
    },
    /// The answer could not be read.
    #[error("read the answer of \"{url}\"")]
    Read {
        /// Whose.
        url: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ClientError {
    /// What the error means to the one who asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Address { .. } => Kind::Invalid,
            Self::Connect { .. } | Self::Read { .. } => Kind::Unavailable,
            Self::Status { status: 404, .. } => Kind::NotFound,
            Self::Status { status: 403, .. } => Kind::Denied,
            Self::Status { status: 400, .. } => Kind::Invalid,
            Self::Status { .. } => Kind::Internal,
        }
    }
}

/// An answer with its body read.
#[derive(Debug)]
pub struct Answer {
    /// `X-Nomad-Index`, 0 when it was not sent.
    pub index: u64,
    /// The body.
    pub body: Bytes,
    url: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body)
            .map_err(|source| ClientError::Read { url: self.url.clone(), source: source.into() })
    }
}

/// Query parameters, in order.
pub type Query<'a> = [(&'a str, &'a str)];

/// What a request sends.
pub type RequestBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// A body that is there as a whole.
pub fn whole(body: Bytes) -> RequestBody {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

/// A body that comes piece by piece.
pub fn streamed(
    pieces: impl futures::Stream<Item = std::io::Result<Bytes>> + Send + 'static,
) -> RequestBody {
    StreamBody::new(pieces.map_ok(hyper::body::Frame::data)).boxed_unsync()
}

/// A client of one agent.
#[derive(Debug, Clone)]
pub struct Client {
    config: ClientConfig,
    tasks: Tasks,
}

/// A WebSocket to the agent.
pub type Socket = WebSocketStream<Box<dyn Duplex>>;

/// What a WebSocket runs over.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Duplex for T {}

impl Client {
    /// A client with that configuration. Nothing is connected yet.
    pub fn new(config: ClientConfig) -> Self {
        Self { config, tasks: Tasks::new("api client", &Stop::new()) }
    }

    /// Its configuration.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Reads `path`.
    pub async fn get(&self, path: &str, query: &Query<'_>) -> Result<Answer, ClientError> {
        self.send(Method::GET, path, query, None).await
    }

    /// Reads `path` as JSON.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &Query<'_>,
    ) -> Result<T, ClientError> {
        self.get(path, query).await?.json()
    }

    /// Sends `body` (or nothing) with `method`.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        query: &Query<'_>,
        body: Option<Bytes>,
    ) -> Result<Answer, ClientError> {
        let body = whole(body.unwrap_or_default());
        let (response, url) = self.request(method, path, query, body).await?;
        let header = response.headers().get("x-nomad-index");
        let index = header.and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).unwrap_or(0);
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|source| ClientError::Read { url: url.clone(), source: source.into() })?
            .to_bytes();
        if !status.is_success() {
            return Err(status_error(status, &body));
        }
        Ok(Answer { index, body, url })
    }

    /// Reads `path` piece by piece, for answers that have no end.
    pub async fn stream(&self, path: &str, query: &Query<'_>) -> Result<Pieces, ClientError> {
        self.exchange(Method::GET, path, query, whole(Bytes::new())).await
    }

    /// Sends `body` as it comes and reads the answer piece by piece.
    pub async fn exchange(
        &self,
        method: Method,
        path: &str,
        query: &Query<'_>,
        body: RequestBody,
    ) -> Result<Pieces, ClientError> {
        let (response, url) = self.request(method, path, query, body).await?;
        let status = response.status();
        if !status.is_success() {
            let body =
                response.into_body().collect().await.map(http_body_util::Collected::to_bytes);
            return Err(status_error(status, &body.unwrap_or_default()));
        }
        Ok(Pieces { body: response.into_body(), url })
    }

    /// Opens a WebSocket at `path`.
    pub async fn websocket(&self, path: &str, query: &Query<'_>) -> Result<Socket, ClientError> {
        let url = self.url(path, query);
        let failed = |source| ClientError::Connect { method: "Get", url: url.clone(), source };
        let stream = self.connect("Get", &url).await?;
        let host = self.host();
        let mut request = format!("ws://{host}{}", self.target(path, query))
            .into_client_request()
            .map_err(|source| failed(source.into()))?;
        if !self.config.token.is_empty()
            && let Ok(token) = self.config.token.parse()
        {
            request.headers_mut().insert("X-Nomad-Token", token);
        }
        let (socket, _) = tokio_tungstenite::client_async(request, stream)
            .await
            .map_err(|source| failed(source.into()))?;
        Ok(socket)
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        query: &Query<'_>,
        body: RequestBody,
    ) -> Result<(http::Response<Incoming>, String), ClientError> {
        let url = self.url(path, query);
        let verb = verb(&method);
        let failed = |source| ClientError::Connect { method: verb, url: url.clone(), source };
        let stream = self.connect(verb, &url).await?;
        let mut request = Request::builder()
            .method(method)
            .uri(self.target(path, query))
            .header("Host", self.host());
        if !self.config.token.is_empty() {
            request = request.header("X-Nomad-Token", &self.config.token);
        }
        let request = request.body(body).map_err(|source| failed(source.into()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|source| failed(source.into()))?;
        self.tasks.spawn("connection", async move {
            // What goes wrong on the connection is told to the one who reads the answer.
            drop(connection.await);
        });
        let response =
            sender.send_request(request).await.map_err(|source| failed(source.into()))?;
        Ok((response, url))
    }

    async fn connect(
        &self,
        method: &'static str,
        url: &str,
    ) -> Result<Box<dyn Duplex>, ClientError> {
        if let Some(path) = self.config.address.strip_prefix("unix://") {
            let stream =
                UnixStream::connect(path).await.map_err(|source| ClientError::Connect {
                    method,
                    url: url.to_owned(),
                    source: format!("dial unix {path}: connect: {}", plain(&source)).into(),
                })?;
            return Ok(Box::new(stream));
        }
        let uri: Uri = self.config.address.parse().map_err(|_| self.bad_address())?;
        let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(self.bad_address());
        };
        let port = uri.port_u16().unwrap_or(4646);
        let host = host.trim_matches(['[', ']']);
        let dial = TcpStream::connect((host, port));
        let stream = match tokio::time::timeout(Duration::from_secs(10), dial).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => {
                let source = format!("dial tcp {host}:{port}: connect: {}", plain(&source)).into();
                return Err(ClientError::Connect { method, url: url.to_owned(), source });
            }
            Err(_) => {
                let source = format!("dial tcp {host}:{port}: i/o timeout").into();
                return Err(ClientError::Connect { method, url: url.to_owned(), source });
            }
        };
        // Without it small requests wait for an acknowledgement; failing to set it only costs time.
        stream.set_nodelay(true).unwrap_or_default();
        Ok(Box::new(stream))
    }

    fn bad_address(&self) -> ClientError {
        ClientError::Address { address: self.config.address.clone() }
    }

    fn host(&self) -> String {
        match self.config.address.strip_prefix("http://") {
            Some(rest) => rest.trim_end_matches('/').to_owned(),
            None => "localhost".to_owned(),
        }
    }

    fn url(&self, path: &str, query: &Query<'_>) -> String {
        format!("{}{}", self.config.address.trim_end_matches('/'), self.target(path, query))
    }

    /// The path with its query, region and namespace.
    fn target(&self, path: &str, query: &Query<'_>) -> String {
        let mut pairs: Vec<(&str, &str)> = query.to_vec();
        let named = |pairs: &[(&str, &str)], key: &str| pairs.iter().any(|(k, _)| *k == key);
        for (key, value) in [("namespace", &self.config.namespace), ("region", &self.config.region)]
        {
            if !value.is_empty() && !named(&pairs, key) {
                pairs.push((key, value));
            }
        }
        let query: Vec<String> =
            pairs.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
    }
}

/// An answer that is read piece by piece.
#[derive(Debug)]
pub struct Pieces {
    body: Incoming,
    url: String,
}

impl Pieces {
    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|source| ClientError::Read {
                url: self.url.clone(),
                source: source.into(),
            })?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

fn status_error(status: StatusCode, body: &Bytes) -> ClientError {
    ClientError::Status {
        status: status.as_u16(),
        body: String::from_utf8_lossy(body).trim_end().to_owned(),
    }
}

/// Nomad: the verb as Go's client writes it in its errors.
fn verb(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "Get",
        "PUT" => "Put",
        "POST" => "Post",
        "DELETE" => "Delete",
        _ => "Do",
    }
}

/// The operating system's words without the error number.
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// Percent-encodes all but unreserved characters (RFC 3986, section 2.3). A path's `/` must stay, so this
/// is for one segment or one value.
pub fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            write!(escaped, "%{byte:02X}").unwrap_or_default();
        }
    }
    escaped
}
