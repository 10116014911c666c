//! ◆ The bytes of netlink messages: a header, a fixed part, and nested attributes (RFC 3549, netlink(7)).
//! Everything is padded to four bytes. Integers are in the host's order unless a name says `be`.

/// A constant of the kernel's headers as the 16 bits that a message has for it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "libc has all constants as i32; those of messages and flags are small and positive"
)]
pub(crate) const fn half(constant: i32) -> u16 {
    constant as u16
}

const HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
const NESTED: u16 = 1 << 15;
const TYPE_MASK: u16 = !(3 << 14);

/// Attributes under construction.
#[derive(Debug, Default)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let at = self.open(kind);
        self.0.extend_from_slice(value);
        self.close(at)
    }

    /// A text with the NUL the kernel expects.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let at = self.open(kind);
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(0);
        self.close(at)
    }

    pub(crate) fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    pub(crate) fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.nested_after(kind, &[], fill)
    }

    /// Attributes inside an attribute that begins with a fixed part.
    pub(crate) fn nested_after(
        &mut self,
        kind: u16,
        fixed: &[u8],
        fill: impl FnOnce(&mut Self),
    ) -> &mut Self {
        let at = self.open(kind | NESTED);
        self.0.extend_from_slice(fixed);
        fill(self);
        self.close(at)
    }

    fn open(&mut self, kind: u16) -> usize {
        let at = self.0.len();
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&kind.to_ne_bytes());
        at
    }

    fn close(&mut self, at: usize) -> &mut Self {
        let length = u16::try_from(self.0.len() - at)
            .expect("names are short and elements come in chunks, so no attribute reaches 64 KiB");
        self.0[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        pad(&mut self.0);
        self
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// A message to the kernel, complete but for its sequence number.
#[derive(Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    pub(crate) fn new(kind: u16, flags: u16, fixed: &[u8], attributes: &Attributes) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(fixed);
        pad(&mut bytes);
        bytes.extend_from_slice(&attributes.0);
        Self { bytes }
    }

    /// Adds flags to those it was made with.
    pub(crate) fn flag(&mut self, flags: u16) {
        let old = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]);
        self.bytes[6..8].copy_from_slice(&(old | flags).to_ne_bytes());
    }

    /// The bytes to send.
    pub(crate) fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).expect("a message is far below 4 GiB");
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

/// A message from the kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply<'a> {
    pub(crate) kind: u16,
    pub(crate) sequence: u32,
    /// The netlink port of whoever caused it.
    pub(crate) port: u32,
    /// Fixed part and attributes.
    pub(crate) body: &'a [u8],
}

impl<'a> Reply<'a> {
    /// The attributes after a fixed part of `fixed` bytes.
    pub(crate) fn attributes(
        &self,
        fixed: usize,
    ) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        attributes(self.body.get(fixed..).unwrap_or_default())
    }

    /// The errno of an error or acknowledgement, 0 for the latter; `None` for other messages.
    pub(crate) fn errno(&self) -> Option<i32> {
        (i32::from(self.kind) == libc::NLMSG_ERROR).then(|| {
            let code =
                self.body.first_chunk::<4>().map_or(libc::EBADMSG, |c| -i32::from_ne_bytes(*c));
            code.abs()
        })
    }
}

/// The messages of one datagram. A message cut short by a small buffer is the last one and keeps what arrived.
pub(crate) fn replies(mut datagram: &[u8]) -> impl Iterator<Item = Reply<'_>> {
    std::iter::from_fn(move || {
        let header = datagram.get(..HEADER)?;
        let word =
            |at: usize| header.get(at..at + 4)?.first_chunk().map(|c| u32::from_ne_bytes(*c));
        let length = word(0)? as usize;
        if length < HEADER {
            return None;
        }
        let body = datagram.get(HEADER..length.min(datagram.len()))?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Reply {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            sequence: word(8)?,
            port: word(12)?,
            body,
        })
    })
}

/// The attributes in `bytes`, each with its kind without flags.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = bytes.first_chunk::<ATTRIBUTE_HEADER>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & TYPE_MASK;
        let value = bytes.get(ATTRIBUTE_HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// A text attribute up to its NUL.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// A 32-bit attribute in host order.
pub(crate) fn u32_of(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|c| u32::from_ne_bytes(*c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut attributes_ = Attributes::default();
        attributes_.text(3, "eth0").nested(18, |inner| {
            inner.u32(1, 7).bytes(2, &[1, 2, 3]);
        });
        let bytes = Message::new(16, 1, &[9; 16], &attributes_).finish(5);
        let reply = replies(&bytes).next().unwrap();
        assert_eq!((reply.kind, reply.sequence, reply.errno()), (16, 5, None));
        let found: Vec<_> = reply.attributes(16).collect();
        assert_eq!((found[0].0, text(found[0].1).as_str()), (3, "eth0"));
        let inner: Vec<_> = attributes(found[1].1).collect();
        assert_eq!(u32_of(inner[0].1), Some(7));
        assert_eq!(inner[1], (2, &[1, 2, 3][..]));
    }

    proptest! {
        #[test]
        fn no_datagram_breaks_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for reply in replies(&bytes) {
                reply.errno();
                for (_, value) in reply.attributes(4) {
                    attributes(value).for_each(|(_, v)| drop(text(v)));
                }
            }
        }
    }
}
