//! What a server asks of a node over the connection that the node made.

use bytes::Bytes;
use futures::StreamExt as _;

use super::super::asked::Asked;
use super::super::remote_node::RemoteNode;
use super::world::{PATIENCE, World, connected, fake, proof};
use crate::http::Local as _;
use crate::http::local::{ExecInput, ExecOutput, ExecRequest, Origin};
use crate::model::{AllocId, Node};
use crate::sys::report::Kind;

async fn remote(world: &World) -> (RemoteNode, Node) {
    let own = proof(1, "own");
    let line = world.dial("client.global.nomad").await;
    world.register(&line, &own).await.unwrap();
    let tls = world.tls("client.global.nomad");
    Asked::new(tls, own.clone(), fake(), world.tasks.clone())
        .by(std::slice::from_ref(&world.address));
    let node = Node { id: own.node, secret_id: own.secret, ..Node::default() };
    let line = connected(world, &node).await;
    (RemoteNode { line, tasks: world.tasks.clone() }, node)
}

#[tokio::test]
async fn a_node_answers_as_if_it_were_here() {
    let world = World::new().await;
    let (node, _) = remote(&world).await;
    let alloc = AllocId::from("a");
    let files = node.ls(&alloc, "/etc").await.unwrap();
    assert_eq!((files[0].name.as_str(), files[0].size), ("/etc", 7));
    assert_eq!(node.alloc_stats(&alloc, Some("web")).await.unwrap(), "web");
    node.restart(&alloc, None, true).await.unwrap();
    let gone = node.stat(&alloc, "x").await.unwrap_err();
    assert_eq!((gone.kind, gone.text.as_str()), (Kind::NotFound, "Unknown allocation \"none\""));
    let gone = node.signal(&alloc, None, "SIGHUP").await.unwrap_err();
    assert_eq!(gone.text, "Unknown allocation \"none\"");
    let pieces: Vec<_> = node.read(&alloc, "x", (0, None)).await.unwrap().collect().await;
    assert_eq!(pieces.len(), 3);
    let second = pieces[1].as_ref().unwrap();
    assert_eq!((&second.data[..], second.offset, second.event.as_str()), (&b"two"[..], 3, "e"));
    assert_eq!(pieces[2].as_ref().unwrap_err().text, "disk");
    world.end().await;
}

#[tokio::test]
async fn a_followed_file_is_given_up_when_nobody_reads_it() {
    let world = World::new().await;
    let (node, _) = remote(&world).await;
    for _ in 0..300 {
        // More than may be asked at once: each must be over when it is dropped.
        let alloc = AllocId::from("a");
        let mut pieces = node.stream(&alloc, "x", Origin::Start(0), true).await.unwrap();
        assert_eq!(&pieces.next().await.unwrap().unwrap().data[..], b"one");
    }
    world.end().await;
}

#[tokio::test]
async fn a_command_in_a_task_talks_to_and_fro() {
    let world = World::new().await;
    let (node, _) = remote(&world).await;
    let request = ExecRequest { task: "t".into(), command: vec!["cat".into()], tty: false };
    let mut session = node.exec(&AllocId::from("a"), request).await.unwrap();
    for text in ["hello", "again"] {
        session.input.send(ExecInput::Stdin(Bytes::from(text))).await.unwrap();
        match session.output.recv().await {
            Some(Ok(ExecOutput::Stdout(data))) => assert_eq!(data, text),
            other => panic!("{other:?}"),
        }
    }
    session.input.send(ExecInput::Close).await.unwrap();
    assert!(matches!(session.output.recv().await, Some(Ok(ExecOutput::Exited(3)))));
    assert!(session.output.recv().await.is_none());
    world.end().await;
}

#[tokio::test]
async fn who_takes_a_nodes_name_is_not_asked_in_its_place() {
    let world = World::new().await;
    // It dials before the node is registered: nobody can tell yet.
    let (early, late) = (proof(1, "early"), proof(1, "late"));
    let tls = world.tls("client.global.nomad");
    Asked::new(tls.clone(), early.clone(), fake(), world.tasks.clone())
        .by(std::slice::from_ref(&world.address));
    let as_it_says = Node { id: early.node, secret_id: early.secret, ..Node::default() };
    connected(&world, &as_it_says).await;
    let (_, node) = remote(&world).await;
    assert!(world.nodes.line(&node).is_some());
    assert_eq!(node.secret_id, "own");
    // And after: it is refused, again and again.
    Asked::new(tls, late.clone(), fake(), world.tasks.clone())
        .by(std::slice::from_ref(&world.address));
    let as_it_says = Node { id: late.node, secret_id: late.secret, ..Node::default() };
    let never = tokio::time::timeout(PATIENCE / 20, connected(&world, &as_it_says)).await;
    assert!(never.is_err());
    world.end().await;
}
