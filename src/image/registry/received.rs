//! ◇ The way of a blob from the download to the thread that unpacks.

use std::io::{self, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

/// A piece of a blob, or its proper end.
#[derive(Debug)]
pub(in crate::image) enum Chunk {
    Bytes(Bytes),
    End,
}

/// The receiving end, for the thread that unpacks.
#[derive(Debug)]
pub(in crate::image) struct Received {
    receiver: mpsc::Receiver<Chunk>,
    current: Bytes,
    ended: bool,
}

impl Received {
    pub(in crate::image) fn new(receiver: mpsc::Receiver<Chunk>) -> Self {
        Self { receiver, current: Bytes::new(), ended: false }
    }
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Chunk::Bytes(bytes)) => self.current = bytes,
                Some(Chunk::End) => self.ended = true,
                // Nobody sends any more: the pull was given up, or the sender knows why.
                None => {
                    return Err(io::Error::new(io::ErrorKind::BrokenPipe, "download was given up"));
                }
            }
        }
        let read = buffer.len().min(self.current.len());
        buffer[..read].copy_from_slice(&self.current.split_to(read));
        Ok(read)
    }
}
