//! ◇ From the bytes of a layer to a directory, verified while they stream past.
//!
//! ```text
//! blob → length, digest → gunzip | unzstd | as it is → limits, diff id → entries → files
//! ```
//! The compression is what the first bytes say, since media types lie. Everything runs in one blocking thread per
//! layer; nothing is buffered but a few hundred kilobytes.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};

use super::digest::{Digest, Hashing};
use super::entries::{Entries, TarError};
use super::unpack::{EntryError, UnpackLimit, Unpacker};

const BUFFER: usize = 256 << 10;

/// Below this a layer may be as compressible as it likes.
const RATIO_FREE: u64 = 1 << 30;

/// What a layer must turn out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    /// Digest and length of the blob, where the source states them.
    pub(super) blob: Option<(Digest, u64)>,
    /// Digest of the uncompressed archive, from the image's configuration.
    pub(super) diff_id: Digest,
}

/// What a layer turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// Uncompressed bytes.
    pub(super) size: u64,
    pub(super) entries: u64,
}

/// Why a layer was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    #[error("blob cannot be read")]
    Blob(#[source] io::Error),
    #[error("blob has digest `{found}`, not the one it was asked for by")]
    Digest { found: Digest },
    #[error("blob is longer than the {stated} bytes its manifest states")]
    Length { stated: u64 },
    #[error("content has digest `{found}`, the image's configuration says `{diff_id}`")]
    DiffId { found: Digest, diff_id: Digest },
    #[error("archive")]
    Tar(#[source] TarError),
    #[error("entry `{path}`")]
    Entry {
        path: String,
        #[source]
        source: EntryError,
    },
    #[error("more than {0} entries: raise the image store's limit if the image is to be trusted")]
    Entries(u64),
    #[error(
        "more than {0} bytes unpacked: raise the image store's limit if the image is to be trusted"
    )]
    Bytes(u64),
    #[error(
        "unpacks to more than {0} times its length: raise the image store's limit if the image is to be trusted"
    )]
    Ratio(u64),
    #[error("temporary directory")]
    Store(#[source] io::Error),
}

/// The limit that a stream has gone over, carried through `io::Error` by the readers between.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Over {
    #[error("more bytes than allowed")]
    Bytes,
    #[error("more compressed than allowed")]
    Ratio,
    #[error("longer than stated")]
    Length,
}

/// The uncompressed stream, within its limits.
struct Inflated<R: Read> {
    decoder: Decoder<R>,
    limit: UnpackLimit,
    bytes: u64,
}

type Blob<R> = BufReader<io::Chain<Cursor<Vec<u8>>, Hashing<Stated<R>>>>;

enum Decoder<R: Read> {
    Plain(Box<Blob<R>>),
    Gzip(Box<flate2::bufread::MultiGzDecoder<Blob<R>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Blob<R>>>),
}

/// A blob that may not be longer than stated.
struct Stated<R> {
    reader: R,
    left: Option<u64>,
}

impl<R: Read> Read for Stated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(read as u64).ok_or_else(|| io::Error::other(Over::Length))?;
        }
        Ok(read)
    }
}

impl<R: Read> Decoder<R> {
    fn new(mut blob: Hashing<Stated<R>>) -> io::Result<Self> {
        let mut head = Vec::with_capacity(4);
        blob.by_ref().take(4).read_to_end(&mut head)?;
        let magic: [u8; 4] =
            std::array::from_fn(|index| head.get(index).copied().unwrap_or_default());
        let blob = BufReader::with_capacity(BUFFER, Cursor::new(head).chain(blob));
        Ok(match magic {
            [0x1f, 0x8b, ..] => Self::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(blob))),
            // A frame, or one of the skippable frames that may come before it.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
                Self::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(blob)?))
            }
            _ => Self::Plain(Box::new(blob)),
        })
    }

    fn blob(&self) -> &Hashing<Stated<R>> {
        let buffered = match self {
            Self::Plain(blob) => blob,
            Self::Gzip(gzip) => gzip.get_ref(),
            Self::Zstd(zstd) => zstd.get_ref(),
        };
        buffered.get_ref().get_ref().1
    }

    /// The rest of the blob, past what the decoder has taken.
    fn rest(&mut self) -> &mut Blob<R> {
        match self {
            Self::Plain(blob) => blob,
            Self::Gzip(gzip) => gzip.get_mut(),
            Self::Zstd(zstd) => zstd.get_mut(),
        }
    }
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.decoder {
            Decoder::Plain(blob) => blob.read(buffer)?,
            Decoder::Gzip(gzip) => gzip.read(buffer)?,
            Decoder::Zstd(zstd) => zstd.read(buffer)?,
        };
        self.bytes += read as u64;
        if self.bytes > self.limit.bytes {
            return Err(io::Error::other(Over::Bytes));
        }
        let compressed = self.decoder.blob().bytes();
        if self.bytes > RATIO_FREE && self.bytes / self.limit.ratio.max(1) > compressed {
            return Err(io::Error::other(Over::Ratio));
        }
        Ok(read)
    }
}

/// Unpacks `blob` below `root`, whose file system also holds the empty directory `discard`. On an error what was
/// written so far is there: the caller removes it. Blocking.
pub(super) fn unpack<R: Read>(
    blob: R,
    expected: &Expected,
    root: File,
    discard: File,
    limit: UnpackLimit,
) -> Result<Unpacked, LayerError> {
    let stated = expected.blob.map(|(_, length)| length);
    let blob = Hashing::new(Stated { reader: blob, left: stated });
    let decoder = Decoder::new(blob).map_err(|error| blame(error, limit, stated))?;
    let inflated = Hashing::new(Inflated { decoder, limit, bytes: 0 });
    let mut entries = Entries::new(BufReader::with_capacity(BUFFER, inflated));
    let written = write_all(&mut entries, Unpacker::new(root, discard), limit, stated);
    let stream = entries.get_mut();
    match written.and_then(|count| {
        // What follows the end of the archive belongs to the digests.
        io::copy(stream, &mut io::sink()).map_err(|error| blame(error, limit, stated))?;
        Ok(count)
    }) {
        Ok(count) => {
            let inflated = stream.get_ref();
            verify_blob(&inflated.get_ref().decoder, expected)?;
            if inflated.digest() != expected.diff_id {
                return Err(LayerError::DiffId {
                    found: inflated.digest(),
                    diff_id: expected.diff_id,
                });
            }
            Ok(Unpacked { size: inflated.bytes(), entries: count })
        }
        Err(error) => Err(lie_or(error, stream, expected)),
    }
}

/// A blob that is not what was asked for is the better answer than what was wrong inside it.
fn lie_or<R: Read>(
    error: LayerError,
    stream: &mut BufReader<Hashing<Inflated<R>>>,
    expected: &Expected,
) -> LayerError {
    let told = matches!(error, LayerError::Tar(_) | LayerError::Blob(_));
    if !told || expected.blob.is_none() {
        return error;
    }
    // Only a reader that lost its place tells nothing about the blob: see whether the rest can still be had.
    let decoder = &mut stream.get_mut().get_mut().decoder;
    if io::copy(decoder.rest(), &mut io::sink()).is_err() {
        return error;
    }
    verify_blob(decoder, expected).err().unwrap_or(error)
}

fn verify_blob<R: Read>(decoder: &Decoder<R>, expected: &Expected) -> Result<(), LayerError> {
    match expected.blob {
        Some((digest, _)) if decoder.blob().digest() != digest => {
            Err(LayerError::Digest { found: decoder.blob().digest() })
        }
        Some(_) | None => Ok(()),
    }
}

fn write_all<R: Read>(
    entries: &mut Entries<R>,
    mut unpacker: Unpacker,
    limit: UnpackLimit,
    stated: Option<u64>,
) -> Result<u64, LayerError> {
    let (mut count, mut bytes) = (0, 0_u64);
    let name = |path: &[u8]| {
        String::from_utf8_lossy(&path[..path.len().min(512)]).escape_debug().to_string()
    };
    while let Some(entry) = entries.next().map_err(|error| blame_tar(error, limit, stated))? {
        count += 1;
        bytes = bytes.saturating_add(entry.size);
        if count > limit.entries {
            return Err(LayerError::Entries(limit.entries));
        }
        if bytes > limit.bytes {
            return Err(LayerError::Bytes(limit.bytes));
        }
        unpacker.entry(&entry, entries).map_err(|source| match source {
            EntryError::Data(error) => blame(error, limit, stated),
            source => LayerError::Entry { path: name(&entry.path), source },
        })?;
    }
    unpacker.finish().map_err(|source| LayerError::Entry { path: ".".to_owned(), source })?;
    Ok(count)
}

fn blame_tar(error: TarError, limit: UnpackLimit, stated: Option<u64>) -> LayerError {
    match error {
        TarError::Read(error) => blame(error, limit, stated),
        error => LayerError::Tar(error),
    }
}

/// Says which limit an error of the stream is, if it is one.
fn blame(error: io::Error, limit: UnpackLimit, stated: Option<u64>) -> LayerError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Over>()) {
        Some(Over::Bytes) => LayerError::Bytes(limit.bytes),
        Some(Over::Ratio) => LayerError::Ratio(limit.ratio),
        Some(Over::Length) => LayerError::Length { stated: stated.unwrap_or_default() },
        None => LayerError::Blob(error),
    }
}

#[cfg(test)]
mod tests;
