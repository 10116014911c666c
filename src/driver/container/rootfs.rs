//! ◇ A container's root, in a mount namespace of the shim's own.
//!
//! Paths that a task can write are opened with openat2 below their directory and mounted from the descriptor, so
//! a link that a task puts there cannot make root mount something else.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, mkdirat};

use crate::sys::fs::{open_beneath, open_in_root};

/// Mounts made from here on are seen by nobody else and vanish with the last process that sees them.
/// The host's own changes still come in.
pub(super) fn leave_the_hosts_mounts() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)?;
    Ok(())
}

/// Lays the layers over each other at `root`, with what is written going to `upper`. The lowest layer first.
pub(super) fn overlay(
    layers: &[PathBuf],
    upper: &Path,
    work: &Path,
    root: &Path,
    flags: MsFlags,
) -> io::Result<()> {
    let opened = layers.iter().map(|layer| directory(layer)).collect::<io::Result<Vec<_>>>()?;
    if opened.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the image has no layers"));
    }
    // Options must fit one page: descriptors are shorter than paths, and need no quoting.
    let name = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let lower: Vec<String> = opened.iter().rev().map(name).collect();
    let (upper, work) = (directory(upper)?, directory(work)?);
    let options =
        format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), name(&upper), name(&work));
    // What a container writes into its root is not kept over a crash: no need to flush it (Linux 5.10).
    let volatile = format!("{options},volatile");
    let attempt =
        |options: &str| mount(Some("overlay"), root, Some("overlay"), flags, Some(options));
    match attempt(&volatile) {
        Err(Errno::EINVAL) => attempt(&options)?,
        result => result?,
    }
    Ok(())
}

/// Whether the kernel has overlayfs; loads its module if it is one.
#[expect(unsafe_code, reason = "fsopen(2) has no safe wrapper")]
pub(super) fn probe_overlay() -> io::Result<()> {
    // SAFETY: reads a C string, returns a descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_fsopen, c"overlay".as_ptr(), libc::FSOPEN_CLOEXEC) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made it for us; closing it is all that is done with it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

fn directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty()).map_err(|errno| {
        io::Error::new(io::Error::from(errno).kind(), format!("{}: {errno}", path.display()))
    })
}

/// An empty root with the host's system directories in it, read-only; links stay links.
pub(super) fn host_root(root: &Path, dirs: &[&str]) -> io::Result<()> {
    let options = "mode=755,size=4m";
    mount(
        Some("tmpfs"),
        root,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some(options),
    )?;
    for dir in dirs {
        let inside = root.join(dir.trim_start_matches('/'));
        let Ok(meta) = fs::symlink_metadata(dir) else { continue };
        if let Some(parent) = inside.parent() {
            fs::create_dir_all(parent)?;
        }
        if meta.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(dir)?, &inside)?;
        } else if meta.is_dir() {
            fs::create_dir(&inside)?;
            let tree = clone_tree(directory(Path::new(dir))?.as_fd())?;
            set_read_only(&tree)?;
            attach(&tree, &inside)?;
        }
    }
    fs::create_dir_all(root.join("tmp"))?;
    fs::set_permissions(root.join("tmp"), std::os::unix::fs::PermissionsExt::from_mode(0o1777))
}

/// Whether a bind may be written through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadWrite,
    ReadOnly,
}

/// A place in the state directory where the opened source is mounted, for libcontainer to bind from.
pub(super) fn stage(source: &OwnedFd, place: &Path, access: Access) -> io::Result<()> {
    let is_dir = nix::sys::stat::fstat(source).map(|stat| {
        nix::sys::stat::SFlag::from_bits_truncate(stat.st_mode) & nix::sys::stat::SFlag::S_IFMT
            == nix::sys::stat::SFlag::S_IFDIR
    })?;
    if is_dir {
        fs::create_dir_all(place)?;
    } else {
        File::create(place)?;
    }
    let tree = clone_tree(source.as_fd())?;
    if access == Access::ReadOnly {
        set_read_only(&tree)?;
    }
    attach(&tree, place)
}

/// Opens a source below `base`, which a task can write; makes missing directories if asked to.
pub(super) fn open_source(base: &Path, path: &Path, make: bool) -> io::Result<OwnedFd> {
    let base = directory(base)?;
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlag::O_PATH;
    match open_beneath(&base, path, flags, Mode::empty()) {
        Err(error) if make && error.kind() == io::ErrorKind::NotFound => {
            make_dirs(base.as_fd(), path, Resolve::Beneath)?;
            open_beneath(&base, path, flags, Mode::empty())
        }
        opened => opened,
    }
}

/// Opens a source that the node's owner allowed.
pub(super) fn open_host_source(path: &Path, make: bool) -> io::Result<OwnedFd> {
    if make && !path.exists() {
        fs::create_dir_all(path)?;
    }
    Ok(open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?)
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Resolve {
    Beneath,
    InRoot,
}

/// Makes a directory and its parents below `root`, without being led out of it.
pub(super) fn make_dirs(root: BorrowedFd<'_>, path: &Path, resolve: Resolve) -> io::Result<()> {
    let walk = |path: &Path| {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        match resolve {
            Resolve::Beneath => open_beneath(root, path, flags, Mode::empty()),
            Resolve::InRoot => open_in_root(root, path, flags, Mode::empty()),
        }
    };
    let mut parent = root.try_clone_to_owned()?;
    let mut so_far = PathBuf::new();
    for part in path.components() {
        let Component::Normal(name) = part else { continue };
        so_far.push(name);
        parent = match walk(&so_far) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                mkdirat(&parent, name, Mode::from_bits_truncate(0o755))?;
                walk(&so_far)?
            }
            opened => opened?,
        };
    }
    Ok(())
}

/// A small text file of the root, such as /etc/passwd; empty when there is none. The root may be hostile.
pub(super) fn read_in_root(root: &Path, path: &str) -> io::Result<String> {
    const LIMIT: u64 = 4 << 20;
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
    let fd = match open_in_root(directory(root)?, Path::new(path), flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let file = File::from(fd);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{path} is not a file")));
    }
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[expect(unsafe_code, reason = "open_tree(2) has no safe wrapper")]
fn clone_tree(source: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let at = libc::c_uint::try_from(libc::AT_EMPTY_PATH | libc::AT_RECURSIVE).unwrap_or(0);
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | at;
    // SAFETY: reads a C string, returns a descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, source.as_raw_fd(), c"".as_ptr(), flags) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The whole tree, with what is mounted in it.
#[expect(unsafe_code, reason = "mount_setattr(2) has no safe wrapper")]
fn set_read_only(tree: &OwnedFd) -> io::Result<()> {
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
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[expect(unsafe_code, reason = "move_mount(2) has no safe wrapper")]
fn attach(tree: &OwnedFd, place: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let place = std::ffi::CString::new(place.as_os_str().as_bytes())?;
    // SAFETY: reads two C strings.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            place.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
