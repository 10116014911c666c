//! Machines on one wire, agents on them, and an authority. All of it is gone when the values are dropped.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use crate::e2e::eventually;

/// Signs certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes the authority, a certificate with that name and its key, and gives the configuration that names them.
    pub(super) fn certify(&self, dir: &Path, name: &str) -> String {
        self.certify_for(dir, name, &self.pem)
    }

    /// The same, for an agent that trusts `other`.
    pub(super) fn certify_trusting(&self, dir: &Path, name: &str, other: &Self) -> String {
        self.certify_for(dir, name, &other.pem)
    }

    fn certify_for(&self, dir: &Path, name: &str, trusted: &str) -> String {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join("ca.pem"), trusted).unwrap();
        std::fs::write(dir.join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
        let at = |file: &str| dir.join(file).display().to_string();
        format!(
            "tls {{\n  rpc = true\n  ca_file = \"{}\"\n  cert_file = \"{}\"\n  key_file = \"{}\"\n}}\n",
            at("ca.pem"),
            at("cert.pem"),
            at("key.pem")
        )
    }
}

/// A network namespace that lives as long as this value or a process in it.
struct Namespace(File);

impl Namespace {
    fn new() -> Self {
        let thread = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            Self(File::open("/proc/thread-self/ns/net").unwrap())
        });
        thread.join().unwrap()
    }

    /// Runs `work` on a thread that has entered the namespace; processes it starts are in it too.
    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let entered = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            entered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn sh(&self, line: &str) {
        let output = self.run(|| Command::new("sh").args(["-ec", line]).output().unwrap());
        assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Machines on one wire, and the authority of their cluster.
pub(super) struct Lan {
    pub(super) authority: Authority,
    dir: TempDir,
    wire: Namespace,
    machines: std::cell::Cell<u8>,
}

impl Lan {
    /// `None`, with a word why, when not run by root.
    pub(super) fn new(test: &str) -> Option<Self> {
        if !crate::e2e::is_root(test) {
            return None;
        }
        let wire = Namespace::new();
        wire.sh("ip link add wire type bridge; ip link set wire up");
        let dir = tempfile::Builder::new().prefix("stead-test-").tempdir().unwrap();
        Some(Self { authority: Authority::new(), dir, wire, machines: std::cell::Cell::new(0) })
    }

    /// Another machine, its address on the wire, and a directory of its own.
    fn machine(&self) -> (Namespace, String, PathBuf) {
        let number = self.machines.get() + 1;
        self.machines.set(number);
        let namespace = Namespace::new();
        let path = format!("/proc/{}/fd/{}", std::process::id(), namespace.0.as_raw_fd());
        self.wire.sh(&format!(
            "ip link add port{number} type veth peer name lan netns {path}
             ip link set port{number} master wire; ip link set port{number} up"
        ));
        let address = format!("10.88.0.{number}");
        namespace.sh(&format!(
            "ip link set lo up; ip link set lan up; ip addr add {address}/24 dev lan
             ip route add default via 10.88.0.254"
        ));
        let dir = self.dir.path().join(format!("machine{number}"));
        std::fs::create_dir(&dir).unwrap();
        (namespace, address, dir)
    }

    /// A machine with an agent that is configured, not started. Its certificate has the name of its role.
    pub(super) fn agent(&self, role: &str, more: &str) -> Agent {
        let (namespace, address, dir) = self.machine();
        let tls = self.authority.certify(&dir.join("tls"), &format!("{role}.global.nomad"));
        let agent = Agent { namespace, address, dir, role: role.to_owned(), child: None };
        agent.configure(&tls, more);
        agent
    }

    /// A server that leads.
    pub(super) fn server(&self) -> Agent {
        let mut server = self.agent("server", "server {\n  enabled = true\n  heartbeat_grace = \"500ms\"\n  min_heartbeat_ttl = \"500ms\"\n}");
        server.launch();
        server.answers();
        server
    }

    /// A client of `server` that is ready.
    pub(super) fn client_of(&self, server: &Agent) -> Agent {
        let mut client = self.agent("client", &client_of(&server.address));
        client.launch();
        server.nodes_are("ready", 1);
        client
    }
}

/// A task that says something and waits.
pub(super) const SLEEPER: &str = r#"
job "sleeper" {
  group "app" {
    task "main" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "echo $$ > ${NOMAD_ALLOC_DIR}/pid; echo out; echo err >&2; trap 'exit 0' INT; while :; do sleep 0.1; done"]
      }
      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}
"#;

/// A server and a client. What runs is ended before they go, also when a test fails.
pub(super) struct Cluster {
    pub(super) server: Agent,
    pub(super) client: Agent,
}

impl Cluster {
    pub(super) fn new(lan: &Lan) -> Self {
        let server = lan.server();
        let client = lan.client_of(&server);
        Self { server, client }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.client.is_running() {
            self.client.launch();
        }
        self.server.clear();
    }
}

/// The configuration of a client that joins the server at `address`.
pub(super) fn client_of(address: &str) -> String {
    format!(
        "client {{\n  enabled = true\n  servers = [\"{address}\"]\n}}\nplugin \"raw_exec\" {{\n  config {{\n    enabled = true\n  }}\n}}"
    )
}

/// An agent on a machine of its own.
pub(super) struct Agent {
    namespace: Namespace,
    pub(super) address: String,
    pub(super) dir: PathBuf,
    role: String,
    child: Option<Child>,
}

impl Agent {
    /// Writes the configuration. The API is on the machine's loopback, the RPC on the wire.
    pub(super) fn configure(&self, tls: &str, more: &str) {
        let text = format!(
            "name = \"{}\"\ndata_dir = \"{}\"\nbind_addr = \"{}\"\naddresses {{\n  http = \"127.0.0.1\"\n}}\n{tls}{more}\n",
            self.role,
            self.dir.join("data").display(),
            self.address
        );
        std::fs::write(self.dir.join("agent.hcl"), text).unwrap();
    }

    /// Starts the agent's process (again).
    pub(super) fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let child = self.namespace.run(|| {
            Command::new(env!("CARGO_BIN_EXE_stead"))
                .args(["agent", "-log-level", "debug", "-config"])
                .arg(self.dir.join("agent.hcl"))
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap()
        });
        self.child = Some(child);
    }

    /// Waits until the API answers and there is a leader.
    pub(super) fn answers(&self) {
        eventually("there is a leader", || {
            self.cli(&["operator", "api", "/v1/jobs"]).status.success().then_some(())
        });
    }

    /// Kills the agent's own process; its tasks go on.
    pub(super) fn kill(&mut self) {
        self.end(Signal::SIGKILL);
    }

    fn end(&mut self, signal: Signal) {
        if let Some(mut child) = self.child.take() {
            kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap_or_default();
            child.wait().unwrap();
        }
    }

    fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Waits until the agent ended by itself, and gives what it said.
    pub(super) fn ends(&mut self) -> String {
        let mut child = self.child.take().unwrap();
        let status = eventually("the agent ends", || child.try_wait().unwrap());
        assert!(!status.success());
        self.log()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("agent.log")
    }

    /// What the agent logged.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits until the agent logged a line with all of `words`.
    pub(super) fn logs(&self, words: &[&str]) {
        eventually(&format!("{} logs {words:?}", self.role), || {
            let has_all = |line: &str| words.iter().all(|word| line.contains(word));
            self.log().lines().any(has_all).then_some(())
        });
    }

    /// `stead` with `args`, on this machine.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(&self.dir)
            .stdin(Stdio::null());
        command
    }

    /// Runs `work` on this machine.
    pub(super) fn on<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.namespace.run(work)
    }

    /// Runs `stead` against this agent.
    pub(super) fn cli(&self, args: &[&str]) -> Output {
        self.on(|| self.command(args).output().unwrap())
    }

    /// Runs `stead` and returns its stdout; it must succeed.
    pub(super) fn ok(&self, args: &[&str]) -> String {
        let out = self.cli(args);
        let err = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "stead {}: {}\n{err}", args.join(" "), out.status);
        String::from_utf8(out.stdout).unwrap()
    }

    /// Reads the API.
    pub(super) fn api(&self, path: &str) -> Value {
        serde_json::from_str(&self.ok(&["operator", "api", path])).unwrap()
    }

    /// Registers a job.
    pub(super) fn run_job(&self, name: &str, text: &str) {
        let path = self.dir.join(name);
        std::fs::write(&path, text).unwrap();
        self.ok(&["job", "run", "-detach", &path.to_string_lossy()]);
    }

    /// Waits until so many nodes have that status.
    pub(super) fn nodes_are(&self, status: &str, count: usize) {
        eventually(&format!("{count} nodes are {status}"), || {
            let out = self.cli(&["operator", "api", "/v1/nodes"]);
            let nodes: Value = serde_json::from_slice(&out.stdout).ok()?;
            let are = nodes.as_array()?.iter().filter(|node| node["Status"] == status).count();
            (are == count).then_some(())
        });
    }

    /// Waits until an allocation of `job` has that client status and returns it.
    pub(super) fn alloc_with(&self, job: &str, status: &str) -> Value {
        eventually(&format!("an allocation of {job} is {status}"), || {
            let allocs = self.api(&format!("/v1/job/{job}/allocations"));
            allocs.as_array()?.iter().find(|alloc| alloc["ClientStatus"] == status).cloned()
        })
    }

    /// Ends every job of the cluster and waits until nothing of them is left. For a server.
    pub(super) fn clear(&mut self) {
        if self.child.is_none() {
            self.launch();
        }
        self.answers();
        let jobs = self.cli(&["operator", "api", "/v1/jobs?namespace=*"]);
        let jobs: Value = serde_json::from_slice(&jobs.stdout).unwrap_or_default();
        for job in jobs.as_array().into_iter().flatten() {
            self.cli(&["job", "stop", "-purge", "-detach", job["ID"].as_str().unwrap_or_default()]);
        }
        eventually("no allocation runs", || {
            let out = self.cli(&["operator", "api", "/v1/allocations?namespace=*"]);
            let text = String::from_utf8_lossy(&out.stdout);
            let runs = ["running", "pending"]
                .iter()
                .any(|status| text.contains(&format!("\"ClientStatus\":\"{status}\"")));
            (!runs).then_some(())
        });
        self.cli(&["system", "gc"]);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("-- the log of {} --\n{}", self.role, self.log());
        }
        self.end(Signal::SIGTERM);
    }
}
