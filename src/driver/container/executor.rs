//! ◇ The last steps of a process in the container before its program runs.
//!
//! libcontainer 0.7 gives a process that joins a container later no seccomp filter, whatever the container has;
//! here it gets the container's. And with `init`, the container's first process is this one, which runs the
//! program as its child, passes signals on and reaps.

use libcontainer::oci_spec::runtime::{LinuxSeccomp, Spec};
use libcontainer::workload::default::DefaultExecutor;
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

#[derive(Clone, Default)]
pub(super) struct Last {
    /// This process stays and the program is its child.
    pub init: bool,
    /// A filter that libcontainer has not set.
    pub filter: Option<Box<LinuxSeccomp>>,
    /// Of the terminal, known to the program from its first moment. Columns and rows.
    pub size: Option<(u16, u16)>,
}

impl Executor for Last {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        if let Some((columns, rows)) = self.size {
            set_size(columns, rows);
        }
        if let Some(filter) = &self.filter {
            libcontainer::seccomp::initialize_seccomp(filter).map_err(|error| {
                ExecutorError::Other(format!("set its seccomp filter: {error}"))
            })?;
        }
        if self.init { init(spec) } else { DefaultExecutor {}.exec(spec) }
    }

    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        DefaultExecutor {}.validate(spec)
    }
}

#[expect(unsafe_code, reason = "TIOCSWINSZ is an ioctl")]
fn set_size(columns: u16, rows: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads one struct; a standard input that is no terminal refuses it.
    unsafe { libc::ioctl(0, libc::TIOCSWINSZ, &raw const size) };
}

#[expect(unsafe_code, reason = "fork(2)")]
fn init(spec: &Spec) -> Result<(), ExecutorError> {
    let failed =
        |errno: Errno| ExecutorError::Other(format!("become the container's init: {errno}"));
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))
        .map_err(failed)?;
    // SAFETY: this process has one thread, so the child may do all its parent may.
    match unsafe { fork() }.map_err(failed)? {
        ForkResult::Child => {
            before.thread_set_mask().map_err(failed)?;
            DefaultExecutor {}.exec(spec)
        }
        ForkResult::Parent { child } => {
            // What the runtime still had open is not for a process that stays.
            // SAFETY: no object of this process uses a descriptor above 2 any more.
            unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
            let code = serve(child);
            // SAFETY: ends the process without running destructors of a runtime that is not in use.
            unsafe { libc::_exit(code) }
        }
    }
}

/// Passes signals on to the program and reaps orphans until the program ends.
fn serve(program: Pid) -> i32 {
    loop {
        match SigSet::all().wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(code) = reap(program) {
                    return code;
                }
            }
            Ok(signal) => drop(kill(program, signal).is_ok()),
            Err(_) => {}
        }
    }
}

fn reap(program: Pid) -> Option<i32> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == program => return Some(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => {
                return Some(128 + signal as i32);
            }
            Ok(WaitStatus::StillAlive) => return None,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}
