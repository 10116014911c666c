//! ◇ Whichever node an allocation is on, as the API asks it: this agent's own, or one that is connected.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use serde_json::Value;

use super::nodes::Nodes;
use super::remote_node::RemoteNode;
use crate::http::Local;
use crate::http::local::{
    Ended, ExecRequest, ExecSession, FileInfo, LocalError, LocalResult, LogRequest, Origin, Pieces,
};
use crate::http::local_images::Images;
use crate::model::{AllocId, Node, NodeId, NodeStatus};
use crate::server::Server;
use crate::sys::report::Kind;
use crate::sys::tasks::Tasks;

/// Whichever node it takes.
#[derive(Debug, Clone)]
pub(in crate::agent) struct AnyNode {
    pub own: Option<(NodeId, Arc<dyn Local>)>,
    pub server: Server,
    pub nodes: Nodes,
    pub tasks: Tasks,
}

impl AnyNode {
    /// The node of an allocation.
    fn of(&self, alloc: &AllocId) -> LocalResult<Arc<dyn Local>> {
        let state = self.server.state();
        let Some(known) = state.alloc(alloc) else {
            let text = format!("Unknown allocation \"{alloc}\"");
            return Err(LocalError { kind: Kind::NotFound, text });
        };
        self.node(Some(&known.node_id))
    }

    /// A node; this agent's own when none is named.
    fn node(&self, id: Option<&NodeId>) -> LocalResult<Arc<dyn Local>> {
        let own = self.own.as_ref().filter(|(own, _)| id.is_none_or(|id| id == own));
        if let Some((_, own)) = own {
            return Ok(Arc::clone(own));
        }
        let Some(id) = id else {
            let text = "client is not enabled: name a node with `node_id`".to_owned();
            return Err(LocalError { kind: Kind::Invalid, text });
        };
        let state = self.server.state();
        let Some(node) = state.node(id) else {
            let text = format!("Unknown node \"{id}\"");
            return Err(LocalError { kind: Kind::NotFound, text });
        };
        match self.nodes.line(node) {
            Some(line) => Ok(Arc::new(RemoteNode { line, tasks: self.tasks.clone() })),
            None => Err(LocalError { kind: Kind::Unavailable, text: no_path(node) }),
        }
    }
}

/// Nomad: clients look for "No path to node".
fn no_path(node: &Node) -> String {
    let short = node.id.short();
    let hint = match node.status {
        NodeStatus::Ready | NodeStatus::Initializing => {
            "it reaches other servers only; name this one in its `client.servers` too"
        }
        NodeStatus::Down | NodeStatus::Disconnected => "it is not heard of; is its agent running?",
    };
    format!("No path to node {short} ({}) from this server: {hint}", node.name)
}

impl Local for AnyNode {
    fn ls<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
    ) -> BoxFuture<'a, LocalResult<Vec<FileInfo>>> {
        async move { self.of(alloc)?.ls(alloc, path).await }.boxed()
    }

    fn stat<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
    ) -> BoxFuture<'a, LocalResult<FileInfo>> {
        async move { self.of(alloc)?.stat(alloc, path).await }.boxed()
    }

    fn read<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
        range: (u64, Option<u64>),
    ) -> BoxFuture<'a, LocalResult<Pieces>> {
        async move { self.of(alloc)?.read(alloc, path, range).await }.boxed()
    }

    fn stream<'a>(
        &'a self,
        alloc: &'a AllocId,
        path: &'a str,
        origin: Origin,
        follow: bool,
    ) -> BoxFuture<'a, LocalResult<Pieces>> {
        async move { self.of(alloc)?.stream(alloc, path, origin, follow).await }.boxed()
    }

    fn logs<'a>(
        &'a self,
        alloc: &'a AllocId,
        request: LogRequest,
    ) -> BoxFuture<'a, LocalResult<Pieces>> {
        async move { self.of(alloc)?.logs(alloc, request).await }.boxed()
    }

    fn alloc_stats<'a>(
        &'a self,
        alloc: &'a AllocId,
        task: Option<&'a str>,
    ) -> BoxFuture<'a, LocalResult<Value>> {
        async move { self.of(alloc)?.alloc_stats(alloc, task).await }.boxed()
    }

    fn host_stats<'a>(&'a self, node: Option<&'a NodeId>) -> BoxFuture<'a, LocalResult<Value>> {
        async move { self.node(node)?.host_stats(node).await }.boxed()
    }

    fn restart<'a>(
        &'a self,
        alloc: &'a AllocId,
        task: Option<&'a str>,
        all: bool,
    ) -> BoxFuture<'a, LocalResult<()>> {
        async move { self.of(alloc)?.restart(alloc, task, all).await }.boxed()
    }

    fn signal<'a>(
        &'a self,
        alloc: &'a AllocId,
        task: Option<&'a str>,
        signal: &'a str,
    ) -> BoxFuture<'a, LocalResult<()>> {
        async move { self.of(alloc)?.signal(alloc, task, signal).await }.boxed()
    }

    fn gc<'a>(&'a self, ended: Ended<'a>) -> BoxFuture<'a, LocalResult<()>> {
        async move {
            match ended {
                Ended::Alloc(id) => self.of(id)?.gc(ended).await,
                Ended::All(node) => self.node(node)?.gc(ended).await,
            }
        }
        .boxed()
    }

    fn exec<'a>(
        &'a self,
        alloc: &'a AllocId,
        request: ExecRequest,
    ) -> BoxFuture<'a, LocalResult<ExecSession>> {
        async move { self.of(alloc)?.exec(alloc, request).await }.boxed()
    }

    fn images(&self) -> LocalResult<&dyn Images> {
        let own = self.own.as_ref().ok_or_else(|| LocalError {
            kind: Kind::NotFound,
            text: "this agent is no client: ask for a node's images at its own agent".to_owned(),
        })?;
        own.1.images()
    }
}
