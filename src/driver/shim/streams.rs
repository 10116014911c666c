//! ◇ A task's output: a fifo that outlives shims, and the pump from it into the rotated log.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{Gid, Uid, fchown, mkfifo, pipe2};

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
    output: Option<Output>,
    /// The other end of an input that stays open and never says anything.
    silence: Option<OwnedFd>,
}

impl Streams {
    /// Makes the fifos and opens both ends. With logs disabled there is only /dev/null.
    pub(super) fn create(context: &TaskContext) -> io::Result<Self> {
        if context.logs.disabled {
            let output = Output { stdout: null()?, stderr: null()? };
            return Ok(Self { pumps: Vec::new(), output: Some(output), silence: None });
        }
        let (out, stdout) = Pump::create(context, Stream::Stdout)?;
        let (err, stderr) = Pump::create(context, Stream::Stderr)?;
        let output = Some(Output { stdout, stderr });
        Ok(Self { pumps: vec![out, err], output, silence: None })
    }

    /// Those of a task that runs already.
    pub(super) fn reopen(context: &TaskContext) -> Self {
        let streams = [Stream::Stdout, Stream::Stderr];
        let open = |stream| Pump::open(context, stream).ok().filter(|_| !context.logs.disabled);
        Self { pumps: streams.into_iter().filter_map(open).collect(), output: None, silence: None }
    }

    /// The task's ends. There is one task.
    pub(super) fn take_output(&mut self) -> Result<Output, String> {
        self.output.take().ok_or_else(|| "its output was given away before".to_owned())
    }

    /// What the task reads: nothing, at once or for as long as the shim lives.
    pub(super) fn input(&mut self, stays_open: bool) -> io::Result<OwnedFd> {
        if !stays_open {
            return null();
        }
        let (input, silence) = pipe2(OFlag::O_CLOEXEC)?;
        self.silence = Some(silence);
        Ok(input)
    }

    /// The task's output is a terminal: all of it is standard output.
    pub(super) fn read_terminal(&mut self, terminal: OwnedFd) {
        self.pumps.truncate(1);
        let _ = fcntl(&terminal, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        let fifo = File::from(terminal);
        match self.pumps.first_mut() {
            Some(pump) => pump.fifo = fifo,
            // With logs disabled it is still read, or the task would block on it.
            None => self.pumps.push(Pump { fifo, log: None }),
        }
    }
}

fn null() -> io::Result<OwnedFd> {
    Ok(open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// Lets the task's user open its own output again, as `/dev/stdout`.
pub(super) fn give_to(output: &Output, uid: u32, gid: u32) -> io::Result<()> {
    for fd in [&output.stdout, &output.stderr] {
        let is_fifo =
            SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO;
        if is_fifo {
            fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
    }
    Ok(())
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
