//! ◆ Modes as Go prints them, and what a file holds as Go guesses it.

use nix::sys::stat::{Mode, SFlag, mode_t};

use super::files::FileInfo;

/// `-rw-r--r--`, `drwxr-xr-x`, `dtrwxrwxrwx`: Go's `FileMode.String`.
pub(super) fn go_mode(mode: mode_t) -> String {
    let kind = SFlag::from_bits_truncate(mode) & SFlag::S_IFMT;
    let bits = Mode::from_bits_truncate(mode);
    let mut text = match kind {
        SFlag::S_IFDIR => "d",
        SFlag::S_IFLNK => "L",
        SFlag::S_IFBLK | SFlag::S_IFCHR => "D",
        SFlag::S_IFIFO => "p",
        SFlag::S_IFSOCK => "S",
        _ => "",
    }
    .to_owned();
    let special = [
        (bits.contains(Mode::S_ISUID), 'u'),
        (bits.contains(Mode::S_ISGID), 'g'),
        (kind == SFlag::S_IFCHR, 'c'),
        (bits.contains(Mode::S_ISVTX), 't'),
    ];
    text.extend(special.iter().filter(|(set, _)| *set).map(|(_, letter)| letter));
    if text.is_empty() {
        text.push('-');
    }
    for (n, letter) in "rwxrwxrwx".chars().enumerate() {
        text.push(if mode & (0o400 >> n) != 0 { letter } else { '-' });
    }
    text
}

/// What a file holds: by its name's ending, else by its first bytes.
pub(super) fn content_type(info: &FileInfo, start: &[u8]) -> String {
    const BINARY: &str = "application/octet-stream";
    if info.is_dir {
        return BINARY.to_owned();
    }
    let ending = info.name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let known = match ending.as_deref() {
        Some("txt") => "text/plain; charset=utf-8",
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("xml") => "text/xml; charset=utf-8",
        Some("json") => "application/json",
        Some("pdf") => "application/pdf",
        Some("wasm") => "application/wasm",
        Some("gif") => "image/gif",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        Some("webp") => "image/webp",
        Some(_) | None => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let magic: [(&[u8], &str); 6] = [
        (b"\x1f\x8b\x08", "application/x-gzip"),
        (b"PK\x03\x04", "application/zip"),
        (b"%PDF-", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF8", "image/gif"),
        (b"<!DOCTYPE HTML", "text/html; charset=utf-8"),
    ];
    if let Some((_, found)) = magic.iter().find(|(prefix, _)| start.starts_with(prefix)) {
        return (*found).to_owned();
    }
    let control = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    if start.iter().any(control) { BINARY } else { "text/plain; charset=utf-8" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_read_as_in_go() {
        let cases = [
            (0o100_644, "-rw-r--r--"),
            (0o040_777, "drwxrwxrwx"),
            (0o041_777, "dtrwxrwxrwx"),
            (0o010_600, "prw-------"),
            (0o140_666, "Srw-rw-rw-"),
            (0o104_755, "urwxr-xr-x"),
            (0o020_666, "Dcrw-rw-rw-"),
        ];
        for (mode, text) in cases {
            assert_eq!(go_mode(mode), text);
        }
    }
}
