//! Jobs as JSON, and waiting for their allocations without polling.

use std::net::TcpStream;

use serde_json::{Value, json};
use stead::sys::clock::monotonic;

use crate::agent::PATIENCE;
use crate::wire::Wire;

/// What one task of a job is.
#[derive(Clone, Copy)]
pub(crate) enum Work<'a> {
    /// On the bridge, with one published port.
    Container {
        /// Where its image is.
        image: &'a str,
    },
    /// A shell that obeys its signal, with that driver.
    Command {
        /// `exec` or `raw_exec`.
        driver: &'a str,
    },
}

/// A service job of one group; small, so that many fit.
pub(crate) fn job(id: &str, work: Work<'_>, count: usize) -> String {
    let script = "trap 'exit 0' TERM; sleep 100000 & wait $!";
    let (driver, config, networks) = match work {
        Work::Container { image } => (
            "container",
            json!({ "image": image, "ports": ["http"] }),
            json!([{ "Mode": "bridge", "DynamicPorts": [{ "Label": "http", "To": 80 }] }]),
        ),
        Work::Command { driver } => {
            (driver, json!({ "command": "/bin/sh", "args": ["-c", script] }), json!([]))
        }
    };
    let task = json!({
        "Name": "main",
        "Driver": driver,
        "Config": config,
        "KillSignal": "SIGTERM",
        "Resources": { "CPU": 10, "MemoryMB": 16 },
        "LogConfig": { "MaxFiles": 1, "MaxFileSizeMB": 5 },
    });
    let group = json!({
        "Name": "app",
        "Count": count,
        "Networks": networks,
        "Tasks": [task],
        "EphemeralDisk": { "SizeMB": 10 },
    });
    json!({ "Job": { "ID": id, "Name": id, "Type": "service", "TaskGroups": [group] } }).to_string()
}

/// Submits a job.
pub(crate) fn submit(wire: &mut Wire<TcpStream>, body: &str) {
    wire.ask("PUT", "/v1/jobs", body).json();
}

/// Waits by blocking queries until that many allocations of a job have that client status.
pub(crate) fn wait_until(wire: &mut Wire<TcpStream>, id: &str, status: &str, count: usize) {
    let begun = monotonic();
    let mut index = 0;
    loop {
        let answer =
            wire.get(&format!("/v1/job/{id}/allocations?task_states=false&index={index}&wait=10s"));
        let allocs = answer.json();
        let Value::Array(allocs) = &allocs else { panic!("{allocs}") };
        if allocs.iter().filter(|alloc| alloc["ClientStatus"] == status).count() == count {
            return;
        }
        let failed = allocs.iter().find(|alloc| alloc["ClientStatus"] == "failed");
        assert!(failed.is_none(), "{id}: an allocation failed: {failed:#?}");
        assert!(begun.elapsed() < PATIENCE, "{id}: not {status} within {PATIENCE:?}: {allocs:#?}");
        index = answer.index;
    }
}
