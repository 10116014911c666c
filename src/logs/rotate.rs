//! ◇ Writing with rotation: a file is never larger than its limit, a line is not cut where a cut can be avoided,
//! and at most so many files are kept.
//!
//! ```text
//! bytes ──► Rotation::step ──► Write(n) to the file in hand ──► the rest of the bytes
//!                          └─► Next: close it, open n+1, remove n+1-keep
//! ```

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{Stream, indexes, open_dir, open_file};

/// How much is kept of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Files of the stream, at least 1.
    pub max_files: u64,
    /// Bytes of a file, at least 1.
    pub max_file_size: u64,
}

/// What to do with the bytes at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// So many of them go into the file in hand.
    Write(usize),
    /// The file in hand is full.
    Next,
}

/// What the next step is when the file in hand holds `size` bytes.
fn step(policy: Policy, size: u64, bytes: &[u8]) -> Step {
    let room = usize::try_from(policy.max_file_size.saturating_sub(size)).unwrap_or(usize::MAX);
    if bytes.len() <= room {
        return Step::Write(bytes.len());
    }
    match bytes[..room].iter().rposition(|byte| *byte == b'\n') {
        Some(newline) => Step::Write(newline + 1),
        // The line does not end in this file. It starts the next one, unless no file could hold it.
        None if size > 0 && line_length(bytes) <= policy.max_file_size => Step::Next,
        None if room > 0 => Step::Write(room),
        None => Step::Next,
    }
}

fn line_length(bytes: &[u8]) -> u64 {
    let length = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    length as u64
}

/// Writes one stream of one task.
#[derive(Debug)]
pub struct Writer {
    dir: OwnedFd,
    prefix: String,
    policy: Policy,
    index: u64,
    size: u64,
    file: File,
}

impl Writer {
    /// Goes on where an earlier writer of the stream stopped. The directory must exist.
    pub fn open(dir: &Path, task: &str, stream: Stream, policy: Policy) -> io::Result<Self> {
        let policy = Policy {
            max_files: policy.max_files.max(1),
            max_file_size: policy.max_file_size.max(1),
        };
        let dir = open_dir(dir)?;
        let prefix = stream.prefix(task);
        let last = indexes(&dir, &prefix)?.last().copied().unwrap_or(0);
        let (index, file, size) = open_from(&dir, &prefix, last)?;
        let writer = Self { dir, prefix, policy, index, size, file };
        writer.remove_old()?;
        Ok(writer)
    }

    /// Writes all of `bytes`, rotating as often as it takes.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match step(self.policy, self.size, bytes) {
                Step::Write(count) => {
                    self.file.write_all(&bytes[..count])?;
                    self.size += count as u64;
                    bytes = &bytes[count..];
                }
                Step::Next => self.rotate()?,
            }
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let (index, file, size) = open_from(&self.dir, &self.prefix, self.index + 1)?;
        (self.index, self.file, self.size) = (index, file, size);
        self.remove_old()
    }

    fn remove_old(&self) -> io::Result<()> {
        let Some(newest_gone) = (self.index + 1).checked_sub(self.policy.max_files + 1) else {
            return Ok(());
        };
        for index in indexes(&self.dir, &self.prefix)? {
            if index <= newest_gone {
                let name = format!("{}.{index}", self.prefix);
                // Somebody else may have removed it, or put a directory there: then it stays.
                let _ = unlinkat(&self.dir, name.as_str(), UnlinkatFlags::NoRemoveDir);
            }
        }
        Ok(())
    }
}

/// The file of number `index`, or the first after it that can be had: the task may have put a link there.
fn open_from(dir: &OwnedFd, prefix: &str, index: u64) -> io::Result<(u64, File, u64)> {
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT;
    let mut last = None;
    for index in index..index.saturating_add(8) {
        match open_file(dir, &format!("{prefix}.{index}"), flags) {
            Ok((fd, stat)) => {
                return Ok((index, File::from(fd), u64::try_from(stat.st_size).unwrap_or(0)));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other("no free log file")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const SMALL: Policy = Policy { max_files: 3, max_file_size: 10 };

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_line_is_cut_only_when_no_file_could_hold_it() {
        assert_eq!(step(SMALL, 0, b"abc\n"), Step::Write(4));
        assert_eq!(step(SMALL, 8, b"abc\n"), Step::Next);
        assert_eq!(step(SMALL, 4, b"ab\nlonger\n"), Step::Write(3));
        assert_eq!(step(SMALL, 0, b"0123456789abcdef"), Step::Write(10));
        assert_eq!(step(SMALL, 10, b"x"), Step::Next);
        assert_eq!(step(SMALL, 4, b"0123456789abcdef"), Step::Write(6));
    }

    #[test]
    fn no_more_files_than_the_policy_keeps() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path(), "web", Stream::Stdout, SMALL).unwrap();
        for number in 0..10 {
            writer.write(format!("line {number}\n").as_bytes()).unwrap();
        }
        assert_eq!(names(dir.path()), ["web.stdout.7", "web.stdout.8", "web.stdout.9"]);
        assert_eq!(fs::read_to_string(dir.path().join("web.stdout.9")).unwrap(), "line 9\n");
    }

    #[test]
    fn a_new_writer_goes_on_in_the_last_file() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Writer::open(dir.path(), "web", Stream::Stderr, SMALL).unwrap();
        open().write(b"one\n").unwrap();
        open().write(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("web.stderr.0")).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("web.stdout.0")).unwrap();
        let mut writer = Writer::open(dir.path(), "web", Stream::Stdout, SMALL).unwrap();
        writer.write(b"hello\n").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "");
        assert_eq!(fs::read_to_string(dir.path().join("web.stdout.1")).unwrap(), "hello\n");
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_or_reordered(chunks in proptest::collection::vec(
            proptest::collection::vec(proptest::prelude::prop_oneof![
                proptest::prelude::Just(b'\n'), proptest::prelude::any::<u8>()], 0..40), 0..20))
        {
            let dir = tempfile::tempdir().unwrap();
            let policy = Policy { max_files: 10_000, max_file_size: 16 };
            let mut writer = Writer::open(dir.path(), "t", Stream::Stdout, policy).unwrap();
            for chunk in &chunks {
                writer.write(chunk).unwrap();
            }
            let fd = open_dir(dir.path()).unwrap();
            let mut read = Vec::new();
            for index in indexes(&fd, "t.stdout").unwrap() {
                let bytes = fs::read(dir.path().join(format!("t.stdout.{index}"))).unwrap();
                proptest::prop_assert!(bytes.len() <= 16);
                read.extend(bytes);
            }
            proptest::prop_assert_eq!(read, chunks.concat());
        }
    }
}
