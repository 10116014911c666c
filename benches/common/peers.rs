//! Docker and Podman, each in a network namespace and below a directory of its own, so that nothing of the host
//! is touched and nothing is left.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stead::sys::command::command;

use crate::agent::eventually;
use crate::image::{Image, NAME};
use crate::proc;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Docker,
    Podman,
}

/// A peer that is up and has the image.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    dir: PathBuf,
    /// Holds the namespaces: dockerd itself; for Podman, which has no daemon, a process that waits.
    holder: Child,
    /// Under which its containers are.
    pub(crate) cgroup: String,
}

impl Peer {
    /// Starts it; says by name why not when its programs are missing.
    pub(crate) fn start(kind: Kind, parent: &Path, image: &Image) -> Option<Self> {
        let name = kind.name();
        let needs: &[&str] = match kind {
            Kind::Docker => &["dockerd", "docker", "containerd"],
            Kind::Podman => &["podman", "conmon"],
        };
        if let Some(missing) = needs.iter().find(|program| !is_there(program)) {
            println!("skipped: {name} ({missing} is not installed: tests/packages.sh bench)");
            return None;
        }
        let dir = parent.join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let mut holder = command("unshare");
        holder.args(["--net", "--mount", "sh", "-ec", kind.script()]).env("DIR", &dir);
        holder.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        let holder = holder.spawn().unwrap();
        let cgroup = format!("/stead-bench-{}", holder.id());
        let mut peer = Self { kind, dir, holder, cgroup };
        eventually(&format!("{name} is up"), || {
            let ended = peer.holder.try_wait().unwrap();
            assert!(ended.is_none(), "{name} ended:\n{}", peer.log());
            peer.command(&["version"]).output().is_ok_and(|out| out.status.success()).then_some(())
        });
        peer.ok(&["load", "--quiet", "--input", &image.archive.to_string_lossy()]);
        Some(peer)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// The client's command line, in the peer's namespaces.
    fn command(&self, words: &[&str]) -> Command {
        let at = |name: &str| self.dir.join(name).to_string_lossy().into_owned();
        let mut it = match self.kind {
            Kind::Docker => {
                let mut it = command("docker");
                it.env("DOCKER_HOST", format!("unix://{}", self.socket().display()));
                it
            }
            Kind::Podman => {
                let mut it = command("nsenter");
                it.arg("--net").arg("--mount").args(["--target", &self.holder.id().to_string()]);
                it.args(["podman", "--cgroup-manager=cgroupfs", "--events-backend=none"]);
                it.args(["--root", &at("root"), "--runroot", &at("run"), "--tmpdir", &at("tmp")]);
                it
            }
        };
        it.env("HOME", &self.dir).args(words);
        it
    }

    /// Where its API listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("socket")
    }

    /// Runs its command line; returns what it printed.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let out = self.command(words).output().unwrap();
        let err = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{} {words:?}: {err}\n{}", self.kind.name(), self.log());
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// `run -d -p`: a port of the host's choice; returns the container's id.
    pub(crate) fn run(&self) -> String {
        let mut words = vec!["run", "-d", "-p", "80", "--cgroup-parent", &self.cgroup];
        if self.kind == Kind::Podman {
            // Its own defaults are more than a host may allow.
            words.extend(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]);
        }
        words.push(NAME);
        self.ok(&words)
    }

    pub(crate) fn remove_all(&self) {
        let all = self.ok(&["ps", "--all", "--quiet"]);
        if !all.is_empty() {
            let words = ["rm", "--force"].into_iter().chain(all.split_whitespace());
            self.ok(&words.collect::<Vec<_>>());
        }
    }

    /// What stays beside the containers: all in its network namespace, where the containers are not.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut found = proc::sharing_network(self.holder.id());
        if self.kind == Kind::Podman {
            found.retain(|pid| *pid != self.holder.id());
        }
        found
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let removed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.remove_all()));
        let helpers: Vec<u32> =
            self.processes().into_iter().filter(|pid| *pid != self.holder.id()).collect();
        let signal = |pid: u32, signal| {
            let _ = kill(Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX)), signal);
        };
        // Podman's holder ends with its input, dockerd by its signal.
        drop(self.holder.stdin.take());
        signal(self.holder.id(), Signal::SIGTERM);
        drop(self.holder.wait());
        // All of these were in a namespace that the holder made.
        for pid in helpers {
            signal(pid, Signal::SIGKILL);
        }
        if removed.is_err() {
            println!("{} may have left containers", self.kind.name());
        }
        proc::remove_cgroups(self.cgroup.trim_start_matches('/'));
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    /// What runs as the holder of the namespaces. The mounts keep caches and
    /// leases from the host; crun refuses hosts with both versions of cgroups unless it sees one only.
    fn script(self) -> &'static str {
        match self {
            Self::Docker => {
                "ip link set lo up
                 exec dockerd --data-root \"$DIR/data\" --exec-root \"$DIR/exec\" \
                   --pidfile \"$DIR/pid\" --host \"unix://$DIR/socket\""
            }
            Self::Podman => {
                "ip link set lo up
                 mount -t tmpfs tmpfs /var/lib
                 mount -t tmpfs tmpfs /run
                 umount /sys/fs/cgroup/unified || true
                 exec cat"
            }
        }
    }
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).exists())
}
