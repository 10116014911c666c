//! Three servers.

use super::*;
use stead::raft::{ProposeError, Role};

struct Three {
    dir: tempfile::TempDir,
    net: Arc<Net>,
    servers: BTreeMap<u64, RaftHandle>,
}

impl Three {
    /// One server that takes two others in, by one joint change.
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let net = Arc::new(Net::default());
        let first = net.start("a", dir.path(), Bootstrap::Alone).await;
        lead(&first).await;
        let cluster = Intent::SetClusterId("the-cluster".into());
        first.propose(cluster).await.unwrap();
        let mut voters = BTreeSet::from([first.id()]);
        let mut servers = BTreeMap::from([(first.id(), first.clone())]);
        for name in ["b", "c"] {
            let other = net.start(name, dir.path(), Bootstrap::Wait).await;
            first.add_learner(other.id(), member(name)).await.unwrap();
            voters.insert(other.id());
            servers.insert(other.id(), other);
        }
        first.set_voters(voters).await.unwrap();
        Self { dir, net, servers }
    }

    /// The one that leads, as soon as one does.
    async fn leader(&self) -> RaftHandle {
        let leads = self.servers.values().map(|server| {
            Box::pin(async move {
                lead(server).await;
                server.clone()
            })
        });
        futures::future::select_all(leads).await.0
    }

    fn name_of(&self, id: u64) -> String {
        let any = self.servers.values().next().unwrap();
        any.members().into_iter().find(|m| m.id == id).unwrap().member.name
    }

    async fn kill(&mut self, id: u64) -> String {
        let name = self.name_of(id);
        self.net.kill(self.servers.remove(&id).unwrap()).await;
        name
    }

    async fn restart(&mut self, name: &str) -> RaftHandle {
        let server = self.net.start(name, self.dir.path(), Bootstrap::Wait).await;
        self.servers.insert(server.id(), server.clone());
        server
    }

    async fn stop(self) {
        for server in self.servers.values() {
            server.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_is_replaced_and_comes_back_as_a_follower() {
    let mut three = Three::start().await;
    let old = three.leader().await;
    let voters = old.members().into_iter().filter(|m| m.role == Role::Voter).count();
    assert_eq!(voters, 3);
    let index = put(&old, "before", 1).await;
    for server in three.servers.values() {
        reaches(server, index).await;
        assert_eq!(value(server, "before"), Some(1));
        assert_eq!(server.state().cluster_id(), Some("the-cluster"));
    }
    let id = old.id();
    drop(old);
    let name = three.kill(id).await;

    let new = three.leader().await;
    assert_ne!(new.id(), id);
    let index = put(&new, "after", 2).await;
    let back = three.restart(&name).await;
    reaches(&back, index).await;
    assert_eq!((value(&back, "before"), value(&back, "after")), (Some(1), Some(2)));
    let refused = back.propose(row("x", 1)).await;
    let Err(ProposeError::NotLeader { leader }) = refused else { panic!("{refused:?}") };
    assert!(leader.is_none_or(|leader| leader.id == new.id()));
    assert_eq!(put(&new, "x", 3).await, index + 1);
    three.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_away_for_long_gets_a_snapshot() {
    let mut three = Three::start().await;
    let leader = three.leader().await;
    let away = *three.servers.keys().find(|id| **id != leader.id()).unwrap();
    let name = three.kill(away).await;
    for round in 0..60 {
        let writes = (0..64_u64).map(|n| {
            let (leader, key) = (&leader, format!("k{n}"));
            async move { put(leader, &key, round).await }
        });
        futures::future::join_all(writes).await;
    }
    let deadline = stead::sys::clock::monotonic() + LONG;
    while leader.stats().purged_index < 50 {
        assert!(stead::sys::clock::monotonic() < deadline, "the log is not purged");
        put(&leader, "wait", 1).await;
    }
    let index = put(&leader, "last", 9).await;
    let back = three.restart(&name).await;
    reaches(&back, index).await;
    assert_eq!((value(&back, "last"), value(&back, "k63")), (Some(9), Some(59)));
    assert!(back.stats().snapshot_index > 0, "it came by snapshot");
    let own = back.id();
    drop(back);
    // What it got is on its own disk.
    three.kill(own).await;
    let again = three.restart(&name).await;
    assert_eq!(value(&again, "k63"), Some(59));
    three.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_reads_go_on_and_writes_say_why() {
    let three = Three::start().await;
    let leader = three.leader().await;
    put(&leader, "k", 1).await;
    for id in three.servers.keys().filter(|id| **id != leader.id()) {
        three.net.cut.lock().unwrap().insert(*id);
    }
    let refused = leader.propose(row("k", 2)).await;
    let Err(ProposeError::Unavailable { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.starts_with("2 of 3 voting servers must answer"), "{reason}");
    assert_eq!(value(&leader, "k"), Some(1));
    three.net.cut.lock().unwrap().clear();
    let deadline = stead::sys::clock::monotonic() + LONG;
    let leader = loop {
        let leader = three.leader().await;
        if leader.propose(row("k", 3)).await.is_ok() {
            break leader;
        }
        assert!(stead::sys::clock::monotonic() < deadline, "nobody leads again");
    };
    assert_eq!(value(&leader, "k"), Some(3));
    three.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over_when_asked() {
    let three = Three::start().await;
    let leader = three.leader().await;
    let index = put(&leader, "k", 1).await;
    let next = three.servers.values().find(|s| s.id() != leader.id()).unwrap();
    reaches(next, index).await;
    leader.transfer_leader(next.id()).await.unwrap();
    lead(next).await;
    assert_eq!(put(next, "k", 2).await, index + 1);
    three.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_for_another_server_or_cluster_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let net = Arc::new(Net::default());
    let one = net.start("one", dir.path(), Bootstrap::Alone).await;
    lead(&one).await;
    one.propose(Intent::SetClusterId("ours".into())).await.unwrap();
    let call = |to: u64, cluster: &str, format: u32| {
        let vote = json!({ "vote": { "term": 9, "node": 5, "committed": false }, "last": null });
        json!({ "format": format, "cluster": cluster, "from": 5, "to": to, "body": vote })
            .to_string()
    };
    let ask = async |body: String| {
        one.handle_rpc(RpcKind::Vote, body.as_bytes()).await.map(drop).map_err(|e| e.to_string())
    };
    let moved = ask(call(7, "ours", 1)).await.unwrap_err();
    assert_eq!(moved, format!("raft call: meant for server 7, this is {}", one.id()));
    let foreign = ask(call(one.id(), "theirs", 1)).await.unwrap_err();
    assert_eq!(foreign, "raft call: from cluster `theirs`, this is `ours`");
    let newer = ask(call(one.id(), "ours", 2)).await.unwrap_err();
    assert_eq!(newer, "raft call: format 2, this server speaks 1");
    assert_eq!(ask("{}".into()).await.unwrap_err(), "raft call: not understood");
    ask(call(one.id(), "ours", 1)).await.unwrap();
    one.shutdown().await;
}
