//! What a server answers to whoever dials it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::node_calls::Leased;
use super::super::{call, whole};
use super::world::{PATIENCE, World, proof};
use crate::sys::report::Kind;

#[tokio::test]
async fn a_node_is_who_it_says_only_with_the_secret_it_came_with() {
    let world = World::new().await;
    let line = world.dial("client.global.nomad").await;
    let own = proof(1, "own");
    let unknown: Result<Leased, _> = line.ask("/node/heartbeat", &own, PATIENCE).await;
    assert_eq!(unknown.unwrap_err().kind, Kind::NotFound, "it is to register");
    world.register(&line, &own).await.unwrap();
    line.ask::<_, Leased>("/node/heartbeat", &own, PATIENCE).await.unwrap();
    for stranger in [proof(1, "other"), proof(1, "")] {
        let told: Result<Leased, _> = line.ask("/node/heartbeat", &stranger, PATIENCE).await;
        let told = told.unwrap_err();
        assert_eq!(told.kind, Kind::Denied, "{told}");
        assert!(told.reason.contains("its secret"), "{told}");
        assert_eq!(world.register(&line, &stranger).await.unwrap_err().kind, Kind::Denied);
    }
    let mut odd = proof(2, "s");
    odd.node = "\u{1b}[2J".into();
    assert_eq!(world.register(&line, &odd).await.unwrap_err().kind, Kind::Invalid);
    world.end().await;
}

#[tokio::test]
async fn a_client_asks_nothing_that_servers_ask() {
    let world = World::new().await;
    let line = world.dial("client.global.nomad").await;
    for path in ["/raft/append", "/raft/vote", "/passed-on/heartbeat", "/none"] {
        let refused = line.ask::<_, ()>(path, &proof(1, "own"), PATIENCE).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Denied, "{refused}");
        assert!(refused.reason.contains(&world.address) && refused.reason.contains(path));
    }
    let server = world.dial("server.global.nomad").await;
    let malformed = server.ask::<_, ()>("/raft/append", &"?", PATIENCE).await.unwrap_err();
    assert_eq!(malformed.kind, Kind::Conflict, "{malformed}");
    let none = server.ask::<_, ()>("/none", &"?", PATIENCE).await.unwrap_err();
    assert_eq!(none.kind, Kind::NotFound, "{none}");
    world.end().await;
}

#[tokio::test]
async fn a_certificate_without_a_role_is_told_which_it_needs() {
    let world = World::new().await;
    for name in ["web.example.org", "client.mars.nomad", "server.global.nomad.evil.org"] {
        let line = world.dial(name).await;
        let refused = world.register(&line, &proof(1, "own")).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Denied);
        for word in [name, "client.global.nomad", "server.global.nomad"] {
            assert!(refused.reason.contains(&format!("`{word}`")), "{refused}");
        }
    }
    assert_eq!(world.server.state().nodes().count(), 0);
    world.end().await;
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused_and_the_next_is_answered() {
    let world = World::new().await;
    let line = world.dial("client.global.nomad").await;
    let long = whole(vec![b' '; 17 * 1024 * 1024]);
    let refused = line.send("/node/register", long, PATIENCE).await.unwrap_err();
    assert!(matches!(refused.kind, Kind::Invalid | Kind::Unavailable), "{refused}");
    let line = world.dial("client.global.nomad").await;
    let deep = whole("[".repeat(100_000));
    let refused = line.send("/node/register", deep, PATIENCE).await.unwrap_err();
    assert_eq!(refused.kind, Kind::Invalid, "{refused}");
    world.register(&line, &proof(1, "own")).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn noise_and_silence_cost_the_others_nothing() {
    let world = World::new().await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(call::connect(&world.address).await.unwrap());
    }
    let mut noisy = call::connect(&world.address).await.unwrap();
    noisy.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, noisy.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "it is hung up on");
    let line = world.dial("client.global.nomad").await;
    world.register(&line, &proof(1, "own")).await.unwrap();
    drop(silent);
    world.end().await;
}
