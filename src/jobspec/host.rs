//! ◇ What a job file may ask of the machine it is read on: files, randomness, the working directory.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::error::ParseError;
use super::source::Source;

/// Largest file that a job file may include, and largest job file.
const MAX_FILE: u64 = 4 << 20;
/// Most files that `fileset` looks at.
const MAX_FILES: usize = 20_000;

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// There is none.
    Missing,
    /// It is larger than anything a job needs.
    TooLarge,
    /// Something else, in words.
    Other(String),
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Nothing.
    Missing,
    /// A regular file.
    File,
    /// Something else, told by its mode.
    Other(String),
}

/// What functions may ask for. A test or a server brings its own.
pub trait Host {
    /// Whether functions may look at files and paths at all.
    fn allows_files(&self) -> bool;
    /// The content of a file.
    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError>;
    /// What stands at a path.
    fn entry(&self, path: &str) -> Entry;
    /// All regular files below a folder, relative to it. A folder that does not exist is empty.
    fn walk(&self, folder: &str) -> Result<Vec<String>, String>;
    /// The folder that relative paths start from.
    fn working_directory(&self) -> Option<String>;
    /// The user's home.
    fn home(&self) -> Option<String>;
    /// Sixteen random bytes.
    fn random(&self) -> [u8; 16];
}

/// The machine itself: for the command line.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalHost;

impl Host for LocalHost {
    fn allows_files(&self) -> bool {
        true
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        let other = |error: io::Error| ReadError::Other(error.to_string());
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ReadError::Missing);
            }
            Err(error) => return Err(other(error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(other)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE {
            return Err(ReadError::TooLarge);
        }
        Ok(bytes)
    }

    fn entry(&self, path: &str) -> Entry {
        match fs::metadata(path) {
            Err(_) => Entry::Missing,
            Ok(data) if data.is_file() => Entry::File,
            Ok(data) => Entry::Other(mode_text(data.permissions().mode(), data.is_dir())),
        }
    }

    fn walk(&self, folder: &str) -> Result<Vec<String>, String> {
        let mut files = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(below) = folders.pop() {
            let Ok(entries) = fs::read_dir(Path::new(folder).join(&below)) else { continue };
            for entry in entries.flatten() {
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = if below.is_empty() { name } else { format!("{below}/{name}") };
                // Links are followed to files, not to folders: a circle of links must end.
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_folder {
                    folders.push(path);
                } else if fs::metadata(entry.path()).is_ok_and(|data| data.is_file()) {
                    files.push(path);
                }
            }
            if files.len() + folders.len() > MAX_FILES {
                return Err(format!("more than {MAX_FILES} files"));
            }
        }
        files.sort();
        Ok(files)
    }

    fn working_directory(&self) -> Option<String> {
        std::env::current_dir().ok()?.into_os_string().into_string().ok()
    }

    fn home(&self) -> Option<String> {
        std::env::var("HOME").ok().filter(|home| !home.is_empty())
    }

    fn random(&self) -> [u8; 16] {
        random()
    }
}

/// A host without files: for text that came over the network.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl Host for NoFiles {
    fn allows_files(&self) -> bool {
        false
    }

    fn read(&self, _path: &str) -> Result<Vec<u8>, ReadError> {
        Err(ReadError::Missing)
    }

    fn entry(&self, _path: &str) -> Entry {
        Entry::Missing
    }

    fn walk(&self, _folder: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn working_directory(&self) -> Option<String> {
        None
    }

    fn home(&self) -> Option<String> {
        None
    }

    fn random(&self) -> [u8; 16] {
        random()
    }
}

/// Two random identifiers folded over each other, so that their fixed bits do not show.
fn random() -> [u8; 16] {
    let mut bytes = *uuid::Uuid::new_v4().as_bytes();
    let mut other = *uuid::Uuid::new_v4().as_bytes();
    other.rotate_left(5);
    for (byte, other) in bytes.iter_mut().zip(other) {
        *byte ^= other;
    }
    bytes
}

/// Reads a job file or variable file for [`super::parse`].
pub fn read_source(path: &str) -> Result<Source, ParseError> {
    let why = match LocalHost.read(path) {
        Ok(bytes) => return Ok(Source::new(path, bytes)),
        Err(ReadError::Missing) => "no such file or directory".to_owned(),
        Err(ReadError::TooLarge) => "it is larger than any job file may be".to_owned(),
        Err(ReadError::Other(why)) => why,
    };
    Err(ParseError::nowhere("Failed to read file", format!("failed to read {path:?}: {why}")))
}

fn mode_text(mode: u32, folder: bool) -> String {
    let mut text = String::from(if folder { "d" } else { "-" });
    for shift in [6, 3, 0] {
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            text.push(if mode >> shift & bit == 0 { '-' } else { letter });
        }
    }
    text
}
