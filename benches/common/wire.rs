//! HTTP/1.1 over one connection that is kept: as little client as possible, so that the server is what is measured.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// A connection that asks and waits for the answer.
pub(crate) struct Wire<S: Read + Write> {
    stream: BufReader<S>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// From `X-Nomad-Index`; zero where there is none.
    pub(crate) index: u64,
    body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; an error of the server ends the benchmark with its words.
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert!(self.status < 300, "the server answered {}: {text}", self.status);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

impl Wire<TcpStream> {
    /// Connects to `host:port`.
    pub(crate) fn tcp(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }
}

impl<S: Read + Write> Wire<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream: BufReader::with_capacity(64 << 10, stream) }
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        self.answer()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the server closed the connection");
        line
    }

    fn answer(&mut self) -> Answer {
        let first = self.line();
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap();
        let (mut index, mut length, mut is_chunked) = (0, 0, false);
        loop {
            let line = self.line();
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "x-nomad-index" => index = value.parse().unwrap(),
                "content-length" => length = value.parse().unwrap(),
                "transfer-encoding" => is_chunked = value == "chunked",
                _ => {}
            }
        }
        let mut body = Vec::new();
        if is_chunked {
            self.chunks(&mut body);
        } else {
            body.resize(length, 0);
            self.stream.read_exact(&mut body).unwrap();
        }
        Answer { status, index, body }
    }

    fn chunks(&mut self, body: &mut Vec<u8>) {
        loop {
            let size = usize::from_str_radix(self.line().trim(), 16).unwrap();
            let start = body.len();
            body.resize(start + size, 0);
            self.stream.read_exact(&mut body[start..]).unwrap();
            self.line();
            if size == 0 {
                return;
            }
        }
    }
}
