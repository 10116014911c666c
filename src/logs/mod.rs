//! ◇ A task's output on disk: written with rotation, read as one stream.
//!
//! Nomad: the output of a task is `<task>.stdout.<n>` and `<task>.stderr.<n>` in the allocation's log
//! directory; `n` only rises, the oldest files go, and a reader sees one stream over all of them.
//!
//! - [`rotate`]: where a chunk goes, and the writer that a task's shim uses. No thread, no runtime.
//! - [`follow`]: reading across files, from the start or back from the end, waiting on inotify.
//!
//! The log directory lies where tasks can write, so every open refuses links and anything but a regular file.
//! This room does not know where the directory is, who may read it, or when a task ends: the client says so.

pub mod follow;
pub mod rotate;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

/// Which of a task's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// As in file names and in the API's `type` parameter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// What the files of a task's stream begin with.
    pub fn prefix(self, task: &str) -> String {
        format!("{task}.{}", self.name())
    }
}

/// Opens the log directory itself, which must not be a link.
pub(crate) fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(nix::fcntl::open(path, flags, Mode::empty())?)
}

/// Opens a regular file in the log directory. A link, a pipe or a device in its place is refused.
fn open_file(dir: impl AsFd, name: &str, flags: OFlag) -> io::Result<(OwnedFd, FileStat)> {
    // O_NONBLOCK: opening a pipe that somebody put there must not wait for its other end.
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let fd = openat(dir, name, flags, Mode::from_bits_truncate(0o644))?;
    let stat = fstat(&fd)?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG
        || stat.st_nlink > 1
    {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file of its own"));
    }
    Ok((fd, stat))
}

/// The numbers of the files of one stream, rising.
pub(crate) fn indexes(dir: impl AsFd, prefix: &str) -> io::Result<Vec<u64>> {
    let fd = dir.as_fd().try_clone_to_owned()?;
    let mut listing = nix::dir::Dir::from_fd(openat(
        fd,
        ".",
        OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?)?;
    let mut found: Vec<u64> = listing
        .iter()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_str().ok()?;
            let digits = name.strip_prefix(prefix)?.strip_prefix('.')?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        })
        .collect();
    found.sort_unstable();
    Ok(found)
}
