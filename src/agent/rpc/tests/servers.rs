//! Three servers that reach each other through their ports, and nodes that reach any of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::super::listen::{self, Port};
use super::super::nodes::Nodes;
use super::super::peers::Peers;
use super::super::servers::Servers;
use super::world::{Authority, PATIENCE, proof};
use crate::client::Upstream as _;
use crate::model::{Node, NodeStatus};
use crate::raft::{self, Bootstrap, Leadership, Member, RaftConfig, Storage, Timing};
use crate::server::{Server, ServerConfig};
use crate::sys::tasks::{Stop, Tasks};

struct Three {
    authority: Authority,
    servers: Vec<One>,
    /// Their logs: what is kept in memory only cannot be told to others.
    _dir: tempfile::TempDir,
}

struct One {
    server: Server,
    member: Member,
    tasks: Tasks,
}

impl Three {
    async fn new() -> Self {
        let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
        let mut servers = Vec::new();
        for number in 1..=3 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let (stop, tls) = (Stop::new(), authority.tls("server.global.nomad"));
            let tasks = Tasks::new("test", &stop);
            let member = Member { name: format!("server-{number}"), address, ..Member::default() };
            let config = RaftConfig {
                storage: Storage::Directory(dir.path().join(&member.name)),
                member: member.clone(),
                bootstrap: Bootstrap::Wait,
                timing: Timing { propose_ms: 5_000, ..Timing::default() },
                transport: Arc::new(Peers::new(tls.clone(), tasks.clone())),
                ..RaftConfig::in_memory()
            };
            let server =
                Server::start(raft::open(config).await.unwrap(), ServerConfig::default(), &stop);
            let port = Port::new(server.clone(), tls, Nodes::default(), tasks.clone());
            tasks.spawn("rpc", listen::serve(port, listener, tasks.stop_token()));
            servers.push(One { server, member, tasks });
        }
        let members: BTreeMap<_, _> =
            servers.iter().map(|one| (one.server.raft().id(), one.member.clone())).collect();
        servers[0].server.raft().bootstrap(members).await.unwrap();
        Self { authority, servers, _dir: dir }
    }

    /// Waits until one leads and all others know it; gives its place.
    async fn leader(&self) -> usize {
        let agreed = async {
            loop {
                let seen = |one: &One| one.server.raft().leadership().borrow().clone();
                let leader = self.servers.iter().position(|one| seen(one).is_leader());
                let known = self
                    .servers
                    .iter()
                    .all(|one| !matches!(seen(one), Leadership::Follower { leader: None }));
                match leader {
                    Some(leader) if known && self.servers[leader].server.is_leading() => {
                        return leader;
                    }
                    Some(_) | None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, agreed).await.unwrap()
    }
}

/// A node that only knows the servers at `addresses`, registered.
async fn node(three: &Three, addresses: Vec<String>, number: u8, tasks: &Tasks) -> Servers {
    let tls = three.authority.tls("client.global.nomad");
    let node = Servers::new(addresses, tls, tasks.clone());
    let own = proof(number, "own");
    let told = Node { id: own.node, secret_id: own.secret, ..Node::default() };
    node.register(Arc::new(told)).await.unwrap();
    node
}

impl One {
    async fn end(&self) {
        assert!(self.tasks.shutdown(PATIENCE).await);
        self.server.shutdown(PATIENCE).await;
        self.server.raft().shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_agree_over_their_ports_and_a_node_outlives_the_leader() {
    let mut three = Three::new().await;
    let leader = three.leader().await;
    let mut addresses: Vec<_> =
        three.servers.iter().map(|one| one.member.address.clone()).collect();
    // A follower first: it passes on what the node says.
    addresses.rotate_left(leader + 1);
    let tasks = Tasks::new("node", &Stop::new());
    let node = node(&three, addresses, 1, &tasks).await;
    let own = proof(1, "own");
    node.heartbeat(&own.node).await.unwrap();
    let desired = node.desired(&own.node, 0).await.unwrap();
    assert!(desired.allocs.is_empty() && desired.index > 0);

    let gone = three.servers.remove(leader);
    gone.end().await;
    let leader = three.leader().await;
    let heard = async {
        while node.heartbeat(&own.node).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap();
    let state = three.servers[leader].server.state();
    assert_eq!(state.node(&own.node).unwrap().status, NodeStatus::Ready);
    assert!(tasks.shutdown(PATIENCE).await);
    for one in &three.servers {
        one.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_passes_on_what_many_nodes_ask_at_once() {
    let three = Three::new().await;
    let leader = three.leader().await;
    let follower = vec![three.servers[(leader + 1) % 3].member.address.clone()];
    let tasks = Tasks::new("nodes", &Stop::new());
    // More than one node may ask at once.
    let nodes = (1..=90).map(|number| node(&three, follower.clone(), number, &tasks));
    let nodes = futures::future::join_all(nodes).await;
    let ids: Vec<_> = (1..=90).map(|number| proof(number, "own").node).collect();
    let mut waiting = futures::stream::FuturesUnordered::new();
    for (node, id) in nodes.iter().zip(&ids) {
        waiting.push(async move {
            let known = node.desired(id, 0).await.unwrap();
            node.desired(id, known.index).await.unwrap_err()
        });
    }
    let beats = async {
        // Those who wait are on their way before.
        tokio::time::sleep(Duration::from_millis(200)).await;
        for (node, id) in nodes.iter().zip(&ids) {
            node.heartbeat(id).await.unwrap();
        }
    };
    tokio::select! {
        () = beats => {}
        early = futures::StreamExt::next(&mut waiting) => panic!("nothing was to tell: {early:?}"),
    }
    drop(waiting);
    assert!(tasks.shutdown(PATIENCE).await);
    for one in &three.servers {
        one.end().await;
    }
}
