//! ◇ Layers as one file system: plain functions on paths, for whoever runs the container.
//!
//! mount(2) takes one page of options, which forty layers of long paths fill. Every directory is therefore opened and
//! named `/proc/self/fd/N`: short, free of characters that would need escaping, and without changing the directory
//! of the process. The kernel resolves the names while mounting, so the descriptors may be closed after.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::Mode;

/// What overlayfs makes of a page, less the ending zero.
const MAX_OPTIONS: usize = 4095;

/// Why layers could not be mounted.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    #[error("overlay of no layers")]
    NoLayers,
    #[error("overlay directory `{path}`")]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("overlay of {layers} layers at `{target}`: more than the kernel takes")]
    TooMany { target: PathBuf, layers: usize },
    #[error("overlay of {layers} layers at `{target}`: mount")]
    Mount {
        target: PathBuf,
        layers: usize,
        #[source]
        source: io::Error,
    },
    #[error("overlay at `{target}`: unmount")]
    Unmount {
        target: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Mounts `layers` (lowest first) at `target` with changes going to `upper`, which then has the owner and mode of the
/// image's root. `work` is an empty directory on the file system of `upper`. All directories must exist.
pub fn mount(
    layers: &[PathBuf],
    upper: &Path,
    work: &Path,
    target: &Path,
) -> Result<(), OverlayError> {
    let top = layers.last().ok_or(OverlayError::NoLayers)?;
    let failed = |path: &Path, source| OverlayError::Directory { path: path.to_owned(), source };
    let metadata = std::fs::metadata(top).map_err(|error| failed(top, error))?;
    chown(upper, Some(metadata.uid()), Some(metadata.gid()))
        .and_then(|()| {
            std::fs::set_permissions(
                upper,
                std::fs::Permissions::from_mode(metadata.mode() & 0o7777),
            )
        })
        .map_err(|error| failed(upper, error))?;
    let (upper, work) = (directory(upper)?, directory(work)?);
    let tail = format!(",upperdir={},workdir={}", name(&upper), name(&work));
    mount_options(layers, &tail, target, MsFlags::empty())
}

/// Mounts `layers` (lowest first) at `target`, read-only.
pub fn mount_read_only(layers: &[PathBuf], target: &Path) -> Result<(), OverlayError> {
    match layers {
        [] => Err(OverlayError::NoLayers),
        // overlayfs wants two layers where there is no upper one: the same one twice is refused, a bind is not.
        [only] => {
            let failed = |source: Errno| OverlayError::Mount {
                target: target.to_owned(),
                layers: 1,
                source: source.into(),
            };
            let none = None::<&str>;
            nix::mount::mount(Some(only), target, none, MsFlags::MS_BIND, none).map_err(failed)?;
            let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            nix::mount::mount(none, target, none, read_only, none).map_err(|source| {
                // Half a mount is worse than none; the first error is the one to tell.
                drop(unmount(target));
                failed(source)
            })
        }
        layers => mount_options(layers, "", target, MsFlags::MS_RDONLY),
    }
}

/// Takes the mount away at once; what still uses it goes on with it. Not being mounted is no error.
pub fn unmount(target: &Path) -> Result<(), OverlayError> {
    match umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(errno) => {
            Err(OverlayError::Unmount { target: target.to_owned(), source: errno.into() })
        }
    }
}

fn mount_options(
    layers: &[PathBuf],
    tail: &str,
    target: &Path,
    flags: MsFlags,
) -> Result<(), OverlayError> {
    let opened =
        layers.iter().map(|layer| directory(layer)).collect::<Result<Vec<OwnedFd>, _>>()?;
    let mut options = String::from("lowerdir=");
    // The kernel wants the topmost first.
    for (index, layer) in opened.iter().rev().enumerate() {
        let colon = if index == 0 { "" } else { ":" };
        // Writing to a String cannot fail.
        write!(options, "{colon}{}", name(layer)).unwrap_or_default();
    }
    options.push_str(tail);
    if options.len() > MAX_OPTIONS {
        return Err(OverlayError::TooMany { target: target.to_owned(), layers: layers.len() });
    }
    nix::mount::mount(Some("overlay"), target, Some("overlay"), flags, Some(options.as_str()))
        .map_err(|errno| OverlayError::Mount {
            target: target.to_owned(),
            layers: layers.len(),
            source: errno.into(),
        })
}

fn directory(path: &Path) -> Result<OwnedFd, OverlayError> {
    open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|errno| OverlayError::Directory { path: path.to_owned(), source: errno.into() })
}

fn name(directory: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", directory.as_raw_fd())
}

/// Whether the kernel has overlayfs at all, for the fingerprint of a node.
pub fn is_supported() -> bool {
    let listed = |path: &str| {
        File::open(path)
            .and_then(io::read_to_string)
            .is_ok_and(|text| text.lines().any(|line| line.ends_with("\toverlay")))
    };
    listed("/proc/filesystems")
}
