//! ◆ What streams are made of: a head in JSON and bytes as they are, each after its length.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// No head may be longer: the files of a large directory …
const LONGEST_HEAD: usize = 4 * 1024 * 1024;
/// … and no data. Pieces of files are 64 KiB.
const LONGEST_DATA: usize = 16 * 1024 * 1024;
const PREFIX: usize = 8;

/// Why bytes are no frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// It says that it is longer than anything we send.
    #[error("a frame of {0} bytes")]
    TooLong(usize),
    /// Its head is not what was expected.
    #[error("the head of a frame")]
    Head(#[source] serde_json::Error),
}

/// A frame as bytes.
pub(super) fn encode<T: Serialize>(head: &T, data: &[u8]) -> Result<Bytes, FrameError> {
    let head = serde_json::to_vec(head).map_err(FrameError::Head)?;
    let mut bytes = BytesMut::with_capacity(PREFIX + head.len() + data.len());
    for (part, longest) in [(head.as_slice(), LONGEST_HEAD), (data, LONGEST_DATA)] {
        let length = u32::try_from(part.len()).ok().filter(|_| part.len() <= longest);
        bytes.put_u32(length.ok_or(FrameError::TooLong(part.len()))?);
    }
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(data);
    Ok(bytes.freeze())
}

/// Bytes that become frames as more of them come.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    bytes: BytesMut,
}

impl Decoder {
    /// Takes more bytes.
    pub(super) fn push(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
    }

    /// The next frame that is all there.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Bytes)>, FrameError> {
        let Some((mut head, mut data)) = self.bytes.get(..PREFIX).map(|prefix| prefix.split_at(4))
        else {
            return Ok(None);
        };
        let (head, data) = (head.get_u32() as usize, data.get_u32() as usize);
        for (length, longest) in [(head, LONGEST_HEAD), (data, LONGEST_DATA)] {
            if length > longest {
                return Err(FrameError::TooLong(length));
            }
        }
        if self.bytes.len() < PREFIX + head + data {
            return Ok(None);
        }
        self.bytes.advance(PREFIX);
        let head = self.bytes.split_to(head);
        let data = self.bytes.split_to(data).freeze();
        serde_json::from_slice(&head).map(|head| Some((head, data))).map_err(FrameError::Head)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            frames in proptest::collection::vec(("[a-z]{0,8}", proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
            cut in 1usize..30,
        ) {
            let mut bytes = Vec::new();
            for (head, data) in &frames {
                bytes.extend_from_slice(&encode(head, data).unwrap());
            }
            let (mut decoder, mut found) = (Decoder::default(), Vec::new());
            for part in bytes.chunks(cut) {
                decoder.push(part);
                while let Some((head, data)) = decoder.next::<String>().unwrap() {
                    found.push((head, data.to_vec()));
                }
            }
            prop_assert_eq!(found, frames);
        }

        #[test]
        fn nonsense_is_refused_or_waited_for(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            drop(decoder.next::<String>());
        }
    }
}
