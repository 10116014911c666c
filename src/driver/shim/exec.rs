//! ◇ `__shim exec`: runs one command inside a task, with the agent at the other end of its standard input.
//!
//! A process of its own, because libcontainer must not run in the agent and because a command that hangs must
//! not hold up the task's shim. It ends with its command; when the agent goes away, the command is killed.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use nix::fcntl::OFlag;
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::unistd::pipe2;

use super::records::{Records, Task, Workload};
use super::relay::{Relay, relay};
use super::wire::{Head, Tag};
use super::{run, spawn};
use crate::driver::cgroup::Cgroup;
use crate::driver::container::runtime;
use crate::driver::plan::ProcessPlan;
use crate::driver::process::Process;
use crate::driver::session::{ExecRequest, TerminalSize};

/// A started command and our ends of what it reads and writes.
pub(super) struct Command {
    pub pid: i32,
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    /// `None` with a terminal, which `stdin` and `stdout` then are.
    pub stderr: Option<OwnedFd>,
}

#[expect(unsafe_code, reason = "standard input is a socket here")]
pub(super) fn exec(dir: &Path) -> io::Result<()> {
    spawn::be_as_likely_to_be_killed()?;
    run::prepare()?;
    // SAFETY: the agent passed a socket as 0; nothing else in this process uses it.
    let mut socket = unsafe { UnixStream::from_raw_fd(0) };
    let request = read_request(&mut socket)?;
    match start(dir, &request) {
        Ok(command) => {
            socket.write_all(&Head::frame(Tag::Started, &[]))?;
            run::quieten()?;
            relay(Relay::new(socket, command, request.tty)?)
        }
        Err(reason) => socket.write_all(&Head::frame(Tag::Failed, reason.as_bytes())),
    }
}

fn read_request(socket: &mut UnixStream) -> io::Result<ExecRequest> {
    let mut head = [0; Head::SIZE];
    socket.read_exact(&mut head)?;
    let mut bytes = vec![0; Head::parse(head)?.length];
    socket.read_exact(&mut bytes)?;
    serde_json::from_slice(&bytes).map_err(io::Error::other)
}

fn start(dir: &Path, request: &ExecRequest) -> Result<Command, String> {
    let told = |doing: &'static str| move |error: io::Error| format!("{doing}: {error}");
    let records = Records::at(dir);
    let task = records.task().map_err(told("read task.json"))?;
    let running = records.running().map_err(|_| "the task is not running".to_owned())?;
    let process = Process::open(running.task).map_err(told("open the task's process"))?;
    if !process.is_some_and(|process| process.is_alive()) {
        return Err("the task is not running".to_owned());
    }
    if request.command.iter().any(|word| word.contains('\0')) {
        return Err("a word of the command contains a NUL byte".to_owned());
    }
    match &task.workload {
        Workload::Process(plan) => beside_process(&task, plan, request),
        Workload::Container(_) => in_container(dir, request),
    }
}

fn beside_process(
    task: &Task,
    plan: &ProcessPlan,
    request: &ExecRequest,
) -> Result<Command, String> {
    let told = |error: io::Error| format!("open its output: {error}");
    let (program, args) = request.command.split_first().ok_or("no command was given")?;
    let plan = ProcessPlan { command: program.clone(), args: args.to_vec(), ..plan.clone() };
    let mut context = task.context.clone();
    context.env.extend(request.env.clone());
    let cgroup = Cgroup::of(&context.cgroup_parent, &context.alloc_id, &context.task)
        .map_err(|error| format!("find its cgroup: {error}"))?;
    let (stdio, ours) = if request.tty { terminal(request.size) } else { pipes() }.map_err(told)?;
    let pid = spawn::spawn(&plan, &context, &cgroup, stdio)?;
    Ok(Command { pid, ..ours })
}

fn in_container(dir: &Path, request: &ExecRequest) -> Result<Command, String> {
    let told = |error: io::Error| format!("open its output: {error}");
    if request.command.is_empty() {
        return Err("no command was given".to_owned());
    }
    let env = request.env.clone().into_iter();
    if request.tty {
        let Winsize { ws_col, ws_row, .. } = winsize(request.size);
        let terminal = runtime::Stdio::Terminal(Some((ws_col, ws_row)));
        let started = runtime::exec(dir, &request.command, env, terminal)?;
        let stdout = started.terminal.ok_or("no terminal came")?;
        let stdin = stdout.try_clone().map_err(told)?;
        return Ok(Command { pid: started.pid, stdin, stdout, stderr: None });
    }
    let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|errno| told(errno.into()));
    let ((their_in, stdin), (stdout, their_out), (stderr, their_err)) = (pipe()?, pipe()?, pipe()?);
    let stdio = runtime::Stdio::Files { stdin: their_in, stdout: their_out, stderr: their_err };
    let started = runtime::exec(dir, &request.command, env, stdio)?;
    Ok(Command { pid: started.pid, stdin, stdout, stderr: Some(stderr) })
}

fn pipes() -> io::Result<(spawn::Stdio3, Command)> {
    let pipe = || pipe2(OFlag::O_CLOEXEC);
    let ((their_in, stdin), (stdout, their_out), (stderr, their_err)) = (pipe()?, pipe()?, pipe()?);
    let stdio = spawn::Stdio3 {
        stdin: Stdio::from(their_in),
        stdout: their_out,
        stderr: their_err,
        is_terminal: false,
    };
    Ok((stdio, Command { pid: 0, stdin, stdout, stderr: Some(stderr) }))
}

fn terminal(size: Option<TerminalSize>) -> io::Result<(spawn::Stdio3, Command)> {
    let OpenptyResult { master, slave } = openpty(Some(&winsize(size)), None)?;
    for fd in [&master, &slave] {
        // openpty(3) does not set it.
        nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    }
    let stdio = spawn::Stdio3 {
        stdin: Stdio::from(slave.try_clone()?),
        stdout: slave.try_clone()?,
        stderr: slave,
        is_terminal: true,
    };
    Ok((stdio, Command { pid: 0, stdin: master.try_clone()?, stdout: master, stderr: None }))
}

#[expect(unsafe_code, reason = "TIOCSWINSZ is an ioctl")]
pub(super) fn set_size(terminal: &impl AsRawFd, size: Option<TerminalSize>) {
    let size = winsize(size);
    // SAFETY: the descriptor is a terminal's and the kernel reads one struct.
    unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
}

/// As the terminal's ioctl wants it; 80 × 24 when the client did not say.
fn winsize(size: Option<TerminalSize>) -> Winsize {
    let size = size.unwrap_or(TerminalSize { width: 80, height: 24 });
    Winsize { ws_row: size.height, ws_col: size.width, ws_xpixel: 0, ws_ypixel: 0 }
}
