//! ◇ Removes trees that somebody hostile has built: of any depth, with a fixed number of descriptors and no recursion.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Empties the directory `top`, which nobody else writes to. Nested directories are moved up into it and emptied
/// there in turn, so a tree deeper than any path is long is removed like any other.
pub(super) fn empty(top: impl AsFd) -> io::Result<()> {
    let top = top.as_fd();
    let mut moved = 0_u64;
    loop {
        let entries = list(openat(top, ".", directory_flags(), Mode::empty())?)?;
        if entries.is_empty() {
            return Ok(());
        }
        for (name, is_directory) in entries {
            if is_directory || !unlinked(top, &name)? {
                empty_one(top, &name, &mut moved)?;
                unlinkat(top, name.as_c_str(), UnlinkatFlags::RemoveDir)?;
            }
        }
    }
}

fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

/// Unlinks what is in the directory `name` and moves its directories up into `top`.
fn empty_one(top: impl AsFd, name: &CString, moved: &mut u64) -> io::Result<()> {
    let top = top.as_fd();
    let inside = openat(top, name.as_c_str(), directory_flags(), Mode::empty())?;
    for (child, is_directory) in list(inside.try_clone()?)? {
        if is_directory || !unlinked(&inside, &child)? {
            move_up(&inside, &child, top, moved)?;
        }
    }
    Ok(())
}

fn move_up(from: impl AsFd, name: &CString, top: impl AsFd, moved: &mut u64) -> io::Result<()> {
    loop {
        *moved += 1;
        match renameat(
            from.as_fd(),
            name.as_c_str(),
            top.as_fd(),
            format!(".moved-{moved}").as_str(),
        ) {
            Ok(()) => return Ok(()),
            // The name is taken, by the tree's own doing: the next number is as good.
            Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR | Errno::EISDIR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Whether `name` is gone; false when it is a directory.
fn unlinked(parent: impl AsFd, name: &CString) -> io::Result<bool> {
    match unlinkat(parent, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(Errno::EISDIR | Errno::EPERM) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// The names in a directory and whether each is known to be a directory.
fn list(directory: OwnedFd) -> io::Result<Vec<(CString, bool)>> {
    let mut names = Vec::new();
    for entry in Dir::from_fd(directory)?.iter() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push((entry.file_name().to_owned(), entry.file_type() == Some(Type::Directory)));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn a_tree_deeper_than_a_path_is_long_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let top = File::open(dir.path()).unwrap();
        let mut here = top.as_fd().try_clone_to_owned().unwrap();
        for depth in 0..3000 {
            let name = if depth % 2 == 0 { "d" } else { ".moved-1" };
            nix::sys::stat::mkdirat(&here, name, Mode::from_bits_truncate(0o700)).unwrap();
            drop(
                openat(
                    &here,
                    "file",
                    OFlag::O_CREAT | OFlag::O_WRONLY,
                    Mode::from_bits_truncate(0),
                )
                .unwrap(),
            );
            here = openat(&here, name, directory_flags(), Mode::empty()).unwrap();
        }
        drop(here);
        fs::write(dir.path().join(".moved-2"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        empty(&top).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
