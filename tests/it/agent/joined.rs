//! A client-only agent joins a server over the wire and is served through it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use super::world::{Agent, Cluster, Lan, SLEEPER};
use crate::e2e::eventually;

#[test]
fn a_client_that_is_no_server_runs_jobs_and_is_served_through_one() {
    let Some(lan) = Lan::new("a_client_that_is_no_server_runs_jobs_and_is_served_through_one")
    else {
        return;
    };
    let cluster = Cluster::new(&lan);
    let (server, client) = (&cluster.server, &cluster.client);
    server.run_job("sleeper.hcl", SLEEPER);
    let alloc = server.alloc_with("sleeper", "running")["ID"].as_str().unwrap().to_owned();
    assert!(client.dir.join("data/alloc").join(&alloc).exists(), "it is on the client's machine");
    assert!(!server.dir.join("data/alloc").exists(), "and not on the server's");

    eventually("its log is read through the server", || {
        (server.ok(&["alloc", "logs", "-stdout", &alloc]) == "out\n").then_some(())
    });
    eventually("and the other", || {
        (server.cli(&["alloc", "logs", "-stderr", &alloc]).stderr == b"err\n").then_some(())
    });
    let out = server.cli(&[
        "alloc",
        "exec",
        "-i=false",
        &alloc,
        "/bin/sh",
        "-c",
        "ip -4 -o addr; exit 7",
    ]);
    let shown = String::from_utf8_lossy(&out.stdout);
    assert!(shown.contains(&client.address) && !shown.contains(&server.address), "{shown}");
    assert_eq!(out.status.code(), Some(7));
    assert_eq!(piped(server, &alloc, &["cat"], b"to and fro\n"), b"to and fro\n");

    assert!(server.ok(&["alloc", "fs", &alloc]).contains("main/"));
    let pid = server.ok(&["alloc", "fs", &alloc, "alloc/pid"]);
    let process = format!("/proc/{}", pid.trim());
    assert!(std::path::Path::new(&process).exists(), "{process}");
    let gone = server.cli(&["alloc", "fs", &alloc, "alloc/none"]);
    assert!(!gone.status.success(), "what is not there is refused");
    let stats = server.api(&format!("/v1/client/allocation/{alloc}/stats"));
    assert!(stats["Tasks"]["main"].is_object(), "{stats}");

    let node = server.api("/v1/nodes")[0]["ID"].as_str().unwrap().to_owned();
    let stats = server.api(&format!("/v1/client/stats?node_id={node}"));
    assert!(stats["Memory"]["Total"].as_u64() > Some(0), "{stats}");
    let whose = server.cli(&["operator", "api", "/v1/client/stats"]);
    let said = [whose.stdout, whose.stderr].concat();
    assert!(String::from_utf8_lossy(&said).contains("name a node"), "a server has no node");

    assert_eq!(server.api("/v1/agent/health").get("client"), None);
    let health = client.cli(&["operator", "api", "/v1/agent/health?type=client"]);
    assert!(health.status.success() && String::from_utf8_lossy(&health.stdout).contains("client"));

    server.ok(&["alloc", "signal", "-s", "SIGINT", &alloc]);
    eventually("the signal ended it, and it was started again", || {
        let again = server.cli(&["alloc", "fs", &alloc, "alloc/pid"]);
        let again = String::from_utf8_lossy(&again.stdout).into_owned();
        (!again.trim().is_empty() && again != pid).then_some(())
    });
}

/// What a command in the task answers to `input`.
fn piped(server: &Agent, alloc: &str, command: &[&str], input: &[u8]) -> Vec<u8> {
    let args = [&["alloc", "exec", "-i", "-t=false", alloc], command].concat();
    server.on(|| {
        let mut session =
            server.command(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        session.stdin.take().unwrap().write_all(input).unwrap();
        session.wait_with_output().unwrap().stdout
    })
}

#[test]
fn a_node_goes_on_through_a_restart_of_its_server() {
    let Some(lan) = Lan::new("a_node_goes_on_through_a_restart_of_its_server") else {
        return;
    };
    let mut cluster = Cluster::new(&lan);
    cluster.server.run_job("sleeper.hcl", SLEEPER);
    let alloc = cluster.server.alloc_with("sleeper", "running")["ID"].as_str().unwrap().to_owned();
    let file = cluster.client.dir.join("data/alloc").join(&alloc).join("alloc/pid");
    let pid = eventually("the task wrote its pid", || {
        std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n'))
    });
    cluster.server.kill();
    cluster.client.logs(&["desired allocations not known", "server at 10.88.0.1:4647"]);
    cluster.server.launch();
    cluster.server.answers();
    let server = &cluster.server;
    server.nodes_are("ready", 1);
    eventually("its files are served again", || {
        (server.cli(&["alloc", "fs", &alloc, "alloc/pid"]).stdout == pid.as_bytes()).then_some(())
    });
    let out = server.cli(&["alloc", "exec", "-i=false", &alloc, "/bin/sh", "-c", "echo again"]);
    assert_eq!(out.stdout, b"again\n");
    assert_eq!(server.alloc_with("sleeper", "running")["ID"], alloc.as_str(), "it is the same");
    assert!(std::path::Path::new(&format!("/proc/{}", pid.trim())).exists(), "its process too");

    server.run_job("second.hcl", &SLEEPER.replace("\"sleeper\"", "\"second\""));
    let second = server.alloc_with("second", "running")["ID"].as_str().unwrap().to_owned();
    eventually("the new one's log is read", || {
        (server.ok(&["alloc", "logs", "-stdout", &second]) == "out\n").then_some(())
    });
    server.ok(&["job", "stop", "-detach", "sleeper"]);
    server.alloc_with("sleeper", "complete");
}

/// A program of the host in a root and a network of its own, with a published port.
const SITE: &str = r#"
job "site" {
  group "app" {
    network {
      mode = "bridge"
      port "http" {
        to = 8000
      }
    }
    task "main" {
      driver = "exec"
      config {
        command = "/usr/bin/python3"
        args    = ["-m", "http.server", "-d", "${NOMAD_TASK_DIR}", "8000"]
      }
      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
"#;

#[test]
fn a_port_of_a_client_is_reached_from_the_servers_machine() {
    let Some(lan) = Lan::new("a_port_of_a_client_is_reached_from_the_servers_machine") else {
        return;
    };
    let cluster = Cluster::new(&lan);
    let (server, client) = (&cluster.server, &cluster.client);
    server.run_job("site.hcl", SITE);
    let alloc = server.alloc_with("site", "running")["ID"].as_str().unwrap().to_owned();
    let shown = server.api(&format!("/v1/allocation/{alloc}"));
    let port = &shown["AllocatedResources"]["Shared"]["Ports"][0];
    assert_eq!(port["HostIP"], client.address.as_str(), "{shown}");
    let port = u16::try_from(port["Value"].as_u64().unwrap()).unwrap();
    let answer = eventually("it answers on the wire", || {
        server.on(|| {
            let mut stream = TcpStream::connect((client.address.as_str(), port)).ok()?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            Some(answer).filter(|answer| !answer.is_empty())
        })
    });
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    eventually("it logs who asked", || {
        let log = server.cli(&["alloc", "logs", "-stderr", &alloc]);
        String::from_utf8_lossy(&log.stderr).contains("\"GET / HTTP/1.0\" 200").then_some(())
    });
    let inside = server.cli(&["alloc", "exec", "-i=false", &alloc, "/bin/sh", "-c", "ls /proc"]);
    assert!(inside.status.success(), "{}", String::from_utf8_lossy(&inside.stderr));
}
