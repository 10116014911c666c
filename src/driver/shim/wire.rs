//! ◆ What agent and exec process say to each other: a tag, a length, bytes.

use std::io;

/// What a frame means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::driver) enum Tag {
    /// To the process: the request as JSON; the first frame.
    Request = 1,
    Stdin = 2,
    StdinEnd = 3,
    /// Width and height, two bytes each, little endian.
    Resize = 4,
    /// To the agent: the command runs.
    Started = 5,
    /// It does not, and why.
    Failed = 6,
    Stdout = 7,
    Stderr = 8,
    /// The exit code, four bytes, little endian; the last frame.
    Exited = 9,
}

/// What precedes the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::driver) struct Head {
    pub tag: Tag,
    pub length: usize,
}

impl Head {
    pub(in crate::driver) const SIZE: usize = 5;
    /// Bytes in one frame. Requests may be larger than what is read from a pipe at once.
    pub(in crate::driver) const MAX: usize = 1 << 20;

    pub(in crate::driver) fn parse(bytes: [u8; Self::SIZE]) -> io::Result<Self> {
        let [tag, length @ ..] = bytes;
        let tag = match tag {
            1 => Tag::Request,
            2 => Tag::Stdin,
            3 => Tag::StdinEnd,
            4 => Tag::Resize,
            5 => Tag::Started,
            6 => Tag::Failed,
            7 => Tag::Stdout,
            8 => Tag::Stderr,
            9 => Tag::Exited,
            _ => return Err(invalid("a tag that does not exist")),
        };
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > Self::MAX {
            return Err(invalid("a frame that is too long"));
        }
        Ok(Self { tag, length })
    }

    /// A whole frame. `bytes` beyond [`Self::MAX`] are the caller's mistake and are cut.
    pub(in crate::driver) fn frame(tag: Tag, bytes: &[u8]) -> Vec<u8> {
        let bytes = &bytes[..bytes.len().min(Self::MAX)];
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut frame = Vec::with_capacity(Self::SIZE + bytes.len());
        frame.push(tag as u8);
        frame.extend(length.to_le_bytes());
        frame.extend(bytes);
        frame
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back() {
        let frame = Head::frame(Tag::Stdout, b"hello");
        let head = Head::parse(frame[..Head::SIZE].try_into().unwrap()).unwrap();
        assert_eq!(head, Head { tag: Tag::Stdout, length: 5 });
        assert!(Head::parse([0, 0, 0, 0, 0]).is_err());
        assert!(Head::parse([7, 255, 255, 255, 255]).is_err());
    }
}
