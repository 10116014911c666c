//! ◇ Reading a task's log across its rotated files, and going on as more is written.
//!
//! The files `<task>.<stdout|stderr>.<n>` are one text; an offset counts over all of them that are still there.
//! Waiting is inotify(7), never polling. The directory can be written by the task, so files are opened below
//! it without following links.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

use super::{Stream, open_dir, open_file};

/// So much is read at once.
const PIECE: usize = 64 * 1024;

/// From where a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// So many bytes after the beginning.
    Start(u64),
    /// So many bytes before the end.
    End(u64),
}

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The file's name.
    pub file: String,
    /// Where in the file the piece ends.
    pub offset: u64,
    /// The bytes; never empty.
    pub data: Vec<u8>,
}

/// A log that is read.
#[derive(Debug)]
pub struct Follow {
    path: PathBuf,
    dir: OwnedFd,
    prefix: String,
    current: Option<Current>,
    watch: Option<AsyncFd<Watch>>,
}

#[derive(Debug)]
struct Current {
    number: u64,
    file: File,
    at: u64,
}

impl Current {
    fn read(&mut self, prefix: &str) -> io::Result<Option<Piece>> {
        let mut data = vec![0; PIECE];
        let count = self.file.read_at(&mut data, self.at)?;
        data.truncate(count);
        self.at += count as u64;
        let piece = Piece { file: format!("{prefix}{}", self.number), offset: self.at, data };
        Ok((count > 0).then_some(piece))
    }
}

impl Follow {
    /// Opens the log of `task` in `dir`. With `follow`, [`Follow::next`] waits at the end for more.
    pub fn open(
        dir: &Path,
        task: &str,
        stream: Stream,
        origin: Origin,
        follow: bool,
    ) -> io::Result<Self> {
        let watch = if follow { Some(watch(dir)?) } else { None };
        let mut log = Self {
            path: dir.to_owned(),
            dir: open_dir(dir)?,
            prefix: format!("{}.", stream.prefix(task)),
            current: None,
            watch,
        };
        log.seek(origin)?;
        Ok(log)
    }

    /// Whether there is any file of this log.
    pub fn exists(&self) -> bool {
        self.current.is_some()
    }

    /// The next piece; `None` at the end of a log that is not followed.
    pub async fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if let Some(piece) = self.read()? {
                return Ok(Some(piece));
            }
            // What came between the read and the wait is in the watch's queue already.
            let Some(watch) = &self.watch else { return Ok(None) };
            let mut ready = watch.readable().await?;
            watch.get_ref().drain()?;
            ready.clear_ready();
        }
    }

    fn read(&mut self) -> io::Result<Option<Piece>> {
        loop {
            let Some(current) = &mut self.current else {
                match self.numbers()?.first() {
                    Some(number) => self.current = Some(self.start(*number)?),
                    None => return Ok(None),
                }
                continue;
            };
            if let Some(piece) = current.read(&self.prefix)? {
                return Ok(Some(piece));
            }
            let number = current.number;
            let Some(next) = self.numbers()?.into_iter().find(|next| *next > number) else {
                return Ok(None);
            };
            // The next file says that this one is complete, but not that it was when it was read above.
            if let Some(current) = &mut self.current
                && let Some(piece) = current.read(&self.prefix)?
            {
                return Ok(Some(piece));
            }
            self.current = Some(self.start(next)?);
        }
    }

    fn start(&self, number: u64) -> io::Result<Current> {
        let name = format!("{}{number}", self.prefix);
        let (file, _) = open_file(&self.dir, &name, OFlag::O_RDONLY)?;
        let file = File::from(file);
        Ok(Current { number, file, at: 0 })
    }

    /// The numbers of the files that are there, ascending.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&self.prefix));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn seek(&mut self, origin: Origin) -> io::Result<()> {
        let mut files = Vec::new();
        for number in self.numbers()? {
            match self.start(number) {
                Ok(file) => files.push(file),
                // Rotated away between the look and the opening.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let mut sized = Vec::new();
        for file in files {
            let length = file.file.metadata()?.len();
            sized.push((file, length));
        }
        let total: u64 = sized.iter().map(|(_, length)| length).sum();
        let mut skip = match origin {
            Origin::Start(offset) => offset.min(total),
            Origin::End(offset) => total - offset.min(total),
        };
        let last = sized.len().saturating_sub(1);
        for (position, (mut file, length)) in sized.into_iter().enumerate() {
            if skip < length || position == last {
                file.at = skip;
                self.current = Some(file);
                return Ok(());
            }
            skip -= length;
        }
        Ok(())
    }
}

/// inotify(7), as the runtime waits for it.
#[derive(Debug)]
pub struct Watch(Inotify);

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Watch {
    /// Watches `path` for `wanted`.
    pub fn new(path: &Path, wanted: AddWatchFlags) -> io::Result<AsyncFd<Self>> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(path, wanted)?;
        #[expect(
            deprecated,
            reason = "the other way is unsafe; this descriptor lives as long as its owner"
        )]
        AsyncFd::new(Self(inotify))
    }

    /// Takes what was seen; only that something was matters.
    pub fn drain(&self) -> io::Result<()> {
        match self.0.read_events() {
            Ok(_) | Err(nix::errno::Errno::EAGAIN) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// A watch on what is written or made in a directory.
fn watch(dir: &Path) -> io::Result<AsyncFd<Watch>> {
    let wanted = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
    Watch::new(dir, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, number: u64, text: &str) {
        std::fs::write(dir.join(format!("web.stdout.{number}")), text).unwrap();
    }

    async fn all(log: &mut Follow) -> String {
        let mut text = String::new();
        while let Some(piece) = log.next().await.unwrap() {
            text.push_str(std::str::from_utf8(&piece.data).unwrap());
        }
        text
    }

    fn open(dir: &Path, origin: Origin, follow: bool) -> Follow {
        Follow::open(dir, "web", Stream::Stdout, origin, follow).unwrap()
    }

    #[tokio::test]
    async fn offsets_count_over_all_files_that_are_there() {
        let dir = tempfile::tempdir().unwrap();
        for (number, text) in [(9, "abc"), (10, "def"), (11, "g")] {
            write(dir.path(), number, text);
        }
        assert_eq!(all(&mut open(dir.path(), Origin::Start(0), false)).await, "abcdefg");
        assert_eq!(all(&mut open(dir.path(), Origin::Start(4), false)).await, "efg");
        assert_eq!(all(&mut open(dir.path(), Origin::End(2), false)).await, "fg");
        assert_eq!(all(&mut open(dir.path(), Origin::End(99), false)).await, "abcdefg");
        assert_eq!(all(&mut open(dir.path(), Origin::Start(99), false)).await, "");
    }

    #[tokio::test]
    async fn a_followed_log_goes_on_in_the_next_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = open(dir.path(), Origin::Start(0), true);
        assert!(!log.exists());
        write(dir.path(), 0, "one");
        assert_eq!(log.next().await.unwrap().unwrap().data, b"one");
        write(dir.path(), 1, "two");
        let piece = log.next().await.unwrap().unwrap();
        assert_eq!(
            (piece.file.as_str(), piece.data.as_slice()),
            ("web.stdout.1", b"two".as_slice())
        );
    }

    #[tokio::test]
    async fn a_link_that_a_task_made_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("web.stdout.0")).unwrap();
        assert!(Follow::open(dir.path(), "web", Stream::Stdout, Origin::Start(0), false).is_err());
    }
}
