//! ◇ Files: atomic replacement, and opening what somebody hostile may have prepared.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

/// Replaces `path` by `bytes` with the given mode: readers see the old or the new file, never a part, and
/// after a power cut one of the two is there. The directory must exist.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("path has no file name"))?;
    let mut temporary = name.to_os_string();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let written =
        write_synced(&temporary, bytes, mode).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // The name is ours alone; what is left of a failed attempt is of no use to anybody.
        std::fs::remove_file(&temporary).unwrap_or_default();
    }
    written?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}

/// Opens `path` below `root` as if `root` were `/`: symbolic links and `..` cannot lead out of it, and magic
/// links of /proc are refused (openat2(2), `RESOLVE_IN_ROOT`). For paths that a task can write.
pub fn open_in_root(root: impl AsFd, path: &Path, flags: OFlag, mode: Mode) -> io::Result<OwnedFd> {
    open_resolved(
        root,
        path,
        flags,
        mode,
        ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS,
    )
}

/// Opens `path` below `root` and fails when any part of it would lead out (openat2(2), `RESOLVE_BENEATH`).
pub fn open_beneath(root: impl AsFd, path: &Path, flags: OFlag, mode: Mode) -> io::Result<OwnedFd> {
    open_resolved(
        root,
        path,
        flags,
        mode,
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS,
    )
}

fn open_resolved(
    root: impl AsFd,
    path: &Path,
    flags: OFlag,
    mode: Mode,
    resolve: ResolveFlag,
) -> io::Result<OwnedFd> {
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).mode(mode).resolve(resolve);
    loop {
        match openat2(root.as_fd(), path, how) {
            // The kernel asks to try again when a rename raced with the walk.
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => {}
            Ok(fd) => return Ok(fd),
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_cannot_lead_out_of_the_root() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("link")).unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/hostname"), "inside").unwrap();
        let root = File::open(dir.path()).unwrap();
        let fd = open_in_root(&root, Path::new("link"), OFlag::O_RDONLY, Mode::empty()).unwrap();
        assert_eq!(io::read_to_string(File::from(fd)).unwrap(), "inside");
        assert!(open_beneath(&root, Path::new("link"), OFlag::O_RDONLY, Mode::empty()).is_err());
        assert!(open_beneath(&root, Path::new("../x"), OFlag::O_RDONLY, Mode::empty()).is_err());
    }

    #[test]
    fn an_atomic_write_replaces_the_file_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write_atomic(&path, b"one", 0o600).unwrap();
        write_atomic(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
