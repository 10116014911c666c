//! ◇ Between the agent's socket and a command's pipes or terminal, until the command ends.
//!
//! Input that the command does not read yet waits here, and no more is taken from the agent until it is gone:
//! a command that writes before it reads cannot lock both sides up.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::exec::{Command, set_size};
use super::wire::{Head, Tag};
use crate::driver::process::{Ending, Process, ProcessId};
use crate::driver::session::TerminalSize;

pub(super) struct Relay {
    agent: UnixStream,
    /// From the agent, not yet a whole frame.
    received: Vec<u8>,
    agent_speaks: bool,
    pid: i32,
    process: Option<Process>,
    tty: bool,
    stdin: Option<File>,
    /// For the command, not yet taken by it.
    waiting: Vec<u8>,
    /// The command's outputs that are still open.
    outputs: Vec<(Tag, File)>,
}

impl Relay {
    pub(super) fn new(agent: UnixStream, command: Command, tty: bool) -> io::Result<Self> {
        let mut outputs = vec![(Tag::Stdout, nonblocking(command.stdout)?)];
        if let Some(stderr) = command.stderr {
            outputs.push((Tag::Stderr, nonblocking(stderr)?));
        }
        let process = ProcessId::of(command.pid).ok().map(Process::open);
        Ok(Self {
            agent,
            received: Vec::new(),
            agent_speaks: true,
            pid: command.pid,
            process: process.transpose()?.flatten(),
            tty,
            stdin: Some(nonblocking(command.stdin)?),
            waiting: Vec::new(),
            outputs,
        })
    }
}

fn nonblocking(fd: OwnedFd) -> io::Result<File> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(File::from(fd))
}

/// Which of the watched descriptors have something.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each descriptor")]
struct Ready {
    ended: bool,
    agent: bool,
    agent_gone: bool,
    stdin: bool,
    outputs: Vec<bool>,
}

pub(super) fn relay(mut relay: Relay) -> io::Result<()> {
    let mut buffer = [0_u8; 16 * 1024];
    loop {
        let ready = relay.poll();
        relay.outputs_turn(&ready, &mut buffer);
        if ready.agent_gone {
            relay.kill();
            return Ok(());
        }
        if ready.agent {
            relay.agent_turn(&mut buffer);
        }
        if ready.stdin || !relay.waiting.is_empty() {
            relay.stdin_turn();
        }
        if ready.ended {
            return relay.finish(&mut buffer);
        }
    }
}

impl Relay {
    fn poll(&self) -> Ready {
        let mut fds = Vec::with_capacity(5);
        // Reading from the agent stops while the command has not taken what there is.
        let wanted = self.agent_speaks && self.waiting.is_empty();
        let events = if wanted { PollFlags::POLLIN } else { PollFlags::empty() };
        fds.push(PollFd::new(self.agent.as_fd(), events));
        for (_, output) in &self.outputs {
            fds.push(PollFd::new(output.as_fd(), PollFlags::POLLIN));
        }
        let process_at = fds.len();
        if let Some(process) = &self.process {
            fds.push(PollFd::new(process.fd(), PollFlags::POLLIN));
        }
        let stdin_at = fds.len();
        if let Some(stdin) = self.stdin.as_ref().filter(|_| !self.waiting.is_empty()) {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLOUT));
        }
        if poll(&mut fds, PollTimeout::NONE).is_err() {
            return Ready { outputs: vec![false; self.outputs.len()], ..Ready::default() };
        }
        let events =
            |at: usize| fds.get(at).and_then(PollFd::revents).unwrap_or(PollFlags::empty());
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
        Ready {
            ended: self.process.is_none() || !events(process_at).is_empty(),
            agent: wanted && events(0).contains(PollFlags::POLLIN),
            agent_gone: events(0).intersects(gone),
            stdin: !events(stdin_at).is_empty(),
            outputs: (0..self.outputs.len()).map(|at| !events(at + 1).is_empty()).collect(),
        }
    }

    fn outputs_turn(&mut self, ready: &Ready, buffer: &mut [u8]) {
        let mut closed = Vec::new();
        for (at, (tag, output)) in self.outputs.iter_mut().enumerate() {
            if !ready.outputs.get(at).copied().unwrap_or(false) {
                continue;
            }
            match output.read(buffer) {
                Ok(0) => closed.push(at),
                Ok(count) => send(&mut self.agent, *tag, &buffer[..count]),
                Err(error) if is_pause(&error) => {}
                // A terminal whose other side is closed answers EIO.
                Err(_) => closed.push(at),
            }
        }
        for at in closed.into_iter().rev() {
            self.outputs.remove(at);
        }
    }

    fn agent_turn(&mut self, buffer: &mut [u8]) {
        match self.agent.read(buffer) {
            Ok(0) => {
                self.agent_speaks = false;
                self.end_input();
            }
            Ok(count) => {
                self.received.extend(&buffer[..count]);
                self.take_frames();
            }
            Err(error) if is_pause(&error) => {}
            Err(_) => self.agent_speaks = false,
        }
    }

    fn take_frames(&mut self) {
        while let Some(head) = self.received.first_chunk::<{ Head::SIZE }>() {
            let Ok(head) = Head::parse(*head) else {
                self.agent_speaks = false;
                return;
            };
            let whole = Head::SIZE + head.length;
            if self.received.len() < whole {
                return;
            }
            let frame: Vec<u8> = self.received.drain(..whole).skip(Head::SIZE).collect();
            match head.tag {
                Tag::Stdin => self.waiting.extend(frame),
                Tag::StdinEnd => self.end_input(),
                Tag::Resize => self.resize(&frame),
                Tag::Request | Tag::Started | Tag::Failed => {}
                Tag::Stdout | Tag::Stderr | Tag::Exited => {}
            }
        }
    }

    fn stdin_turn(&mut self) {
        let Some(stdin) = &mut self.stdin else {
            self.waiting.clear();
            return;
        };
        match stdin.write(&self.waiting) {
            Ok(count) => drop(self.waiting.drain(..count)),
            Err(error) if is_pause(&error) => {}
            // It closed its input; what else comes for it is thrown away.
            Err(_) => {
                self.waiting.clear();
                self.stdin = None;
            }
        }
        if self.waiting.is_empty() && !self.agent_speaks && !self.tty {
            self.stdin = None;
        }
    }

    /// A pipe is closed once all before it was taken; a terminal gets its end-of-file character.
    fn end_input(&mut self) {
        if self.tty {
            const END_OF_TRANSMISSION: u8 = 4;
            self.waiting.push(END_OF_TRANSMISSION);
        } else {
            self.agent_speaks = false;
            if self.waiting.is_empty() {
                self.stdin = None;
            }
        }
    }

    fn resize(&self, frame: &[u8]) {
        if let (true, Some(terminal), [w0, w1, h0, h1]) = (self.tty, &self.stdin, frame) {
            let width = u16::from_le_bytes([*w0, *w1]);
            let height = u16::from_le_bytes([*h0, *h1]);
            set_size(terminal, Some(TerminalSize { width, height }));
        }
    }

    fn kill(&self) {
        // It leads a session of its own, so its group is not ours.
        let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
        if let Some(process) = &self.process {
            drop(process.signal(libc::SIGKILL));
        }
    }

    fn finish(mut self, buffer: &mut [u8]) -> io::Result<()> {
        let code = match wait(self.pid) {
            Some(Ending::Exited(code)) => code,
            Some(Ending::Signaled(signal)) => 128 + signal,
            None => 1,
        };
        // What is in the pipes now is all: who else holds them was left behind by the command.
        for (tag, output) in &mut self.outputs {
            while let Ok(count) = output.read(buffer) {
                if count == 0 {
                    break;
                }
                send(&mut self.agent, *tag, &buffer[..count]);
            }
        }
        let said = self.agent.write_all(&Head::frame(Tag::Exited, &code.to_le_bytes()));
        drop(self);
        // What the command left running beside a process of the host has nobody else to reap it; it ends with
        // the task at the latest. In a container, its first process is their new parent.
        while wait(-1).is_some() {}
        said
    }
}

/// The agent not listening shows as its socket's end at the next poll.
fn send(agent: &mut UnixStream, tag: Tag, bytes: &[u8]) {
    drop(agent.write_all(&Head::frame(tag, bytes)));
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Waits for a child, or with -1 for any.
#[expect(unsafe_code, reason = "waitpid of nix refuses signal numbers it does not know")]
fn wait(pid: i32) -> Option<Ending> {
    let mut status = 0;
    // SAFETY: writes one integer.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    (waited > 0).then(|| Ending::from_wait_status(status))
}
