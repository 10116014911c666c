//! ◆ A content's name: the SHA-256 of its bytes.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// `sha256:` and 64 lower-case hexadecimal digits. Other algorithms of the OCI specification are refused by name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    #[error("digest `{0}` has no algorithm: expected `sha256:` and 64 hexadecimal digits")]
    NoAlgorithm(String),
    #[error("digest algorithm `{0}` is not supported: only sha256 is")]
    Algorithm(String),
    #[error("digest `{0}` is not 64 lower-case hexadecimal digits")]
    Hex(String),
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 64 hexadecimal digits, without the algorithm: safe as a file name.
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            write!(text, "{byte:02x}").unwrap_or_default();
            text
        })
    }

    /// The first 12 digits, as people know images by.
    pub fn short(&self) -> String {
        self.hex().chars().take(12).collect()
    }

    /// Reads 64 hexadecimal digits without the algorithm.
    pub fn from_hex(hex: &str) -> Result<Self, DigestError> {
        let refuse = || DigestError::Hex(hex.to_owned());
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(refuse()),
        };
        if hex.len() != 64 {
            return Err(refuse());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        match text.split_once(':') {
            None => Err(DigestError::NoAlgorithm(text.to_owned())),
            Some(("sha256", hex)) => Self::from_hex(hex),
            Some((algorithm, _)) => Err(DigestError::Algorithm(algorithm.to_owned())),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Passes a stream through and remembers its digest and length.
pub(super) struct Hashing<R> {
    reader: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Hashing<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, hash: Sha256::new(), bytes: 0 }
    }

    pub(super) fn get_ref(&self) -> &R {
        &self.reader
    }

    /// The reader, for what need not be counted.
    pub(super) fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// How many bytes have passed.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The digest of what has passed.
    pub(super) fn digest(&self) -> Digest {
        Digest(self.hash.clone().finalize().into())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_reads_back_as_it_was_written() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap(), Digest::of(b""));
        let mut hashing = Hashing::new(&b""[..]);
        io::copy(&mut hashing, &mut io::sink()).unwrap();
        assert_eq!(hashing.digest().to_string(), EMPTY);
    }

    #[test]
    fn what_is_not_a_sha256_digest_is_refused_by_its_fault() {
        assert_eq!("abc".parse::<Digest>(), Err(DigestError::NoAlgorithm("abc".into())));
        assert_eq!("sha512:aa".parse::<Digest>(), Err(DigestError::Algorithm("sha512".into())));
        assert_eq!("sha256:AA".parse::<Digest>(), Err(DigestError::Hex("AA".into())));
        let upper = format!("sha256:{}", "A".repeat(64));
        assert!(matches!(upper.parse::<Digest>(), Err(DigestError::Hex(_))));
        let wide = format!("sha256:{}", "é".repeat(32));
        assert!(matches!(wide.parse::<Digest>(), Err(DigestError::Hex(_))));
    }
}
