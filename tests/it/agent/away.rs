//! A node that goes away is noticed, and so is its return.

use serde_json::Value;

use super::world::{Cluster, Lan, SLEEPER};
use crate::e2e::eventually;

#[test]
fn a_node_that_is_not_heard_of_is_down_until_it_is() {
    let Some(lan) = Lan::new("a_node_that_is_not_heard_of_is_down_until_it_is") else {
        return;
    };
    let mut cluster = Cluster::new(&lan);
    cluster.server.run_job("sleeper.hcl", SLEEPER);
    let alloc = cluster.server.alloc_with("sleeper", "running")["ID"].as_str().unwrap().to_owned();
    cluster.client.kill();
    let server = &cluster.server;
    server.nodes_are("down", 1);
    server.logs(&["a node was not heard of", "client"]);
    assert_eq!(server.alloc_with("sleeper", "lost")["ID"], alloc.as_str());
    let out = server.cli(&["alloc", "logs", &alloc]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("No path to node") && said.contains("is its agent running?"), "{said}");

    cluster.client.launch();
    let server = &cluster.server;
    server.nodes_are("ready", 1);
    let next = eventually("the lost one is replaced", || {
        let allocs = server.api("/v1/job/sleeper/allocations");
        let runs =
            |next: &&Value| next["ClientStatus"] == "running" && next["ID"] != alloc.as_str();
        allocs.as_array()?.iter().find(runs)?["ID"].as_str().map(str::to_owned)
    });
    eventually("the new one is served", || {
        (server.cli(&["alloc", "logs", "-stdout", &next]).stdout == b"out\n").then_some(())
    });
}

#[test]
fn a_server_that_lost_all_it_knew_gets_its_node_back() {
    let Some(lan) = Lan::new("a_server_that_lost_all_it_knew_gets_its_node_back") else {
        return;
    };
    let mut cluster = Cluster::new(&lan);
    cluster.server.run_job("sleeper.hcl", SLEEPER);
    let alloc = cluster.server.alloc_with("sleeper", "running")["ID"].as_str().unwrap().to_owned();
    cluster.server.kill();
    std::fs::remove_dir_all(cluster.server.dir.join("data")).unwrap();
    cluster.server.launch();
    cluster.server.answers();
    let (server, client) = (&cluster.server, &cluster.client);
    server.nodes_are("ready", 1);
    client.logs(&["the servers do not know this node any more"]);
    server.run_job("second.hcl", &SLEEPER.replace("\"sleeper\"", "\"second\""));
    server.alloc_with("second", "running");
    eventually("what no server knows of is gone", || {
        (!client.dir.join("data/alloc").join(&alloc).exists()).then_some(())
    });
}

#[test]
fn a_client_waits_for_a_server_that_comes_later() {
    let Some(lan) = Lan::new("a_client_waits_for_a_server_that_comes_later") else {
        return;
    };
    // The server's machine is the next one: 10.88.0.2.
    let mut client = lan.agent("client", &super::world::client_of("10.88.0.2"));
    client.launch();
    client.logs(&["servers not reached", "server at 10.88.0.2:4647"]);
    let server = lan.server();
    assert_eq!(server.address, "10.88.0.2");
    server.nodes_are("ready", 1);
}
