//! The real binary, run as a user runs it: an agent of its own for each test, jobs over the command line.
//! As root: containers, namespaces and cgroups are real.

mod clients;
mod conformance;
mod first_job;
mod jobs;
mod recovery;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether this process may make containers; says so by name when not.
pub(crate) fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: {test} needs root");
    }
    root
}

/// Waits until `check` gives something.
pub(crate) fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
        // A condition of another process: there is nothing to be woken by.
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// An agent that ends, with all that it runs, when it goes out of scope.
pub(crate) struct Agent {
    dir: TempDir,
    child: Option<Child>,
    address: String,
}

static PORT: AtomicU16 = AtomicU16::new(0);

/// A port nobody listens on at the moment, never the same twice in this process.
pub(crate) fn free_port() -> u16 {
    let first = 30_000 + u16::try_from(std::process::id() % 100).unwrap() * 20;
    loop {
        let port = first + PORT.fetch_add(1, Ordering::Relaxed);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Agent {
    /// Starts an agent with `raw_exec` and the mock driver on, and waits until its node is ready.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// As [`Agent::start`], with more configuration.
    pub(crate) fn with(extra: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("stead-test-").tempdir().unwrap();
        let (http, rpc) = (free_port(), free_port());
        let config = format!(
            r#"
name     = "test-{http}"
data_dir = "{}"
ports {{
  http = {http}
  rpc  = {rpc}
}}
plugin "raw_exec" {{
  config {{
    enabled = true
  }}
}}
plugin "mock_driver" {{
  config {{
    enabled = true
  }}
}}
{extra}
"#,
            dir.path().join("data").display()
        );
        std::fs::write(dir.path().join("agent.hcl"), config).unwrap();
        let mut agent = Self { dir, child: None, address: format!("http://127.0.0.1:{http}") };
        agent.launch();
        agent
    }

    /// Starts the agent's process (again) and waits until its node is ready.
    pub(crate) fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_stead"))
            .args(["agent", "-config"])
            .arg(self.dir.path().join("agent.hcl"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        eventually("the node is ready", || {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
                panic!("the agent ended with {status}:\n{}", self.log());
            }
            let out = self.cli(&["node", "status", "-quiet", "-filter", "Status == \"ready\""]);
            (out.status.success() && !out.stdout.is_empty()).then_some(())
        });
    }

    /// Where its API is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The agent's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Kills the agent's own process; its tasks go on.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("agent.log")
    }

    /// What the agent logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// A directory of this test's own.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs `stead` with `args` against this agent.
    pub(crate) fn cli(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_stead"))
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("STEAD_ADDR", &self.address)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs `stead` and returns its stdout; it must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let out = self.cli(args);
        assert!(
            out.status.success(),
            "stead {}: {}\n{}{}\n-- agent --\n{}",
            args.join(" "),
            out.status,
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr),
            self.log()
        );
        String::from_utf8(out.stdout).unwrap()
    }

    /// Reads the API.
    pub(crate) fn api(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.ok(&["operator", "api", path])).unwrap()
    }

    /// Writes a job file and returns its path.
    pub(crate) fn job(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }

    /// Allocations of a job, newest first.
    pub(crate) fn allocs(&self, job: &str) -> Vec<serde_json::Value> {
        let mut allocs = match self.api(&format!("/v1/job/{job}/allocations")) {
            serde_json::Value::Array(list) => list,
            other => panic!("{other}"),
        };
        allocs.sort_by_key(|alloc| std::cmp::Reverse(alloc["CreateIndex"].as_u64()));
        allocs
    }

    /// Waits until an allocation of `job` has that client status and returns its id.
    pub(crate) fn alloc_with(&self, job: &str, status: &str) -> String {
        eventually(&format!("an allocation of {job} is {status}"), || {
            let found =
                self.allocs(job).into_iter().find(|alloc| alloc["ClientStatus"] == status)?;
            Some(found["ID"].as_str().unwrap().to_owned())
        })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if self.child.is_none() {
            self.launch();
        }
        if std::thread::panicking() {
            eprintln!("-- the agent's log --\n{}", self.log());
        }
        let jobs = self.cli(&["operator", "api", "/v1/jobs?namespace=*"]);
        let jobs: serde_json::Value = serde_json::from_slice(&jobs.stdout).unwrap_or_default();
        for job in jobs.as_array().into_iter().flatten() {
            self.cli(&["job", "stop", "-purge", "-detach", job["ID"].as_str().unwrap_or_default()]);
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let out = self.cli(&["operator", "api", "/v1/allocations?namespace=*"]);
            let text = String::from_utf8_lossy(&out.stdout);
            if !text.contains("\"ClientStatus\":\"running\"")
                && !text.contains("\"ClientStatus\":\"pending\"")
            {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        self.cli(&["system", "gc"]);
        if let Some(mut child) = self.child.take() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
            child.wait().unwrap();
        }
    }
}
