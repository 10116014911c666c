//! The real binary as an agent of the benchmark's own, which ends with all that it runs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use serde_json::Value;
use stead::sys::clock::monotonic;
use stead::sys::command::command;
use tempfile::TempDir;

use crate::wire::Wire;

/// How long anything may take before a benchmark gives up.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Lets other things settle.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark waits for a machine, not for a condition"
)]
pub(crate) fn rest(time: Duration) {
    std::thread::sleep(time);
}

/// Looks again and again until `check` gives something: only where nothing is measured.
pub(crate) fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let begun = monotonic();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        rest(Duration::from_millis(20));
    }
}

/// An agent with its data in a directory that goes with it.
pub(crate) struct Agent {
    pub(crate) child: Child,
    pub(crate) dir: TempDir,
    address: String,
}

impl Agent {
    /// Starts one with its data below `parent`, synced as in production, and waits until its node is ready.
    pub(crate) fn start(parent: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("stead-bench-").tempdir_in(parent).unwrap();
        let path = dir.path().canonicalize().unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (http, rpc) = (free(), free());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let config = serde_json::json!({
            "name": "bench",
            "data_dir": path.join("data"),
            "ports": { "http": port(&http), "rpc": port(&rpc) },
            "server": { "enabled": true },
            "client": { "enabled": true },
            "plugin": { "raw_exec": { "config": { "enabled": true } } },
        });
        let address = format!("127.0.0.1:{}", port(&http));
        drop((http, rpc));
        let file = path.join("agent.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let log = File::create(path.join("agent.log")).unwrap();
        let child = command(env!("CARGO_BIN_EXE_stead"))
            .args(["agent", "-config"])
            .arg(file)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let agent = Self { child, dir, address };
        eventually("the node is ready", || {
            let nodes = Wire::tcp(&agent.address).ok()?.get("/v1/nodes");
            let is_ready = nodes.status == 200 && nodes.json()[0]["Status"] == "ready";
            is_ready.then_some(())
        });
        agent
    }

    pub(crate) fn wire(&self) -> Wire<TcpStream> {
        Wire::tcp(&self.address).unwrap()
    }

    /// Stops every job that runs something, waits until nothing of it is left, and ends the process.
    fn end(&mut self) -> std::io::Result<()> {
        let mut wire = Wire::tcp(&self.address)?;
        let alive =
            "/v1/allocations?filter=ClientStatus==%22running%22+or+ClientStatus==%22pending%22";
        let running = wire.get(alive).json();
        let jobs: BTreeSet<&str> = list(&running).filter_map(|one| one["JobID"].as_str()).collect();
        for id in jobs {
            wire.ask("DELETE", &format!("/v1/job/{id}?purge=true"), "");
        }
        eventually("the tasks end", || {
            list(&wire.get(alive).json()).next().is_none().then_some(())
        });
        if list(&wire.get("/v1/allocations?per_page=1").json()).next().is_some() {
            wire.ask("PUT", "/v1/system/gc", "");
        }
        Ok(())
    }
}

fn list(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

impl Drop for Agent {
    fn drop(&mut self) {
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.end()));
        if std::thread::panicking() || !matches!(ended, Ok(Ok(()))) {
            let log = std::fs::read_to_string(self.dir.path().join("agent.log"));
            let log = log.unwrap_or_default();
            let from = log.floor_char_boundary(log.len().saturating_sub(4000));
            drop(writeln!(std::io::stderr(), "-- the agent's log --\n{}", &log[from..]));
        }
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        drop(self.child.wait());
    }
}
