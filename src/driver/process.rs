//! ◇ A process by an identity that is never reused: its pid together with its start time, held as a pidfd.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

/// Which process: the kernel may give the pid to another one, but not with the same start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// In the pid namespace of the agent.
    pub pid: i32,
    /// Clock ticks between boot and its start (proc(5), field 22 of `stat`).
    pub start_time: u64,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Exited(i32),
    Signaled(i32),
}

impl Ending {
    /// From the status that wait(2) gives.
    pub(super) fn from_wait_status(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signaled(libc::WTERMSIG(status))
        } else {
            Self::Exited(libc::WEXITSTATUS(status))
        }
    }
}

/// The fields of `/proc/<pid>/stat` after the command name, which may itself hold spaces and parentheses.
fn stat_fields(pid: i32) -> io::Result<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = text.rsplit_once(") ").map(|(_, after)| after).unwrap_or_default();
    Ok(after.split_whitespace().map(str::to_owned).collect())
}

impl ProcessId {
    /// The process that has this pid now.
    pub(super) fn of(pid: i32) -> io::Result<Self> {
        let start_time = stat_fields(pid)?
            .get(19)
            .and_then(|field| field.parse().ok())
            .ok_or_else(|| io::Error::other("no start time in /proc/<pid>/stat"))?;
        Ok(Self { pid, start_time })
    }
}

/// A process held open: its pid cannot mean another one while this lives.
#[derive(Debug)]
pub(super) struct Process {
    id: ProcessId,
    fd: OwnedFd,
}

impl Process {
    /// Opens the process if it still exists, also as a zombie. `None` when it is gone or its pid is another's.
    pub(super) fn open(id: ProcessId) -> io::Result<Option<Self>> {
        let fd = match pidfd_open(id.pid) {
            Ok(fd) => fd,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
            Err(error) => return Err(error),
        };
        // Only now: the pid is pinned by the descriptor, so what /proc says is about the same process.
        match ProcessId::of(id.pid) {
            Ok(now) if now == id => Ok(Some(Self { id, fd })),
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// A descriptor that polls readable once the process has ended.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn try_clone_fd(&self) -> io::Result<OwnedFd> {
        self.fd.try_clone()
    }

    /// Whether it has not ended. A zombie has.
    pub(super) fn is_alive(&self) -> bool {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        !matches!(poll(&mut fds, PollTimeout::ZERO), Ok(n) if n > 0)
    }

    #[expect(unsafe_code, reason = "pidfd_send_signal(2) has no safe wrapper")]
    pub(super) fn signal(&self, signal: i32) -> io::Result<()> {
        // SAFETY: the descriptor is ours and open; a null siginfo is allowed.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.fd.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Takes the zombie away if the process has ended and is a child of the caller. Does nothing otherwise.
    pub(super) fn reap(&self) {
        use nix::sys::wait::{Id, WaitPidFlag, waitid};
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        // ECHILD says that it is somebody else's child, who reaps it.
        let _ = waitid(Id::PIDFd(self.fd.as_fd()), flags);
    }

    /// How it ended, for one who is not its parent: read from the zombie, or asked from the kernel after the
    /// parent took that away (`PIDFD_GET_INFO`, Linux 6.15). `None` when neither knows.
    pub(super) fn ending(&self) -> Option<Ending> {
        let zombie = stat_fields(self.id.pid).ok().filter(|fields| {
            fields.first().is_some_and(|state| state == "Z" || state == "X")
                && fields.get(19).and_then(|f| f.parse().ok()) == Some(self.id.start_time)
        });
        let status = zombie
            .and_then(|fields| fields.get(49).and_then(|field| field.parse().ok()))
            .or_else(|| exit_status(self.fd.as_fd()))?;
        Some(Ending::from_wait_status(status))
    }
}

#[expect(unsafe_code, reason = "pidfd_open(2) has no safe wrapper")]
fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers and returns a descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made it for us; it is close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `struct pidfd_info` up to `exit_code` (linux/pidfd.h).
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroupid: u64,
    ids: [u32; 11],
    exit_code: i32,
}

#[expect(unsafe_code, reason = "PIDFD_GET_INFO is an ioctl")]
fn exit_status(fd: BorrowedFd<'_>) -> Option<i32> {
    const EXIT: u64 = 1 << 3;
    // _IOWR(0xFF, 11, struct pidfd_info) with the size of our prefix of it.
    let request = 0xC000_FF0B_u64 | ((size_of::<PidfdInfo>() as u64) << 16);
    let mut info = PidfdInfo { mask: EXIT, ..PidfdInfo::default() };
    // SAFETY: the kernel copies at most the size that is encoded in the request.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut info) };
    (result == 0 && info.mask & EXIT != 0).then_some(info.exit_code)
}

/// Makes the calling process the new parent of orphans below it, so that a task whose shim was killed can
/// still be reaped by it. The agent calls this once, before it starts tasks.
pub fn become_subreaper() -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true).map_err(Errno::into)
}

/// Identifies this boot of the machine: a task of another boot is gone whatever its pid says.
pub(super) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(script: &str) -> std::process::Child {
        crate::sys::command::command("sh").arg("-c").arg(script).spawn().unwrap()
    }

    fn ended(process: &Process) {
        let mut fds = [PollFd::new(process.fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::from(5000_u16)).unwrap(), 1);
    }

    #[test]
    fn a_pid_with_another_start_time_is_another_process() {
        let me = ProcessId::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(Process::open(me).unwrap().is_some());
        assert!(
            Process::open(ProcessId { start_time: me.start_time + 1, ..me }).unwrap().is_none()
        );
    }

    #[test]
    fn the_ending_is_read_from_the_zombie() {
        for (script, ending) in
            [("exit 42", Ending::Exited(42)), ("kill -9 $$", Ending::Signaled(9))]
        {
            let mut child = child(script);
            let id = ProcessId::of(i32::try_from(child.id()).unwrap()).unwrap();
            let process = Process::open(id).unwrap().unwrap();
            ended(&process);
            assert!(!process.is_alive());
            assert_eq!(process.ending(), Some(ending));
            child.wait().unwrap();
            // After the reap only a new kernel knows; it must not be wrong.
            assert!(process.ending().is_none_or(|known| known == ending));
        }
    }

    #[test]
    fn a_signal_reaches_the_process() {
        let mut child = child("exec sleep 60");
        let id = ProcessId::of(i32::try_from(child.id()).unwrap()).unwrap();
        let process = Process::open(id).unwrap().unwrap();
        assert!(process.is_alive());
        process.signal(libc::SIGKILL).unwrap();
        child.wait().unwrap();
        assert!(process.signal(libc::SIGTERM).is_err());
    }
}
