//! ◇ Named network namespaces: a file per namespace, on which the namespace is mounted so that it lives without a process.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{FsType, fstatfs};

use super::link::Links;

/// `NSFS_MAGIC` of linux/magic.h: what statfs says of a namespace.
const NSFS: FsType = FsType(0x6e73_6673);

/// What the kernel is told before any link exists in the namespace, so that it holds for those to come. A router
/// advertisement of a neighbour on the bridge must not change routes; addresses are ours alone, so nothing is
/// gained by asking whether they are taken; and, as with Docker, ports below 1024 need no privilege and `ping` no raw socket.
const SYSCTLS: [(&str, &str); 5] = [
    ("net/ipv6/conf/default/accept_ra", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/all/accept_dad", "0"),
    ("net/ipv4/ip_unprivileged_port_start", "0"),
    ("net/ipv4/ping_group_range", "0 2147483647"),
];

/// A namespace that was just made.
#[derive(Debug)]
pub(crate) struct Made {
    /// Keeps it, and names it when a link is born in it.
    pub(crate) namespace: File,
    /// Netlink inside it.
    pub(crate) links: Links,
}

/// Makes a namespace named `path` with its loopback up. On an error nothing is left.
pub(crate) fn create(path: &Path) -> io::Result<Made> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    File::create_new(path)?;
    let target = path.to_owned();
    let made = in_fresh_thread(move || {
        unshare(CloneFlags::CLONE_NEWNET)?;
        for (key, value) in SYSCTLS {
            // Missing without IPv6; none is needed for the rest to work.
            std::fs::write(Path::new("/proc/sys").join(key), value).unwrap_or_default();
        }
        let mut links = Links::open()?;
        links.up(super::link::LOOPBACK)?;
        let own = Path::new("/proc/thread-self/ns/net");
        mount(Some(own), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        Ok(Made { namespace: File::open(own)?, links })
    });
    if made.is_err() {
        delete(path).unwrap_or_default();
    }
    made
}

/// Opens a namespace by its name; an error when the file is not a namespace.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if fstatfs(&file)?.filesystem_type() != NSFS {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the file is not a namespace"));
    }
    Ok(file)
}

/// Lets the namespace go: it ends with its last process, and its links with it. Nothing happens when there is none.
pub(crate) fn delete(path: &Path) -> io::Result<()> {
    loop {
        match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            // Something may have been mounted twice.
            Ok(()) => {}
            Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// The names in the directory of namespaces; none when there is no directory.
pub(crate) fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Runs `work` in the namespace.
pub(crate) fn inside<T: Send + 'static>(
    namespace: File,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    in_fresh_thread(move || {
        setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)?;
        work()
    })
}

/// A thread that has entered a namespace is of no other use, so it is a fresh one and ends. Never one of the runtime's.
fn in_fresh_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let thread = std::thread::Builder::new().name("netns".to_owned()).spawn(work)?;
    thread.join().map_err(|_| io::Error::other("the thread in the namespace panicked"))?
}

/// Where a namespace of this name lies.
pub(crate) fn path(directory: &Path, name: &str) -> PathBuf {
    directory.join(name)
}
