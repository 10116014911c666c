//! ◇ A task's output: a fifo that outlives shims, and the pump from it into the rotated log.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, fchown, mkfifo};

use crate::driver::context::TaskContext;
use crate::logs::Stream;
use crate::logs::rotate::{Policy, Writer};

/// Where a task writes.
pub(super) struct Output {
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// Both ends of a task's output.
pub(super) struct Streams {
    pub pumps: Vec<Pump>,
    /// Given to the task, and then closed here.
    pub output: Output,
}

impl Streams {
    /// Makes the fifos and opens both ends. With logs disabled there is only /dev/null.
    pub(super) fn create(context: &TaskContext) -> io::Result<Self> {
        if context.logs.disabled {
            let null = || open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty());
            return Ok(Self {
                pumps: Vec::new(),
                output: Output { stdout: null()?, stderr: null()? },
            });
        }
        let (out, stdout) = Pump::create(context, Stream::Stdout)?;
        let (err, stderr) = Pump::create(context, Stream::Stderr)?;
        Ok(Self { pumps: vec![out, err], output: Output { stdout, stderr } })
    }

    /// Lets the task's user open its own output again, as `/dev/stdout`.
    pub(super) fn give_to(&self, uid: u32, gid: u32) -> io::Result<()> {
        if self.pumps.is_empty() {
            return Ok(());
        }
        for fd in [&self.output.stdout, &self.output.stderr] {
            fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        Ok(())
    }
}

/// Ends that nobody reads from, for the agent to hold: if shim and task die together, what the task wrote last
/// is still there for the shim that adopts it.
pub(in crate::driver) fn hold(state: &Path) -> Vec<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let streams = [Stream::Stdout, Stream::Stderr];
    let held = streams.map(|stream| open(&fifo_path(state, stream), flags, Mode::empty()).ok());
    held.into_iter().flatten().collect()
}

/// One stream on its way from the fifo to the log.
pub(super) struct Pump {
    fifo: File,
    /// `None` when the log cannot be written: the output is then drained and dropped, or the task would block.
    log: Option<Writer>,
}

fn fifo_path(state: &Path, stream: Stream) -> PathBuf {
    state.join(format!("{}.fifo", stream.name()))
}

impl Pump {
    fn create(context: &TaskContext, stream: Stream) -> io::Result<(Self, OwnedFd)> {
        let path = fifo_path(&context.dirs.state, stream);
        match mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let pump = Self::open(context, stream)?;
        // For reading too: a writer that is also a reader never gets SIGPIPE.
        let end = open(&path, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok((pump, end))
    }

    /// The pumps of a task that runs already.
    pub(super) fn reopen(context: &TaskContext) -> Vec<Self> {
        if context.logs.disabled {
            return Vec::new();
        }
        let streams = [Stream::Stdout, Stream::Stderr];
        streams.into_iter().filter_map(|stream| Self::open(context, stream).ok()).collect()
    }

    fn open(context: &TaskContext, stream: Stream) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fifo = open(&fifo_path(&context.dirs.state, stream), flags, Mode::empty())?;
        let policy = Policy {
            max_files: context.logs.max_files.into(),
            max_file_size: u64::from(context.logs.max_file_size_mb) << 20,
        };
        let log = Writer::open(&context.dirs.logs, &context.task, stream, policy).ok();
        Ok(Self { fifo: File::from(fifo), log })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fifo.as_fd()
    }

    /// Moves what is there, up to `buffer`. `false` when there will be no more.
    pub(super) fn turn(&mut self, buffer: &mut [u8]) -> bool {
        match self.fifo.read(buffer) {
            Ok(0) => false,
            Ok(count) => {
                if let Some(log) = &mut self.log {
                    // A full disk costs lines, not the task.
                    drop(log.write(&buffer[..count]));
                }
                true
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    /// Moves everything that is still in the pipe.
    pub(super) fn drain(&mut self, buffer: &mut [u8]) {
        loop {
            match self.fifo.read(buffer) {
                Ok(0) => return,
                Ok(count) => {
                    if let Some(log) = &mut self.log {
                        drop(log.write(&buffer[..count]));
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}
