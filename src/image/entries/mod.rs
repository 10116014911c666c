//! ◆ Walks a tar stream: one entry after the other, each with everything its extension headers say.
//!
//! The `tar` crate reads the 512-byte blocks; the walk is ours, because an image is hostile input: extension
//! headers are bounded before they are in memory, PAX records are read by length, and where readers of tar
//! disagree this one does what Go's does, which wrote and checked nearly every image there is.

use std::io::{self, Read};

use tar::{EntryType, Header};

use super::pax::{Pax, PaxError};

mod sparse;

const BLOCK: usize = 512;

/// The longest extension header: as Go's reader allows.
const MAX_EXTENSION: u64 = 1 << 20;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Char { major: u32, minor: u32 },
    Block { major: u32, minor: u32 },
    Fifo,
}

/// A piece of a file with holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// One entry. Names are bytes as the archive has them: nothing here says that they are safe to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) path: Vec<u8>,
    /// The target of a link.
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds and nanoseconds since the epoch.
    pub(super) mtime: (i64, u32),
    /// The length of a file, holes included.
    pub(super) size: u64,
    /// Where the stored bytes belong, when the file has holes.
    pub(super) map: Option<Vec<Extent>>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why a stream is not a tar archive that can be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    #[error("archive cannot be read")]
    Read(#[source] io::Error),
    #[error("archive ends in the middle of an entry")]
    Truncated,
    #[error("archive header at byte {at} has a wrong checksum")]
    Checksum { at: u64 },
    #[error("archive header at byte {at} has a bad `{field}`")]
    Field { at: u64, field: &'static str },
    #[error("archive header at byte {at}")]
    Pax {
        at: u64,
        #[source]
        source: PaxError,
    },
    #[error("extension header at byte {at} is {size} bytes, more than {MAX_EXTENSION}")]
    Extension { at: u64, size: u64 },
    #[error("archive header at byte {at} has the type `{kind}`, which is not supported")]
    Kind { at: u64, kind: char },
    #[error("file with holes at byte {at} has a map that does not fit it")]
    Sparse { at: u64 },
    #[error("archive has data after a lone block of zeros at byte {at}")]
    LoneZeros { at: u64 },
}

/// The entries of a stream. The data of an entry is read from here before the next entry is asked for.
#[derive(Debug)]
pub(super) struct Entries<R> {
    reader: R,
    position: u64,
    /// Bytes of the current entry's data that were not read yet.
    left: u64,
    padding: u64,
    /// Passes over bytes; says how many there were.
    pass: fn(&mut R, u64) -> io::Result<u64>,
}

/// What the extension headers before an entry have said.
#[derive(Default)]
struct Said {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Pax,
}

impl<R: Read> Read for Entries<R> {
    /// Reads the stored data of the current entry.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.reader.read(&mut buffer[..most])?;
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        self.position += read as u64;
        Ok(read)
    }
}

impl<R: Read> Entries<R> {
    pub(super) fn new(reader: R) -> Self {
        let pass =
            |reader: &mut R, amount| io::copy(&mut reader.by_ref().take(amount), &mut io::sink());
        Self { reader, position: 0, left: 0, padding: 0, pass }
    }

    /// The entries of a file at its beginning, whose data is passed over without being read.
    pub(super) fn seeking(reader: R) -> Self
    where
        R: io::Seek,
    {
        let pass = |reader: &mut R, amount: u64| {
            let by =
                i64::try_from(amount).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            reader.seek_relative(by).map(|()| amount)
        };
        Self { reader, position: 0, left: 0, padding: 0, pass }
    }

    /// How many bytes of the archive were read: after an entry, where its data begins.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The stream, after the last entry or an error.
    pub(super) fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The next entry; `None` at the end of the archive.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, TarError> {
        let mut said = Said::default();
        loop {
            self.skip()?;
            let at = self.position;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = match header.entry_size() {
                Ok(size) => size,
                Err(_) if blank(&header.as_old().size) => 0,
                Err(_) => return Err(TarError::Field { at, field: "size" }),
            };
            match header.entry_type() {
                EntryType::XGlobalHeader => drop(self.extension(at, size)?),
                EntryType::XHeader => {
                    let bytes = self.extension(at, size)?;
                    said.pax = Pax::parse(&bytes).map_err(|source| TarError::Pax { at, source })?;
                }
                EntryType::GNULongName => said.path = Some(until_zero(self.extension(at, size)?)),
                EntryType::GNULongLink => said.link = Some(until_zero(self.extension(at, size)?)),
                _ => return self.entry(at, &header, size, said).map(Some),
            }
        }
    }

    /// The next header block; `None` at the end.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let at = self.position;
        let mut header = Header::new_old();
        if !self.block(header.as_mut_bytes())? {
            return Ok(None);
        }
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            let mut second = [0; BLOCK];
            return if self.block(&mut second)? && second.iter().any(|byte| *byte != 0) {
                Err(TarError::LoneZeros { at })
            } else {
                Ok(None)
            };
        }
        let stated = header.cksum().map_err(|_| TarError::Field { at, field: "checksum" })?;
        // Some old writers summed signed bytes.
        let (unsigned, signed) = checksums(header.as_bytes());
        if stated != unsigned && i64::from(stated) != signed {
            return Err(TarError::Checksum { at });
        }
        Ok(Some(header))
    }

    /// Fills one block; false when the stream ends before its first byte.
    fn block(&mut self, block: &mut [u8]) -> Result<bool, TarError> {
        let mut filled = 0;
        while filled < block.len() {
            match self.reader.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(TarError::Truncated),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TarError::Read(error)),
            }
        }
        self.position += filled as u64;
        Ok(true)
    }

    /// Passes over what is left of the current entry.
    fn skip(&mut self) -> Result<(), TarError> {
        let amount = self.left.saturating_add(self.padding);
        self.left = 0;
        self.padding = 0;
        let passed = (self.pass)(&mut self.reader, amount).map_err(TarError::Read)?;
        self.position = self.position.saturating_add(passed);
        if passed < amount { Err(TarError::Truncated) } else { Ok(()) }
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    fn extension(&mut self, at: u64, size: u64) -> Result<Vec<u8>, TarError> {
        if size > MAX_EXTENSION {
            return Err(TarError::Extension { at, size });
        }
        self.begin(size);
        let mut bytes = Vec::new();
        self.read_all(&mut bytes)?;
        Ok(bytes)
    }

    fn read_all(&mut self, bytes: &mut Vec<u8>) -> Result<(), TarError> {
        self.by_ref().read_to_end(bytes).map(drop).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => TarError::Truncated,
            _ => TarError::Read(error),
        })
    }

    fn entry(
        &mut self,
        at: u64,
        header: &Header,
        size: u64,
        said: Said,
    ) -> Result<Entry, TarError> {
        let Said { path, link, pax } = said;
        let old = header.as_old();
        let number = |name: &'static str, field: &[u8], value: io::Result<u64>| {
            if blank(field) {
                Ok(0)
            } else {
                value.map_err(|_| TarError::Field { at, field: name })
            }
        };
        let path = pax
            .sparse
            .name
            .clone()
            .or(pax.path)
            .or(path)
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let kind = kind(at, header, &path)?;
        let stored = pax.size.unwrap_or(size);
        // As Go: these have no data, whatever their header says.
        self.begin(if kind == Kind::File { stored } else { 0 });
        let id = |number: u64, name: &'static str| {
            u32::try_from(number).map_err(|_| TarError::Field { at, field: name })
        };
        let mut entry = Entry {
            kind,
            path,
            link: pax
                .link
                .or(link)
                .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
                .unwrap_or_default(),
            mode: id(number("mode", &old.mode, header.mode().map(u64::from))?, "mode")? & 0o7777,
            uid: id(pax.uid.map_or_else(|| number("uid", &old.uid, header.uid()), Ok)?, "uid")?,
            gid: id(pax.gid.map_or_else(|| number("gid", &old.gid, header.gid()), Ok)?, "gid")?,
            mtime: match pax.mtime {
                Some(mtime) => mtime,
                // A time before the epoch or after the sun: not worth refusing an image for.
                None => (header.mtime().ok().and_then(|t| i64::try_from(t).ok()).unwrap_or(0), 0),
            },
            size: if kind == Kind::File { stored } else { 0 },
            map: None,
            xattrs: pax.xattrs,
        };
        if header.entry_type() == EntryType::GNUSparse {
            self.gnu_sparse(at, header, &mut entry)?;
        } else if kind == Kind::File && (pax.sparse.map_in_data || !pax.sparse.map.is_empty()) {
            let map = if pax.sparse.map_in_data { self.map_in_data(at)? } else { pax.sparse.map };
            let real = pax.sparse.real_size.ok_or(TarError::Sparse { at })?;
            self.set_map(at, &map, real, &mut entry)?;
        }
        Ok(entry)
    }
}

fn kind(at: u64, header: &Header, path: &[u8]) -> Result<Kind, TarError> {
    let device = || {
        let number = |value: io::Result<Option<u32>>| {
            value
                .map(Option::unwrap_or_default)
                .map_err(|_| TarError::Field { at, field: "device" })
        };
        Ok((number(header.device_major())?, number(header.device_minor())?))
    };
    Ok(match header.entry_type() {
        // Before there was a type for directories, the name said it.
        EntryType::Regular if header.as_old().linkflag[0] == 0 && path.ends_with(b"/") => {
            Kind::Directory
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Link => Kind::HardLink,
        EntryType::Fifo => Kind::Fifo,
        EntryType::Char => device().map(|(major, minor)| Kind::Char { major, minor })?,
        EntryType::Block => device().map(|(major, minor)| Kind::Block { major, minor })?,
        other => {
            let byte = char::from(other.as_byte());
            return Err(TarError::Kind {
                at,
                kind: if byte.is_ascii_graphic() { byte } else { '?' },
            });
        }
    })
}

/// Some writers leave a number out.
fn blank(field: &[u8]) -> bool {
    field.iter().all(|byte| matches!(byte, 0 | b' '))
}

fn until_zero(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

/// The sum of the block's bytes with its checksum field as spaces, unsigned and signed.
fn checksums(block: &[u8; BLOCK]) -> (u32, i64) {
    let bytes = || block[..148].iter().chain(&[b' '; 8]).chain(&block[156..]);
    (
        bytes().map(|byte| u32::from(*byte)).sum(),
        bytes().map(|byte| i64::from(byte.cast_signed())).sum(),
    )
}

#[cfg(test)]
mod tests;
