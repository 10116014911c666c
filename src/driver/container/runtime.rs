//! ◇ libcontainer: create and start a container, run another process in it. Only ever called in a process with
//! one thread.
//!
//! Its state is in `oci/` of the task's state directory. It is not asked to delete: cgroup and directory are ours
//! to remove, mounts go with the processes.

use std::fs;
use std::io::{self, IoSliceMut, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::oci_spec::runtime::LinuxSeccomp;
use libcontainer::syscall::syscall::SyscallType;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::{Value, json};

use super::executor::Last;
use crate::driver::error::told;

/// Unique within its own root path, of which each task has one.
const ID: &str = "task";

/// What a process in the container reads and writes.
#[derive(Debug)]
pub(in crate::driver) enum Stdio {
    Files {
        stdin: OwnedFd,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
    /// Columns and rows, when they are known.
    Terminal(Option<(u16, u16)>),
}

/// What the container's first process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::driver) enum First {
    Program,
    Init,
}

/// A process in the container, a child of the caller.
#[derive(Debug)]
pub(in crate::driver) struct Started {
    pub pid: i32,
    /// The master's side, for [`Stdio::Terminal`].
    pub terminal: Option<OwnedFd>,
}

pub(super) fn write_config(dir: &Path, config: &Value) -> io::Result<()> {
    write_private(&dir.join("config.json"), config)
}

fn write_private(path: &Path, value: &Value) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(&serde_json::to_vec(value).map_err(io::Error::other)?)
}

fn builder(
    dir: &Path,
    stdio: Stdio,
    last: Last,
) -> Result<(ContainerBuilder, Option<UnixListener>), String> {
    let builder = ContainerBuilder::new(ID.to_owned(), SyscallType::default())
        .with_root_path(dir.join("oci"))
        .map_err(|error| told(&error))?
        .with_executor(last);
    match stdio {
        Stdio::Files { stdin, stdout, stderr } => {
            Ok((builder.with_stdin(stdin).with_stdout(stdout).with_stderr(stderr), None))
        }
        Stdio::Terminal(_) => {
            let name = format!("console-{}.sock", std::process::id());
            let listener = bind(dir, &name).map_err(|error| format!("open a console: {error}"))?;
            Ok((builder.with_console_socket(Some(dir.join(name))), Some(listener)))
        }
    }
}

/// A socket whose path may be longer than socket addresses are: bound through the directory's descriptor.
fn bind(dir: &Path, name: &str) -> io::Result<UnixListener> {
    let dir = fs::File::open(dir)?;
    UnixListener::bind(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()))
}

/// The terminal that the container's process sent through the console socket.
fn terminal(dir: &Path, listener: Option<UnixListener>) -> Result<Option<OwnedFd>, String> {
    let Some(listener) = listener else { return Ok(None) };
    let received = receive(&listener).map_err(|error| format!("receive its terminal: {error}"));
    drop(fs::remove_file(dir.join(format!("console-{}.sock", std::process::id()))));
    received.map(Some)
}

#[expect(unsafe_code, reason = "a descriptor that came in a message is owned by nobody yet")]
fn receive(listener: &UnixListener) -> io::Result<OwnedFd> {
    let (stream, _) = listener.accept()?;
    let mut text = [0; 4096];
    let mut parts = [IoSliceMut::new(&mut text)];
    let mut space = nix::cmsg_space!(std::os::fd::RawFd);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control
            && let Some(fd) = fds.first()
        {
            // SAFETY: the kernel made it for this process with this message.
            return Ok(unsafe { OwnedFd::from_raw_fd(*fd) });
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "no descriptor came"))
}

/// Creates and starts the container of the bundle in `dir`, with a reaping first process if it wants one.
pub(in crate::driver) fn start(dir: &Path, stdio: Stdio, first: First) -> Result<Started, String> {
    let last = Last { init: first == First::Init, ..Last::default() };
    let (builder, listener) = builder(dir, stdio, last)?;
    let mut container = builder
        .as_init(dir)
        .with_systemd(false)
        .with_detach(true)
        .build()
        .map_err(|error| told(&error))?;
    let terminal = terminal(dir, listener)?;
    container.start().map_err(|error| told(&error))?;
    let pid = container.pid().ok_or("the container has no process")?.as_raw();
    Ok(Started { pid, terminal })
}

/// Runs `args` in the container of `dir`, as its own process is run, with `env` added.
pub(in crate::driver) fn exec(
    dir: &Path,
    args: &[String],
    env: impl Iterator<Item = (String, String)>,
    stdio: Stdio,
) -> Result<Started, String> {
    let failed = |error: io::Error| format!("prepare its process: {error}");
    let bytes = fs::read(dir.join("config.json")).map_err(failed)?;
    let config: Value =
        serde_json::from_slice(&bytes).map_err(|error| failed(io::Error::other(error)))?;
    let process = dir.join(format!("process-{}.json", std::process::id()));
    let size = match stdio {
        Stdio::Terminal(size) => size,
        Stdio::Files { .. } => None,
    };
    let last = Last { init: false, filter: filter_of(&config)?, size };
    let described = process_of(&config, args, env, matches!(stdio, Stdio::Terminal(_)));
    write_private(&process, &described).map_err(failed)?;
    let (builder, listener) = builder(dir, stdio, last)?;
    let built = builder.as_tenant().with_detach(true).with_process(Some(&process)).build();
    drop(fs::remove_file(&process));
    let pid = built.map_err(|error| told(&error))?.as_raw();
    Ok(Started { pid, terminal: terminal(dir, listener)? })
}

/// The container's own filter, for a process that libcontainer would let in without.
fn filter_of(config: &Value) -> Result<Option<Box<LinuxSeccomp>>, String> {
    let Some(profile) = config["linux"].get("seccomp") else { return Ok(None) };
    serde_json::from_value(profile.clone())
        .map(Some)
        .map_err(|error| format!("read the container's seccomp profile: {error}"))
}

fn process_of(
    config: &Value,
    args: &[String],
    added: impl Iterator<Item = (String, String)>,
    is_terminal: bool,
) -> Value {
    let mut process = config["process"].clone();
    let mut env: Vec<Value> = process["env"].as_array().cloned().unwrap_or_default();
    for (name, value) in added {
        env.retain(|entry| {
            !entry.as_str().is_some_and(|entry| entry.starts_with(&format!("{name}=")))
        });
        env.push(json!(format!("{name}={value}")));
    }
    process["env"] = Value::Array(env);
    process["args"] = json!(args);
    process["terminal"] = json!(is_terminal);
    if config["linux"].get("seccomp").is_some() {
        // Without it, setting the filter needs a capability that is gone by then.
        process["noNewPrivileges"] = json!(true);
    }
    process
}
