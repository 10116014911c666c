//! ◇ Killing everything in a cgroup, faster than a fork bomb grows.

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;

use super::limits::Version;
use super::{Cgroup, pause, write_value};

/// Rounds of 10 ms each: five seconds for the kernel to take the last process away.
const ROUNDS: u32 = 500;

/// Kills all and waits until none is left.
pub(super) fn kill(cgroup: &Cgroup) -> io::Result<()> {
    for _ in 0..ROUNDS {
        if cgroup.pids().is_empty() {
            return Ok(());
        }
        strike(cgroup)?;
        if cgroup.pids().is_empty() {
            return Ok(());
        }
        pause(10);
    }
    // A zombie of somebody else's child is in the list until its parent looks; it runs no more.
    if cgroup.pids().into_iter().all(is_zombie) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        "processes survive SIGKILL, probably in the kernel",
    ))
}

fn strike(cgroup: &Cgroup) -> io::Result<()> {
    match cgroup.version() {
        Version::V2 => {
            let Some(dir) = cgroup.dir("cgroup") else { return Ok(()) };
            // Linux 5.14. Before it, one by one.
            if write_value(&dir.join("cgroup.kill"), "1").is_ok() {
                return Ok(());
            }
            signal_all(cgroup)
        }
        Version::V1 => {
            let state = cgroup.dir("freezer").map(|dir| dir.join("freezer.state"));
            if let Some(state) = &state {
                // Frozen processes cannot fork while they are counted. Not every kernel freezes in time;
                // the next round gets what slipped through.
                drop(write_value(state, "FROZEN"));
            }
            let signalled = signal_all(cgroup);
            if let Some(state) = &state {
                drop(write_value(state, "THAWED"));
            }
            signalled
        }
    }
}

fn signal_all(cgroup: &Cgroup) -> io::Result<()> {
    for pid in cgroup.pids() {
        match send(Pid::from_raw(pid), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn is_zombie(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_or(true, |text| text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}
