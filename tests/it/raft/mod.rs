//! Servers of a cluster in one process, over a network that can be cut.

mod alone;
mod cluster;
mod killed;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::json;
use stead::model::Index;
use stead::raft::{
    Bootstrap, Leadership, Member, RaftConfig, RaftHandle, Retention, RpcKind, Storage, Timing,
    Transport, TransportError, open,
};
use stead::state::{Intent, Reply, RowTable};

/// How long a test waits for anything.
const LONG: Duration = Duration::from_secs(20);

/// Servers by their identity. What is cut off is reached by nobody and reaches nobody.
#[derive(Debug, Default)]
struct Net {
    servers: Mutex<BTreeMap<u64, RaftHandle>>,
    cut: Mutex<BTreeSet<u64>>,
}

/// One server's way into the net.
#[derive(Debug)]
struct Link {
    net: Weak<Net>,
    own: Mutex<u64>,
}

impl Transport for Link {
    fn call(
        &self,
        target: u64,
        address: &str,
        kind: RpcKind,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Bytes, TransportError>> {
        let address = address.to_owned();
        let own = *self.own.lock().unwrap();
        let server = self.net.upgrade().and_then(|net| {
            let cut = net.cut.lock().unwrap();
            let is_cut = cut.contains(&target) || cut.contains(&own);
            if is_cut { None } else { net.servers.lock().unwrap().get(&target).cloned() }
        });
        Box::pin(async move {
            let unreachable = |reason: &str| TransportError::Unreachable {
                target,
                address: address.clone(),
                reason: reason.to_owned(),
            };
            let Some(server) = server else { return Err(unreachable("cut off")) };
            let answer = tokio::time::timeout(timeout, server.handle_rpc(kind, &body)).await;
            answer.map_err(|_| unreachable("too late"))?.map_err(|error| TransportError::Refused {
                target,
                address: address.clone(),
                reason: error.to_string(),
            })
        })
    }
}

fn quick() -> Timing {
    Timing { heartbeat_ms: 50, election_min_ms: 200, election_max_ms: 400, propose_ms: 2000 }
}

fn member(name: &str) -> Member {
    Member { name: name.to_owned(), address: format!("{name}.test:4647"), ..Member::default() }
}

impl Net {
    async fn start(self: &Arc<Self>, name: &str, dir: &Path, bootstrap: Bootstrap) -> RaftHandle {
        let link = Arc::new(Link { net: Arc::downgrade(self), own: Mutex::default() });
        let config = RaftConfig {
            storage: Storage::Directory(dir.join(name)),
            member: member(name),
            bootstrap,
            timing: quick(),
            retention: Retention { snapshot_every: 100, kept_entries: 30 },
            transport: Arc::clone(&link) as Arc<dyn Transport>,
        };
        let server = open(config).await.unwrap();
        *link.own.lock().unwrap() = server.id();
        self.servers.lock().unwrap().insert(server.id(), server.clone());
        server
    }

    /// As if its power was cut, but for what the operating system still writes: no goodbye to others.
    async fn kill(&self, server: RaftHandle) {
        self.servers.lock().unwrap().remove(&server.id());
        server.shutdown().await;
    }
}

async fn lead(server: &RaftHandle) {
    let mut leadership = server.leadership();
    let leads = leadership.wait_for(Leadership::is_leader);
    drop(tokio::time::timeout(LONG, leads).await.expect("it leads in time").unwrap());
}

async fn put(server: &RaftHandle, key: &str, value: u64) -> Index {
    let (index, reply) = server.propose(row(key, value)).await.unwrap();
    assert_eq!(reply, Reply::Done);
    index
}

fn row(key: &str, value: u64) -> Intent {
    Intent::PutRow {
        table: RowTable::SchedulerConfig,
        key: key.to_owned(),
        row: json!({ "Value": value }),
        check_index: None,
    }
}

fn value(server: &RaftHandle, key: &str) -> Option<u64> {
    let state = server.state();
    state.row(RowTable::SchedulerConfig, key)?.value["Value"].as_u64()
}

async fn reaches(server: &RaftHandle, index: Index) {
    let mut states = server.watch().follow();
    let reached = states.wait_for(|state| state.index() >= index);
    drop(tokio::time::timeout(LONG, reached).await.expect("it catches up in time").unwrap());
}
