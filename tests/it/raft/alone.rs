//! A server that is a cluster of its own.

use super::*;
use stead::raft::{ProposeError, Role};
use stead::state::Refusal;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_leads_at_once_and_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let net = Arc::new(Net::default());
    let server = net.start("a", dir.path(), Bootstrap::Alone).await;
    lead(&server).await;
    let id = server.id();
    for n in 0..100 {
        put(&server, &format!("k{}", n % 7), n).await;
    }
    assert_eq!(server.state().index(), 100);
    net.kill(server).await;

    let begun = stead::sys::clock::monotonic();
    let server = net.start("a", dir.path(), Bootstrap::Alone).await;
    lead(&server).await;
    println!("open → leader with its log applied: {:?}", begun.elapsed());
    assert_eq!(server.id(), id);
    assert_eq!(server.state().index(), 100);
    assert_eq!(value(&server, "k1"), Some(99));
    assert_eq!(put(&server, "more", 1).await, 101);
    let members = server.members();
    assert_eq!(members.len(), 1);
    assert!(members[0].is_leader && members[0].role == Role::Voter);
    assert_eq!(members[0].member, member("a"));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_share_a_sync_and_each_has_its_own_index() {
    let dir = tempfile::tempdir().unwrap();
    let net = Arc::new(Net::default());
    let server = net.start("a", dir.path(), Bootstrap::Alone).await;
    lead(&server).await;
    let before = server.stats().transactions;
    let writers = (0..64).map(|writer| {
        let server = server.clone();
        async move {
            let mut seen = Vec::new();
            for n in 0..20 {
                seen.push(put(&server, &format!("w{writer}"), n).await);
            }
            seen
        }
    });
    let mut indexes: Vec<Index> = futures::future::join_all(writers).await.concat();
    indexes.sort_unstable();
    assert!(indexes.into_iter().eq(1..=1280), "an index was given twice or never");
    assert!((0..64).all(|writer| value(&server, &format!("w{writer}")) == Some(19)));
    let synced = server.stats().transactions - before;
    assert!(synced < 640, "1280 writes took {synced} syncs");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_a_reply_and_a_write_wakes_who_waits() {
    let server = open(RaftConfig::in_memory()).await.unwrap();
    lead(&server).await;
    let absent = Intent::DeleteRow { table: RowTable::SchedulerConfig, key: "x".into() };
    let (_, reply) = server.propose(absent).await.unwrap();
    assert!(matches!(reply, Reply::Refused(Refusal::NotFound(_))));
    let topics = [stead::state::Topic::Table(stead::state::Table::SchedulerConfig)];
    let waits = server.watch().block(&topics, 1, LONG, |state| {
        (state.table_index(stead::state::Table::SchedulerConfig), ())
    });
    let (waited, index) = tokio::join!(waits, put(&server, "x", 1));
    assert_eq!(waited.1, index);
    server.shutdown().await;
    let stopped = server.propose(Intent::Noop).await;
    assert!(matches!(stopped, Err(ProposeError::Stopped(_))), "{stopped:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_before_a_snapshot_goes_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let net = Arc::new(Net::default());
    let server = net.start("a", dir.path(), Bootstrap::Alone).await;
    lead(&server).await;
    for round in 0..60 {
        let writes = (0..64).map(|n| put(&server, if n % 2 == 0 { "a" } else { "b" }, round));
        futures::future::join_all(writes).await;
    }
    assert!(server.stats().purged_index > 0, "{:?}", server.stats());
    let index = server.state().index();
    net.kill(server).await;
    let server = net.start("a", dir.path(), Bootstrap::Alone).await;
    lead(&server).await;
    assert_eq!((server.state().index(), value(&server, "a")), (index, Some(59)));
    server.shutdown().await;
}
