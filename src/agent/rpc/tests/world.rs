//! A server that leads, its port, and agents with certificates.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::super::listen::{self, Port};
use super::super::node_calls::{Leased, Proof, Register};
use super::super::nodes::Nodes;
use super::super::tls::Tls;
use super::super::{RpcError, call::Line};
use crate::agent::config::TlsFiles;
use crate::http::Local;
use crate::http::local::{
    Ended, ExecInput, ExecOutput, ExecRequest, ExecSession, FileInfo, LocalError, LocalResult,
    LogRequest, Origin, Piece, Pieces,
};
use crate::model::{AllocId, Node, NodeId};
use crate::raft::{self, RaftConfig};
use crate::server::{Server, ServerConfig};
use crate::sys::report::Kind;
use crate::sys::tasks::{Stop, Tasks};

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A server that leads, and its port.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) nodes: Nodes,
    pub(super) tasks: Tasks,
    pub(super) address: String,
    pub(super) authority: Authority,
}

/// Signs certificates and keeps their files.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    dir: TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem, dir: tempfile::tempdir().unwrap() }
    }

    fn files(&self, name: &str) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let write = |file: &str, text: &str| {
            let path = self.dir.path().join(format!("{name}-{file}.pem"));
            std::fs::write(&path, text).unwrap();
            path
        };
        TlsFiles {
            ca: write("ca", &self.pem),
            cert: write("cert", &certificate.pem()),
            key: write("key", &key.serialize_pem()),
        }
    }

    /// TLS of an agent whose certificate has that name, whatever it is for.
    pub(super) fn tls(&self, name: &str) -> Tls {
        Tls::unchecked(&self.files(name), "global").unwrap()
    }
}

impl World {
    pub(super) async fn new() -> Self {
        let stop = Stop::new();
        let raft = raft::open(RaftConfig::in_memory()).await.unwrap();
        let server = Server::start(raft, ServerConfig::default(), &stop);
        assert!(server.wait_until_leading(PATIENCE).await);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (tasks, nodes) = (Tasks::new("test", &stop), Nodes::default());
        let world = Self { server, nodes, tasks, address, authority: Authority::new() };
        let tls = world.tls("server.global.nomad");
        let port = Port::new(world.server.clone(), tls, world.nodes.clone(), world.tasks.clone());
        world.tasks.spawn("rpc", listen::serve(port, listener, world.tasks.stop_token()));
        world
    }

    pub(super) fn tls(&self, name: &str) -> Tls {
        self.authority.tls(name)
    }

    pub(super) async fn dial(&self, name: &str) -> Line {
        Line::dial(&self.address, &self.tls(name), &self.tasks).await.unwrap()
    }

    pub(super) async fn register(&self, line: &Line, node: &Proof) -> Result<(), RpcError> {
        let node = Node {
            id: node.node.clone(),
            secret_id: node.secret.clone(),
            name: "a".to_owned(),
            ..Node::default()
        };
        let leased: Result<Leased, _> =
            line.ask("/node/register", &Register { node }, PATIENCE).await;
        leased.map(drop)
    }

    pub(super) async fn end(self) {
        self.server.shutdown(PATIENCE).await;
        assert!(self.tasks.shutdown(PATIENCE).await, "everything ends when it is told");
    }
}

pub(super) fn proof(number: u8, secret: &str) -> Proof {
    let node = format!("00000000-0000-0000-0000-0000000000{number:02}");
    Proof { node: node.as_str().into(), secret: secret.to_owned() }
}

/// A node that answers from memory.
#[derive(Debug)]
pub(super) struct FakeNode;

fn not_found<T>() -> BoxFuture<'static, LocalResult<T>> {
    let text = "Unknown allocation \"none\"".to_owned();
    async { Err(LocalError { kind: Kind::NotFound, text }) }.boxed()
}

fn piece(text: &'static str) -> Piece {
    Piece { file: "f".to_owned(), offset: 3, data: text.into(), event: "e".to_owned() }
}

impl Local for FakeNode {
    fn ls<'a>(
        &'a self,
        _alloc: &'a AllocId,
        path: &'a str,
    ) -> BoxFuture<'a, LocalResult<Vec<FileInfo>>> {
        let file = FileInfo { name: path.to_owned(), size: 7, ..FileInfo::default() };
        async { Ok(vec![file]) }.boxed()
    }

    fn stat<'a>(&'a self, _: &'a AllocId, _: &'a str) -> BoxFuture<'a, LocalResult<FileInfo>> {
        not_found()
    }

    fn read<'a>(
        &'a self,
        _: &'a AllocId,
        _: &'a str,
        _: (u64, Option<u64>),
    ) -> BoxFuture<'a, LocalResult<Pieces>> {
        let broken = LocalError { kind: Kind::Internal, text: "disk".to_owned() };
        let pieces = futures::stream::iter([Ok(piece("one")), Ok(piece("two")), Err(broken)]);
        async { Ok(futures::StreamExt::boxed(pieces)) }.boxed()
    }

    fn stream<'a>(
        &'a self,
        _: &'a AllocId,
        _: &'a str,
        _: Origin,
        _: bool,
    ) -> BoxFuture<'a, LocalResult<Pieces>> {
        // One piece, and then nothing for ever: a file that is followed.
        let pieces = futures::StreamExt::chain(
            futures::stream::iter([Ok(piece("one"))]),
            futures::stream::pending(),
        );
        async { Ok(futures::StreamExt::boxed(pieces)) }.boxed()
    }

    fn logs<'a>(&'a self, _: &'a AllocId, _: LogRequest) -> BoxFuture<'a, LocalResult<Pieces>> {
        not_found()
    }

    fn alloc_stats<'a>(
        &'a self,
        _: &'a AllocId,
        task: Option<&'a str>,
    ) -> BoxFuture<'a, LocalResult<Value>> {
        let task = task.unwrap_or("all").to_owned();
        async { Ok(Value::String(task)) }.boxed()
    }

    fn host_stats<'a>(&'a self, _: Option<&'a NodeId>) -> BoxFuture<'a, LocalResult<Value>> {
        not_found()
    }

    fn restart<'a>(
        &'a self,
        _: &'a AllocId,
        _: Option<&'a str>,
        _: bool,
    ) -> BoxFuture<'a, LocalResult<()>> {
        async { Ok(()) }.boxed()
    }

    fn signal<'a>(
        &'a self,
        _: &'a AllocId,
        _: Option<&'a str>,
        _: &'a str,
    ) -> BoxFuture<'a, LocalResult<()>> {
        not_found()
    }

    fn gc<'a>(&'a self, _: Ended<'a>) -> BoxFuture<'a, LocalResult<()>> {
        async { Ok(()) }.boxed()
    }

    fn exec<'a>(
        &'a self,
        _: &'a AllocId,
        _: ExecRequest,
    ) -> BoxFuture<'a, LocalResult<ExecSession>> {
        let (input, mut told) = tokio::sync::mpsc::channel(1);
        let (tell, output) = tokio::sync::mpsc::channel(1);
        Tasks::new("echo", &Stop::new()).spawn("echo", async move {
            while let Some(ExecInput::Stdin(data)) = told.recv().await {
                if tell.send(Ok(ExecOutput::Stdout(data))).await.is_err() {
                    return;
                }
            }
            drop(tell.send(Ok(ExecOutput::Exited(3))).await);
        });
        async { Ok(ExecSession { input, output }) }.boxed()
    }
}

/// The node as a server that it dialled asks it, once it is there.
pub(super) async fn connected(world: &World, node: &Node) -> Line {
    let found = async {
        loop {
            if let Some(line) = world.nodes.line(node) {
                return line;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap()
}

pub(super) fn fake() -> Arc<dyn Local> {
    Arc::new(FakeNode)
}
