//! ◇ An allocation's directories: what is where, with which mode, and how nothing of it stays.
//!
//! ```text
//!  <alloc_dir>/                 0711
//!  └─ <alloc id>/               0755   root's alone: nothing in it can be replaced by a task
//!     ├─ alloc/                 0777   shared: data, logs, tmp, each 0777
//!     └─ <task>/                0777   local 0777, tmp 1777,
//!                                      secrets and private 0777, each a small tmpfs when the agent is root
//! ```
//!
//! Tasks can write into these directories, and they are made again after a restart of the machine: nothing here
//! follows a link.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, fchmod, mkdirat};

use crate::model::{AllocId, Task, TaskGroup};

/// The directories of one allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocDir {
    root: PathBuf,
}

/// Why directories could not be made or removed.
#[derive(Debug, thiserror::Error)]
#[error("alloc dir `{}`: {doing}", path.display())]
pub struct DirError {
    /// Where.
    pub path: PathBuf,
    /// Which step.
    pub doing: &'static str,
    /// Why.
    #[source]
    pub source: io::Error,
}

const SHARED: &[(&str, u32)] = &[("data", 0o777), ("logs", 0o777), ("tmp", 0o777)];
const OWN: &[(&str, u32)] = &[("local", 0o777), ("tmp", 0o1777)];
/// Directories that hold what must never reach a disk.
const SECRET: &[&str] = &["secrets", "private"];

impl AllocDir {
    /// The directory of `alloc` below the node's `alloc_dir`. Touches nothing.
    pub fn new(alloc_dir: &Path, alloc: &AllocId) -> Self {
        Self { root: alloc_dir.join(alloc.as_str()) }
    }

    /// The whole.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the tasks share.
    pub fn shared(&self) -> PathBuf {
        self.root.join("alloc")
    }

    /// Where output is kept.
    pub fn logs(&self) -> PathBuf {
        self.root.join("alloc/logs")
    }

    /// A task's own.
    pub fn task(&self, task: &str) -> PathBuf {
        self.root.join(task)
    }

    /// Makes everything for `group`. What is there already stays, with its mode set right.
    pub fn build(&self, group: &TaskGroup) -> Result<(), DirError> {
        let parent = self.root.parent().unwrap_or_else(|| Path::new("/"));
        let failed = |doing| {
            let path = self.root.clone();
            move |source| DirError { path, doing, source }
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(parent)
            .map_err(failed("make its parent"))?;
        let parent: OwnedFd = File::open(parent).map_err(failed("open its parent"))?.into();
        let name = self.root.file_name().unwrap_or_default();
        let root = ensure(&parent, Path::new(name), 0o755).map_err(failed("make"))?;
        let shared = ensure(&root, Path::new("alloc"), 0o777).map_err(failed("make alloc"))?;
        for (name, mode) in SHARED {
            ensure(&shared, Path::new(name), *mode).map_err(failed("make alloc/*"))?;
        }
        for task in &group.tasks {
            build_task(&root, task).map_err(failed("make a task's directory"))?;
        }
        Ok(())
    }

    /// Takes the secrets of these tasks away: they are of no use to anybody once the tasks are over. May be repeated.
    pub fn take_secrets(&self, group: &TaskGroup) -> Result<(), DirError> {
        for task in &group.tasks {
            for name in SECRET {
                unmount(&self.task(&task.name).join(name))?;
            }
        }
        Ok(())
    }

    /// Removes everything. Refuses while something is still mounted in it. May be repeated.
    pub fn remove(&self) -> Result<(), DirError> {
        let failed = |source| DirError { path: self.root.clone(), doing: "list mounts of", source };
        for point in mounts_below(&self.root).map_err(failed)? {
            unmount(&point)?;
        }
        match std::fs::remove_dir_all(&self.root) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(DirError { path: self.root.clone(), doing: "remove", source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whether it is there.
    pub fn exists(&self) -> bool {
        std::fs::symlink_metadata(&self.root).is_ok()
    }
}

/// The directory `name` in `parent`, made if it is missing. A link in its place is refused.
fn ensure(parent: impl AsFd, name: &Path, mode: u32) -> io::Result<OwnedFd> {
    let mode = Mode::from_bits_truncate(mode);
    match mkdirat(&parent, name, mode) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = openat(&parent, name, flags, Mode::empty())?;
    // The umask took bits from the mode above.
    fchmod(&fd, mode)?;
    Ok(fd)
}

fn is_tmpfs(dir: &OwnedFd) -> io::Result<bool> {
    Ok(nix::sys::statfs::fstatfs(dir)?.filesystem_type() == nix::sys::statfs::TMPFS_MAGIC)
}

/// Mount points below `root`, the innermost first.
fn mounts_below(root: &Path) -> io::Result<Vec<PathBuf>> {
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    let mut found: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(unescaped(point)))
        .filter(|point| point.starts_with(root) && point != root)
        .collect();
    found.sort();
    found.reverse();
    Ok(found)
}

/// `\040` and its like, as proc(5) writes blanks in mount points.
fn unescaped(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((first, rest)) = bytes.split_first() {
        let octal = rest
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = octal {
            plain.push(byte);
            bytes = rest.get(3..).unwrap_or_default();
        } else {
            plain.push(*first);
            bytes = rest;
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn build_task(root: &OwnedFd, task: &Task) -> io::Result<()> {
    let own = ensure(root, Path::new(&task.name), 0o777)?;
    for (name, mode) in OWN {
        ensure(&own, Path::new(name), *mode)?;
    }
    for name in SECRET {
        let dir = ensure(&own, Path::new(name), 0o777)?;
        let mib = if *name == "secrets" { task.resources.secrets_mb.max(1) } else { 1 };
        if nix::unistd::geteuid().is_root() && !is_tmpfs(&dir)? {
            // Through /proc: the directory that was opened, whatever its name means by now.
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dir));
            let options = format!("size={mib}m,mode=0777");
            let flags = MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            mount(Some("tmpfs"), path.as_str(), Some("tmpfs"), flags, Some(options.as_str()))?;
        }
    }
    Ok(())
}

fn unmount(point: &Path) -> Result<(), DirError> {
    match umount2(point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        // Not mounted, not there, or not ours to unmount because we never could mount.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT | Errno::EPERM) => Ok(()),
        Err(errno) => {
            let source = errno.into();
            Err(DirError { path: point.to_owned(), doing: "unmount", source })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    fn group() -> TaskGroup {
        let task = Task { name: "main".to_owned(), ..Task::default() };
        TaskGroup { tasks: vec![task], ..TaskGroup::default() }
    }

    #[test]
    fn directories_have_nomads_modes_and_all_go_away() {
        let base = tempfile::tempdir().unwrap();
        let dir = AllocDir::new(&base.path().join("alloc"), &"a1".into());
        dir.build(&group()).unwrap();
        dir.build(&group()).unwrap();
        let modes = [
            ("", 0o755),
            ("alloc", 0o777),
            ("alloc/logs", 0o777),
            ("main", 0o777),
            ("main/local", 0o777),
            ("main/tmp", 0o1777),
            ("main/secrets", 0o777),
        ];
        for (path, mode) in modes {
            let found = std::fs::metadata(dir.root().join(path)).unwrap().mode() & 0o7777;
            assert_eq!(found, mode, "{path}");
        }
        let mounts = mounts_below(dir.root()).unwrap().len();
        assert_eq!(mounts, if nix::unistd::geteuid().is_root() { 2 } else { 0 });
        dir.remove().unwrap();
        dir.remove().unwrap();
        assert!(!dir.exists() && mounts_below(dir.root()).unwrap().is_empty());
    }

    #[test]
    fn a_link_in_place_of_a_directory_is_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let dir = AllocDir::new(base.path(), &"a1".into());
        std::fs::create_dir_all(dir.root().join("main")).unwrap();
        symlink(outside.path(), dir.root().join("main/secrets")).unwrap();
        assert!(dir.build(&group()).is_err());
        dir.remove().unwrap();
        assert!(outside.path().exists());
    }

    #[test]
    fn mount_points_with_blanks_are_read() {
        assert_eq!(unescaped(r"/a\040b\134"), r"/a b\");
    }
}
