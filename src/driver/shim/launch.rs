//! ◇ The agent's side of a shim's birth: running this binary again and hearing what became of it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use super::records::Report;
use crate::driver::process::{Process, ProcessId};

/// The binary that is run as shim.
///
/// It is run from a read-only mount of its own that nobody else can see: a container that gets hold of
/// `/proc/<shim>/exe` while the shim is still in it (CVE-2019-5736) cannot open that file for writing, and an
/// upgrade on disk does not change the version under a running agent.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    sealed: Option<Arc<OwnedFd>>,
}

impl Program {
    /// Seals the binary at `path`, or takes it as it is where the kernel or the lack of root forbids.
    pub fn open(path: &Path) -> Self {
        match seal(path) {
            Ok(fd) => Self { path: path.to_path_buf(), sealed: Some(Arc::new(fd)) },
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "shim binary runs unsealed");
                Self { path: path.to_path_buf(), sealed: None }
            }
        }
    }

    fn executable(&self) -> PathBuf {
        match &self.sealed {
            Some(fd) => PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd())),
            None => self.path.clone(),
        }
    }

    /// `stead __shim <verb> <dir>` with these descriptors, ready to be run.
    pub(in crate::driver) fn command(
        &self,
        verb: &str,
        dir: &Path,
        stdin: Stdio,
        stdout: Stdio,
    ) -> io::Result<Command> {
        // What a shim has to say when nobody hears it: panics, and libc's last words.
        let mut options = File::options();
        let last_words =
            options.create(true).append(true).mode(0o600).open(dir.join("shim.log"))?;
        let mut command = crate::sys::command::command(self.executable());
        command.arg0("stead-shim").args(["__shim", verb]).arg(dir).current_dir("/");
        command.stdin(stdin).stdout(stdout).stderr(last_words);
        Ok(command)
    }

    /// Runs a shim, a child of ours. Blocks for a millisecond or two.
    fn run(&self, verb: &str, dir: &Path, stdout: Stdio) -> io::Result<Process> {
        let child = self.command(verb, dir, Stdio::null(), stdout)?.spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        // Not reaped by anybody but us, so the pid is still its own.
        Process::open(ProcessId::of(pid)?)?
            .ok_or_else(|| io::Error::other("the shim's process vanished"))
    }

    /// Runs a shim and waits for its one line.
    pub(in crate::driver) async fn report(
        &self,
        verb: &'static str,
        dir: &Path,
    ) -> io::Result<(Process, Report)> {
        let (sender, mut receiver) = pipe::pipe()?;
        let stdout = Stdio::from(sender.into_blocking_fd()?);
        let (program, dir) = (self.clone(), dir.to_path_buf());
        let run = move || program.run(verb, &dir, stdout);
        let process = tokio::task::spawn_blocking(run).await.map_err(io::Error::other)??;
        let mut line = Vec::new();
        receiver.read_to_end(&mut line).await?;
        if line.is_empty() {
            process.reap();
            return Err(io::Error::other(
                "the shim ended without a word; see shim.log in the task's state",
            ));
        }
        let report = serde_json::from_slice(&line).map_err(io::Error::other)?;
        Ok((process, report))
    }
}

/// A read-only clone of the mount that `path` is on, showing this one file, attached nowhere.
#[expect(unsafe_code, reason = "open_tree(2) and mount_setattr(2) have no safe wrappers")]
fn seal(path: &Path) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd as _;
    use std::os::unix::ffi::OsStrExt as _;
    // A symbolic link like /proc/self/exe is followed.
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: reads a C string, returns a descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made it for us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: reads a C string and a struct of the given size.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(fd) } else { Err(io::Error::last_os_error()) }
}
