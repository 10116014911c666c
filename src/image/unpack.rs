//! ◇ Writes the entries of one layer below one directory, as overlayfs wants to find them.
//!
//! Every name is resolved by openat2(2) as if the layer's root were `/`, and only directories are resolved; the
//! last part of a path is created in its parent's descriptor and never followed. So no `..`, absolute path, link
//! in the path or hard link target reaches anything outside, whatever the order of the entries.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{
    FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstatat, futimens, makedev, mkdirat, mknodat,
    utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat, linkat, symlinkat};
use xattr::FileExt as _;

use super::entries::{Entry, Extent, Kind};
use super::path::{PathFault, Place};
use crate::sys::fs::open_in_root;

/// What a layer may at most be. Beyond it lies an attack or a mistake; the numbers are far above real images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimit {
    /// Entries of one layer.
    pub entries: u64,
    /// Uncompressed bytes of one layer; a file's holes count.
    pub bytes: u64,
    /// How many times its compressed length a layer may have, once it is longer than a gibibyte.
    pub ratio: u64,
}

impl Default for UnpackLimit {
    fn default() -> Self {
        Self { entries: 4_000_000, bytes: 256 << 30, ratio: 300 }
    }
}

/// Why an entry could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    #[error("refused")]
    Path(#[source] PathFault),
    #[error("hard link to `{target}` refused")]
    LinkPath {
        target: String,
        #[source]
        source: PathFault,
    },
    #[error("hard link to `{target}`")]
    Link {
        target: String,
        #[source]
        source: io::Error,
    },
    #[error("directory it is in")]
    Parent(#[source] io::Error),
    #[error("cannot be created")]
    Create(#[source] io::Error),
    #[error("cannot be written")]
    Write(#[source] io::Error),
    #[error("data cannot be read")]
    Data(#[source] io::Error),
    #[error("owner, mode or time cannot be set")]
    Attributes(#[source] io::Error),
    #[error("attribute `{name}` cannot be set")]
    Xattr {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "overlay marker cannot be made: the store must be on a file system that can hold one, and be root's"
    )]
    Marker(#[source] io::Error),
}

impl EntryError {
    /// Whether this machine is at fault, not the image: no room, or a broken or read-only file system.
    pub(super) fn is_ours(&self) -> bool {
        let (Self::Create(source) | Self::Write(source) | Self::Attributes(source)) = self else {
            return matches!(self, Self::Marker(_));
        };
        matches!(
            source.kind(),
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::PermissionDenied
        ) || source.raw_os_error() == Some(Errno::EIO as i32)
    }
}

/// One layer being written.
#[derive(Debug)]
pub(super) struct Unpacker {
    root: File,
    /// Where replaced entries go: their tree is removed with the rest of the temporary directory.
    discard: File,
    discarded: u64,
    /// Directories get their times last, as every entry changes them.
    times: Vec<(PathBuf, (i64, u32))>,
    buffer: Vec<u8>,
}

type Result<T> = std::result::Result<T, EntryError>;

fn at(errno: Errno) -> io::Error {
    errno.into()
}

impl Unpacker {
    /// Writes below `root`. `discard` is an empty directory on the same file system.
    pub(super) fn new(root: File, discard: File) -> Self {
        Self { root, discard, discarded: 0, times: Vec::new(), buffer: vec![0; 128 << 10] }
    }

    /// Writes one entry; a file's stored bytes come from `data`.
    pub(super) fn entry(&mut self, entry: &Entry, data: &mut impl Read) -> Result<()> {
        match Place::of(&entry.path).map_err(EntryError::Path)? {
            Place::Ignored => Ok(()),
            Place::Root if entry.kind == Kind::Directory => {
                let root = self.root.try_clone().map_err(EntryError::Create)?;
                self.times.push((PathBuf::from("."), entry.mtime));
                attributes(&root, entry)
            }
            Place::Root => Err(EntryError::Path(PathFault::Empty)),
            Place::Opaque { parent } => mark_opaque(&self.directory(&parent)?),
            Place::Whiteout { parent, name } => {
                let parent = self.directory(&parent)?;
                whiteout(&parent, name)
            }
            Place::Entry { parent, name } => {
                let fd = self.directory(&parent)?;
                match entry.kind {
                    Kind::File => self.file(&fd, name, entry, data),
                    Kind::Directory => {
                        self.times.push((parent.join(name), entry.mtime));
                        self.make_directory(&fd, name, entry)
                    }
                    Kind::HardLink => self.hard_link(&fd, name, &entry.link),
                    Kind::Symlink | Kind::Char { .. } | Kind::Block { .. } | Kind::Fifo => {
                        self.node(&fd, name, entry)
                    }
                }
            }
        }
    }

    /// Gives the directories their times. Nothing is written after it.
    pub(super) fn finish(self) -> Result<()> {
        for (path, mtime) in self.times.iter().rev() {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
            // Something else may have taken the name since.
            if let Ok(fd) = open_in_root(&self.root, path, flags, Mode::empty()) {
                let time = TimeSpec::new(mtime.0, mtime.1.into());
                futimens(&fd, &time, &time).map_err(at).map_err(EntryError::Attributes)?;
            }
        }
        Ok(())
    }

    /// Opens the directory `path` below the root, making what is missing of it.
    fn directory(&self, path: &Path) -> Result<OwnedFd> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match open_in_root(&self.root, path, flags, Mode::empty()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.map_err(EntryError::Parent),
        }
        let mut there = PathBuf::new();
        let mut parent = self.root.as_fd().try_clone_to_owned().map_err(EntryError::Parent)?;
        for part in path.components() {
            there.push(part);
            parent = match open_in_root(&self.root, &there, flags, Mode::empty()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    make_parent(&parent, part.as_os_str()).map_err(at)
                }
                other => other,
            }
            .map_err(EntryError::Parent)?;
        }
        Ok(parent)
    }

    /// Moves what has the name out of the way.
    fn discard(&mut self, parent: &OwnedFd, name: &OsStr) -> Result<()> {
        self.discarded += 1;
        match renameat(parent, name, &self.discard, self.discarded.to_string().as_str()) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(EntryError::Create(errno.into())),
        }
    }

    /// Runs `make`, and once more without what has the name when there is something.
    fn replacing<T>(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
        make: impl Fn() -> nix::Result<T>,
    ) -> Result<T> {
        match make() {
            Err(Errno::EEXIST) => {
                self.discard(parent, name)?;
                make().map_err(at).map_err(EntryError::Create)
            }
            other => other.map_err(at).map_err(EntryError::Create),
        }
    }

    fn file(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
        entry: &Entry,
        data: &mut impl Read,
    ) -> Result<()> {
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = self.replacing(parent, name, || {
            openat(parent, name, flags, Mode::from_bits_truncate(0o600))
        })?;
        let mut file = File::from(fd);
        match &entry.map {
            None => copy(data, &mut self.buffer, |bytes| file.write_all(bytes))?,
            Some(map) => {
                for Extent { offset, length } in map {
                    let mut at = *offset;
                    let mut piece = data.by_ref().take(*length);
                    copy(&mut piece, &mut self.buffer, |bytes| {
                        let written = file.write_all_at(bytes, at);
                        at += bytes.len() as u64;
                        written
                    })?;
                }
                file.set_len(entry.size).map_err(EntryError::Write)?;
            }
        }
        attributes(&file, entry)?;
        let time = TimeSpec::new(entry.mtime.0, entry.mtime.1.into());
        futimens(&file, &time, &time).map_err(at).map_err(EntryError::Attributes)
    }

    fn make_directory(&mut self, parent: &OwnedFd, name: &OsStr, entry: &Entry) -> Result<()> {
        let make = || mkdirat(parent, name, Mode::from_bits_truncate(0o700));
        let mut replaces_whiteout = false;
        match make() {
            Err(Errno::EEXIST) => {
                let there = status(parent, name)?;
                if !is(&there, SFlag::S_IFDIR) {
                    replaces_whiteout = is_whiteout(&there);
                    self.discard(parent, name)?;
                    make().map_err(at).map_err(EntryError::Create)?;
                }
            }
            other => other.map_err(at).map_err(EntryError::Create)?,
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd =
            openat(parent, name, flags, Mode::empty()).map_err(at).map_err(EntryError::Create)?;
        if replaces_whiteout {
            // The lower directory stays gone; this one is new.
            mark_opaque(&fd)?;
        }
        attributes(&File::from(fd), entry)
    }

    fn hard_link(&mut self, parent: &OwnedFd, name: &OsStr, link: &[u8]) -> Result<()> {
        let target = || String::from_utf8_lossy(link).into_owned();
        let (directory, file) = Place::link_target(link)
            .map_err(|source| EntryError::LinkPath { target: target(), source })?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { &directory };
        let from = open_in_root(&self.root, directory, flags, Mode::empty())
            .map_err(|source| EntryError::Link { target: target(), source })?;
        let make = || linkat(&from, file, parent, name, AtFlags::empty());
        let made = match make() {
            Err(Errno::EEXIST) => {
                let (old, new) = (status(&from, file)?, status(parent, name)?);
                if (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino) {
                    // The link is there already; discarding it could discard its own target.
                    return Ok(());
                }
                self.discard(parent, name)?;
                make()
            }
            other => other,
        };
        made.map_err(|errno| EntryError::Link { target: target(), source: errno.into() })
    }

    fn node(&mut self, parent: &OwnedFd, name: &OsStr, entry: &Entry) -> Result<()> {
        let mode = Mode::from_bits_truncate(0o600);
        self.replacing(parent, name, || match entry.kind {
            Kind::Char { major, minor } => {
                mknodat(parent, name, SFlag::S_IFCHR, mode, makedev(major.into(), minor.into()))
            }
            Kind::Block { major, minor } => {
                mknodat(parent, name, SFlag::S_IFBLK, mode, makedev(major.into(), minor.into()))
            }
            Kind::Fifo => mknodat(parent, name, SFlag::S_IFIFO, mode, 0),
            Kind::Symlink => symlinkat(OsStr::from_bytes(&entry.link), parent, name),
            // Handled by their own functions.
            Kind::File | Kind::Directory | Kind::HardLink => Err(Errno::EINVAL),
        })?;
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        let time = TimeSpec::new(entry.mtime.0, entry.mtime.1.into());
        fchownat(parent, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
            .and_then(|()| {
                if entry.kind == Kind::Symlink {
                    return Ok(());
                }
                // Just made here and not a link, so following is harmless: fchmodat(2) cannot refuse to.
                let mode = Mode::from_bits_truncate(entry.mode);
                nix::sys::stat::fchmodat(
                    parent,
                    name,
                    mode,
                    nix::sys::stat::FchmodatFlags::FollowSymlink,
                )
            })
            .and_then(|()| utimensat(parent, name, &time, &time, UtimensatFlags::NoFollowSymlink))
            .map_err(at)
            .map_err(EntryError::Attributes)
    }
}

/// A directory that an archive has left out. Its mode is set again, as the agent's umask may be narrow.
fn make_parent(parent: &OwnedFd, name: &OsStr) -> nix::Result<OwnedFd> {
    let mode = Mode::from_bits_truncate(0o755);
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    mkdirat(parent, name, mode)?;
    let made = openat(parent, name, flags, Mode::empty())?;
    fchmod(&made, mode)?;
    Ok(made)
}

/// A whiteout is about lower layers only: what this layer has under the name stays, without what is below it.
fn whiteout(parent: &OwnedFd, name: &OsStr) -> Result<()> {
    match mknodat(parent, name, SFlag::S_IFCHR, Mode::empty(), 0) {
        Err(Errno::EEXIST) => {
            if is(&status(parent, name)?, SFlag::S_IFDIR) {
                let flags =
                    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let fd = openat(parent, name, flags, Mode::empty())
                    .map_err(at)
                    .map_err(EntryError::Create)?;
                mark_opaque(&fd)?;
            }
            Ok(())
        }
        other => other.map_err(at).map_err(EntryError::Marker),
    }
}

fn status(parent: &OwnedFd, name: &OsStr) -> Result<FileStat> {
    fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(at).map_err(EntryError::Create)
}

fn is(status: &FileStat, kind: SFlag) -> bool {
    SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()) == kind
}

fn is_whiteout(status: &FileStat) -> bool {
    is(status, SFlag::S_IFCHR) && status.st_rdev == 0
}

fn mark_opaque(directory: &impl AsFd) -> Result<()> {
    let file = File::from(directory.as_fd().try_clone_to_owned().map_err(EntryError::Marker)?);
    file.set_xattr("trusted.overlay.opaque", b"y").map_err(EntryError::Marker)
}

fn copy(
    data: &mut impl Read,
    buffer: &mut [u8],
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<()> {
    loop {
        match data.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => write(&buffer[..read]).map_err(EntryError::Write)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(EntryError::Data(error)),
        }
    }
}

/// Owner, then mode, then attributes: each step takes away what a later one sets (set-id bits, capabilities).
fn attributes(file: &File, entry: &Entry) -> Result<()> {
    fchown(file, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))
        .and_then(|()| fchmod(file, Mode::from_bits_truncate(entry.mode)))
        .map_err(at)
        .map_err(EntryError::Attributes)?;
    for (name, value) in entry.xattrs.iter().filter(|(name, value)| is_kept(name, value)) {
        match file.set_xattr(OsStr::from_bytes(name), value) {
            Ok(()) => {}
            // A file system without attributes can still run nearly every image.
            Err(error) if error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32) => {
                tracing::debug!(name = %String::from_utf8_lossy(name), "attribute not kept: the file system has none");
            }
            Err(source) => {
                return Err(EntryError::Xattr {
                    name: String::from_utf8_lossy(name).into_owned(),
                    source,
                });
            }
        }
    }
    Ok(())
}

/// File capabilities and users' attributes are the image's; what steers overlayfs and security modules is the host's.
fn is_kept(name: &[u8], value: &[u8]) -> bool {
    match name {
        b"security.capability" => !value.is_empty(),
        name => {
            name.starts_with(b"user.")
                && name.len() > 5
                && !name.contains(&0)
                && !name.starts_with(b"user.overlay.")
        }
    }
}
