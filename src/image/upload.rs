//! ◇ An archive on its way into the store: received in a file without a name, so that nothing is left of it whatever
//! happens to the sender, the connection or the agent.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use tokio::io::AsyncWriteExt as _;

use super::error::ImageError;

/// Free space that an upload leaves: the state of the agent is likely to be on the same disk.
const RESERVE: u64 = 512 << 20;
/// How many bytes are received between two looks at the free space.
const LOOK_EVERY: u64 = 16 << 20;

/// An archive being received. Dropping it gives it up.
#[derive(Debug)]
pub struct Upload {
    file: tokio::fs::File,
    dir: PathBuf,
    length: u64,
    most: u64,
    look_at: u64,
}

/// A file without a name in the directory `dir`.
pub(super) fn nameless(dir: &Path) -> io::Result<File> {
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    Ok(File::from(nix::fcntl::open(dir, flags, Mode::from_bits_truncate(0o600))?))
}

fn free(file: &tokio::fs::File) -> io::Result<u64> {
    let fs = nix::sys::statvfs::fstatvfs(file)?;
    Ok(fs.blocks_available().saturating_mul(fs.fragment_size()))
}

impl Upload {
    /// Begins to receive in the directory `dir`, at most `most` bytes.
    pub(super) fn begin(dir: PathBuf, most: u64) -> Result<Self, ImageError> {
        let file = nameless(&dir).map_err(|source| ImageError::Store {
            action: "make a file in",
            path: dir.clone(),
            source,
        })?;
        Ok(Self { file: tokio::fs::File::from_std(file), dir, length: 0, most, look_at: 0 })
    }

    /// Takes the next bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.length = self.length.saturating_add(bytes.len() as u64);
        if self.length > self.most {
            return Err(ImageError::TooLong { most: self.most });
        }
        if self.length >= self.look_at {
            let free = free(&self.file).map_err(|source| self.failed(source))?;
            if free < RESERVE.saturating_add(bytes.len() as u64) {
                return Err(ImageError::NoRoom { path: self.dir.clone(), free, reserve: RESERVE });
            }
            self.look_at = self.length + LOOK_EVERY.min(free - RESERVE);
        }
        let written = self.file.write_all(bytes).await;
        written.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> ImageError {
        ImageError::Store { action: "write an archive in", path: self.dir.clone(), source }
    }

    /// Everything has come.
    pub(super) async fn end(mut self) -> Result<File, ImageError> {
        self.file.flush().await.map_err(|source| self.failed(source))?;
        Ok(self.file.into_std().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_upload_is_bounded_and_never_has_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let count = || std::fs::read_dir(dir.path()).unwrap().count();
        let mut upload = Upload::begin(dir.path().to_owned(), 8).unwrap();
        upload.write(b"1234").await.unwrap();
        assert_eq!(count(), 0);
        let refused = upload.write(b"56789").await.unwrap_err();
        assert!(matches!(refused, ImageError::TooLong { most: 8 }), "{refused}");
        drop(upload);
        assert_eq!(count(), 0);
    }
}
