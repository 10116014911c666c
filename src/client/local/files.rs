//! ◇ Files of an allocation, for people: listed and read, never outside of its directory, never its secrets.
//!
//! Tasks write here, so a path is resolved by the kernel below the allocation's directory (openat2(2)), and whether
//! what was opened is a secret is asked of the descriptor, not of the path.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

use super::mode::{content_type, go_mode};
use crate::client::alloc::dir::AllocDir;
use crate::client::error::ClientError;
use crate::model::Timestamp;
use crate::sys::fs::open_beneath;

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name without a path.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Bytes.
    pub size: i64,
    /// Its mode as Go prints it.
    pub mode: String,
    /// When it was last written.
    pub mod_time: Timestamp,
    /// What it holds; asked for single files only.
    pub content_type: Option<String>,
}

/// A file of an allocation, opened for reading.
#[derive(Debug)]
pub struct OpenedFile {
    /// The file.
    pub file: File,
    /// What it is.
    pub info: FileInfo,
}

/// What is in the directory `path` of the allocation, by name.
pub(super) fn list(dir: &AllocDir, path: &str) -> Result<Vec<FileInfo>, ClientError> {
    let opened = open(dir, path, "open", OFlag::O_DIRECTORY)?;
    let failed = |source: io::Error| file_error(dir, path, "open", &source);
    let mut listing = nix::dir::Dir::from_fd(opened.into()).map_err(|e| failed(e.into()))?;
    let mut found = Vec::new();
    let names: Vec<_> =
        listing.iter().flatten().map(|entry| entry.file_name().to_owned()).collect();
    for name in names {
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let flag = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
        // What was removed since the listing is not listed.
        if let Ok(stat) = nix::sys::stat::fstatat(&listing, name.as_c_str(), flag) {
            found.push(info(&name.to_string_lossy(), &stat));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// What `path` is.
pub(super) fn stat(dir: &AllocDir, path: &str) -> Result<FileInfo, ClientError> {
    let handle = open(dir, path, "stat", OFlag::O_PATH)?;
    let failed = |source: io::Error| file_error(dir, path, "stat", &source);
    let stat = fstat(&handle).map_err(|errno| failed(errno.into()))?;
    let name = Path::new(path).file_name().map(|n| n.to_string_lossy().into_owned());
    let mut info = info(&name.unwrap_or_else(|| "/".to_owned()), &stat);
    let start = if is_regular(&stat) && !is_secret(dir, &handle).unwrap_or(true) {
        let mut start = [0; 512];
        let read = open(dir, path, "stat", OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
            .and_then(|file| file.read_at(&mut start, 0).map_err(failed))?;
        start.get(..read).unwrap_or_default().to_vec()
    } else {
        Vec::new()
    };
    info.content_type = Some(content_type(&info, &start));
    Ok(info)
}

/// Opens a regular file.
pub(super) fn open_file(dir: &AllocDir, path: &str) -> Result<OpenedFile, ClientError> {
    let file = open(dir, path, "stat", OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?;
    let failed = |source: io::Error| file_error(dir, path, "stat", &source);
    let stat = fstat(&file).map_err(|errno| failed(errno.into()))?;
    let name = Path::new(path).file_name().map(|n| n.to_string_lossy().into_owned());
    let info = info(&name.unwrap_or_default(), &stat);
    if info.is_dir {
        return Err(ClientError::IsDirectory(path.to_owned()));
    }
    if !is_regular(&stat) {
        return Err(ClientError::NotAFile(path.to_owned()));
    }
    if is_secret(dir, &file).map_err(failed)? {
        return Err(ClientError::Secret(path.to_owned()));
    }
    Ok(OpenedFile { file, info })
}

fn open(dir: &AllocDir, path: &str, doing: &str, flags: OFlag) -> Result<File, ClientError> {
    let failed = |source: &io::Error| file_error(dir, path, doing, source);
    let root = File::open(dir.root()).map_err(|source| failed(&source))?;
    let below = relative(path).ok_or(ClientError::Escapes)?;
    let below = if below.as_os_str().is_empty() { PathBuf::from(".") } else { below };
    open_beneath(&root, &below, flags | OFlag::O_RDONLY, Mode::empty()).map(File::from).map_err(
        |source| match source.raw_os_error() {
            Some(libc::EXDEV) => ClientError::Escapes,
            Some(_) | None => failed(&source),
        },
    )
}

/// `path` as people write it, from the allocation's directory on. `None` when it leads out.
fn relative(path: &str) -> Option<PathBuf> {
    let mut depth = 0usize;
    let mut below = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => {
                depth += 1;
                below.push(name);
            }
            Component::ParentDir => {
                depth = depth.checked_sub(1)?;
                below.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Some(below)
}

/// Whether what was opened lies in a task's secrets, by whatever path.
fn is_secret(dir: &AllocDir, file: &File) -> io::Result<bool> {
    let real = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let root = std::fs::canonicalize(dir.root())?;
    let Ok(below) = real.strip_prefix(&root) else { return Ok(true) };
    let second = below.components().nth(1);
    Ok(matches!(second, Some(Component::Normal(name)) if name == "secrets" || name == "private"))
}

fn is_regular(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

fn info(name: &str, stat: &FileStat) -> FileInfo {
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    FileInfo {
        name: name.to_owned(),
        is_dir: kind == SFlag::S_IFDIR,
        size: stat.st_size,
        mode: go_mode(stat.st_mode),
        mod_time: Timestamp(
            stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec),
        ),
        content_type: None,
    }
}

/// As Go tells it: `open /the/path: no such file or directory`.
fn file_error(dir: &AllocDir, path: &str, doing: &str, source: &io::Error) -> ClientError {
    let full = dir.root().join(relative(path).unwrap_or_default());
    let reason = source.raw_os_error().map_or_else(
        || source.to_string(),
        |code| nix::errno::Errno::from_raw(code).desc().to_lowercase(),
    );
    ClientError::File {
        text: format!("{doing} {}: {reason}", full.display()),
        missing: source.kind() == io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::model::{Task, TaskGroup};

    struct Place {
        dir: AllocDir,
        _base: tempfile::TempDir,
    }

    impl Drop for Place {
        fn drop(&mut self) {
            self.dir.remove().unwrap();
        }
    }

    fn place() -> Place {
        let base = tempfile::tempdir().unwrap();
        let dir = AllocDir::new(base.path(), &"a1".into());
        let task = Task { name: "main".to_owned(), ..Task::default() };
        dir.build(&TaskGroup { tasks: vec![task], ..TaskGroup::default() }).unwrap();
        std::fs::write(dir.root().join("main/local/note.txt"), "hello file\n").unwrap();
        std::fs::write(dir.root().join("main/secrets/token"), "s3cret").unwrap();
        std::fs::write(base.path().join("outside"), "no").unwrap();
        Place { dir, _base: base }
    }

    #[test]
    fn files_are_listed_and_told_as_recorded() {
        let place = place();
        let names: Vec<_> =
            list(&place.dir, "/").unwrap().into_iter().map(|f| (f.name, f.mode)).collect();
        let modes = [("alloc", "drwxrwxrwx"), ("main", "drwxrwxrwx")];
        assert_eq!(names, modes.map(|(n, m)| (n.to_owned(), m.to_owned())));
        let note = stat(&place.dir, "main/local/note.txt").unwrap();
        assert_eq!((note.size, note.mode.as_str()), (11, "-rw-r--r--"));
        assert_eq!(note.content_type.as_deref(), Some("text/plain; charset=utf-8"));
        assert_eq!(stat(&place.dir, "main/tmp").unwrap().mode, "dtrwxrwxrwx");
        let missing = list(&place.dir, "nope").unwrap_err().to_string();
        let path = place.dir.root().join("nope");
        assert_eq!(missing, format!("open {}: no such file or directory", path.display()));
    }

    #[test]
    fn nothing_leads_out_of_the_allocation() {
        let place = place();
        for path in ["../outside", "../../..", "main/../../outside", "alloc/../../outside"] {
            assert!(matches!(open_file(&place.dir, path), Err(ClientError::Escapes)), "{path}");
        }
        symlink("/etc/hostname", place.dir.root().join("alloc/link")).unwrap();
        symlink("../../outside", place.dir.root().join("alloc/up")).unwrap();
        symlink("../..", place.dir.root().join("alloc/dir")).unwrap();
        for path in ["alloc/link", "alloc/up", "alloc/dir/outside"] {
            assert!(open_file(&place.dir, path).is_err(), "{path}");
        }
    }

    #[test]
    fn secrets_are_not_read_by_any_path() {
        let place = place();
        symlink("../secrets/token", place.dir.root().join("main/local/link")).unwrap();
        for path in ["main/secrets/token", "main/local/link", "main/local/../secrets/token"] {
            assert!(matches!(open_file(&place.dir, path), Err(ClientError::Secret(_))), "{path}");
        }
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let place = place();
        let pipe = place.dir.root().join("alloc/pipe");
        nix::unistd::mkfifo(&pipe, Mode::from_bits_truncate(0o666)).unwrap();
        assert!(matches!(open_file(&place.dir, "alloc/pipe"), Err(ClientError::NotAFile(_))));
        assert!(stat(&place.dir, "alloc/pipe").unwrap().mode.starts_with('p'));
    }
}
