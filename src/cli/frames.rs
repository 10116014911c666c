//! ◆ Nomad's framed streams: JSON objects one after the other, each with a piece of a file in base64.

use base64::Engine as _;
use serde_json::Value;

/// Pieces of a stream that have not made a whole frame yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    rest: Vec<u8>,
}

impl Frames {
    /// Takes what came and returns the data of the frames that are whole now. A frame without data is a heartbeat.
    pub(super) fn push(&mut self, piece: &[u8]) -> Vec<Vec<u8>> {
        self.rest.extend_from_slice(piece);
        let mut stream = serde_json::Deserializer::from_slice(&self.rest).into_iter::<Value>();
        let mut found = Vec::new();
        let mut used = 0;
        while let Some(Ok(frame)) = stream.next() {
            used = stream.byte_offset();
            if let Some(data) = frame["Data"].as_str() {
                found.extend(base64::engine::general_purpose::STANDARD.decode(data));
            }
        }
        self.rest.drain(..used);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Frames;

    #[test]
    fn frames_may_come_in_pieces() {
        let mut frames = Frames::default();
        assert!(frames.push(b"{\"Data\":\"aG").is_empty());
        assert_eq!(frames.push(b"k=\"}{}"), [b"hi".to_vec()]);
    }
}
