//! ◇ Staying with a task: its output into the logs until it ends, then its end into a record, then nothing left.

use std::io;
use std::os::fd::AsFd as _;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::records::{Records, Running};
use super::streams::Streams;
use crate::driver::cgroup::Cgroup;
use crate::driver::handle::ExitResult;
use crate::driver::process::{Ending, Process};
use crate::sys::clock::unix_nanos;

/// A task that runs, and all that is needed until it does not.
pub(super) struct Supervised {
    pub records: Records,
    pub running: Running,
    pub cgroup: Cgroup,
    pub streams: Streams,
    /// `None` when it was gone before it could be opened.
    pub process: Option<Process>,
    /// Of this shim; otherwise of the agent or of init, who reap it.
    pub is_child: bool,
}

/// SIGCHLD comes through a descriptor from here on.
pub(super) fn block_sigchld() -> io::Result<()> {
    sigchld().thread_block().map_err(Errno::into)
}

fn sigchld() -> SigSet {
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    set
}

/// Returns when the task has ended, its record is on disk and nothing of it is left but its files.
pub(super) fn supervise(mut supervised: Supervised) -> io::Result<()> {
    let children =
        SignalFd::with_flags(&sigchld(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let mut buffer = [0_u8; 16 * 1024];
    let ending = watch(&mut supervised, &children, &mut buffer);
    finish(supervised, ending, &mut buffer)
}

fn watch(supervised: &mut Supervised, children: &SignalFd, buffer: &mut [u8]) -> Option<Ending> {
    loop {
        // First, not after the poll: a child may have ended before its signal was blocked.
        let reaped = reap(supervised.running.task.pid);
        if supervised.is_child && reaped.is_some() {
            return reaped;
        }
        if !supervised.is_child {
            match &supervised.process {
                None => return None,
                Some(process) if !process.is_alive() => return process.ending(),
                Some(_) => {}
            }
        }
        let mut fds = vec![PollFd::new(children.as_fd(), PollFlags::POLLIN)];
        if let Some(process) = supervised.process.as_ref().filter(|_| !supervised.is_child) {
            fds.push(PollFd::new(process.fd(), PollFlags::POLLIN));
        }
        let first_pump = fds.len();
        fds.extend(
            supervised.streams.pumps.iter().map(|pump| PollFd::new(pump.fd(), PollFlags::POLLIN)),
        );
        if poll(&mut fds, PollTimeout::NONE).is_err() {
            continue;
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        drop(fds);
        if ready.first() == Some(&true) {
            while let Ok(Some(_)) = children.read_signal() {}
        }
        let mut at = first_pump;
        supervised.streams.pumps.retain_mut(|pump| {
            let stays = !ready.get(at).copied().unwrap_or(false) || pump.turn(buffer);
            at += 1;
            stays
        });
    }
}

/// Takes every dead child away and returns how the one with this pid ended. Orphans of the task are ours too.
#[expect(
    unsafe_code,
    reason = "waitpid of nix refuses signal numbers it does not know, such as real-time ones"
)]
fn reap(task: i32) -> Option<Ending> {
    let mut ending = None;
    loop {
        let mut status = 0;
        // SAFETY: writes one integer.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        if pid <= 0 {
            return ending;
        }
        if pid == task {
            ending = Some(Ending::from_wait_status(status));
        }
    }
}

fn finish(mut supervised: Supervised, ending: Option<Ending>, buffer: &mut [u8]) -> io::Result<()> {
    let finished_at = unix_nanos();
    // What the task left running dies with it, and can write no more.
    let killed = supervised.cgroup.kill();
    let _ = reap(0);
    for pump in &mut supervised.streams.pumps {
        pump.drain(buffer);
    }
    let oom_kills = supervised.cgroup.oom_kills();
    supervised.records.write_exited(&ExitResult::of(ending, oom_kills, finished_at))?;
    killed?;
    supervised.cgroup.remove()
}
