//! ◇ Images in files of this machine: OCI layout directories, the same as a tar file, and what `docker save` writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use serde::Deserialize;

use super::digest::Digest;
use super::entries::{Entries, Kind, TarError};
use super::manifest::{Descriptor, Manifest, ManifestError, Platform};
use super::upload::nameless;
use crate::sys::fs::open_beneath;

/// Longer JSON than any manifest or configuration is.
pub(super) const MAX_JSON: u64 = 8 << 20;

/// More files than an archive of images has.
const MAX_FILES: usize = 100_000;

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Why files do not hold the image asked for.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("cannot open `{0}`")]
    Open(PathBuf, #[source] io::Error),
    #[error("cannot be decompressed")]
    Unpack(#[source] io::Error),
    #[error("not a tar archive")]
    Tar(#[source] TarError),
    #[error("has neither `index.json` nor `manifest.json`: it is not an image")]
    NotAnImage,
    #[error("`{0}` is missing")]
    Missing(String),
    #[error("`{0}` cannot be read")]
    Read(String, #[source] io::Error),
    #[error("`{0}` is longer than {MAX_JSON} bytes")]
    TooLong(String),
    #[error("`{0}` is not the JSON expected there")]
    Json(String, #[source] serde_json::Error),
    #[error("`{path}` has digest `{found}`")]
    Digest { path: String, found: Digest },
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("has no image `{wanted}`: it has {found}")]
    NoSuchImage { wanted: String, found: String },
    #[error("has several images, add one of these names to the reference: {0}")]
    Several(String),
    #[error("has more than {MAX_FILES} files")]
    Files,
}

/// A run of bytes in a file.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    file: Arc<File>,
    offset: u64,
    pub(super) length: u64,
}

impl Read for Piece {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.length).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..most], self.offset)?;
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += read as u64;
        self.length -= read as u64;
        Ok(read)
    }
}

/// An image found in files. Nothing of it is verified but the manifest.
#[derive(Debug)]
pub(super) struct Found {
    /// What the files call it, in full or only a tag.
    pub(super) names: Vec<String>,
    pub(super) manifest: Option<Digest>,
    pub(super) config: Vec<u8>,
    /// Lowest first, each with the digest its manifest states, where it has one.
    pub(super) layers: Vec<(Option<Digest>, Piece)>,
}

/// Where the files are.
#[derive(Debug)]
pub(super) enum Tree {
    Directory(File),
    Archive { file: Arc<File>, index: BTreeMap<Vec<u8>, Member> },
}

/// A file in an archive.
#[derive(Debug)]
pub(super) enum Member {
    Data { offset: u64, length: u64 },
    Link(Vec<u8>),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

impl Tree {
    /// Opens a layout directory or a tar archive. A compressed archive is first written out to `scratch`, a directory,
    /// as far as `most` bytes. Blocking.
    pub(super) fn open(path: &Path, scratch: &Path, most: u64) -> Result<Self, LocalError> {
        let open = |error| LocalError::Open(path.to_owned(), error);
        let metadata = std::fs::metadata(path).map_err(open)?;
        if metadata.is_dir() {
            return File::open(path).map(Self::Directory).map_err(open);
        }
        if !metadata.is_file() {
            return Err(open(io::Error::other("neither a file nor a directory")));
        }
        Self::archive(File::open(path).map_err(open)?, scratch, most)
    }

    /// The same for a tar archive that is open.
    pub(super) fn archive(mut file: File, scratch: &Path, most: u64) -> Result<Self, LocalError> {
        file.seek(SeekFrom::Start(0)).map_err(LocalError::Unpack)?;
        if let Some(plain) = decompressed(&file, scratch, most).map_err(LocalError::Unpack)? {
            file = plain;
        }
        let index = index(&file)?;
        Ok(Self::Archive { file: Arc::new(file), index })
    }

    /// Every image the files hold for a platform.
    pub(super) fn images(&self, platform: &Platform) -> Result<Vec<Found>, LocalError> {
        // `docker save` of today writes both; its own form has the names in full.
        if self.piece("manifest.json").is_ok() {
            return self.saved()?.iter().map(|saved| self.read_saved(saved)).collect();
        }
        let index = self.index_json()?;
        let mut groups: BTreeMap<Option<&str>, Vec<Descriptor>> = BTreeMap::new();
        for entry in &index {
            groups.entry(name_of(entry)).or_default().push(entry.clone());
        }
        groups.values().map(|group| self.read_oci(group, platform)).collect()
    }

    /// The image called `tag` in an OCI layout, or its only one.
    pub(super) fn oci_image(
        &self,
        tag: Option<&str>,
        platform: &Platform,
    ) -> Result<Found, LocalError> {
        let index = self.index_json()?;
        let is_called = |entry: &&Descriptor| {
            let names = [REF_NAME, CONTAINERD_NAME]
                .map(|key| entry.annotations.get(key).map(String::as_str));
            tag.is_none() || names.contains(&tag)
        };
        let called: Vec<Descriptor> = index.iter().filter(is_called).cloned().collect();
        let mut names: Vec<&str> = index.iter().filter_map(name_of).collect();
        names.sort_unstable();
        names.dedup();
        match tag {
            Some(tag) if called.is_empty() => {
                Err(LocalError::NoSuchImage { wanted: tag.to_owned(), found: listed(&names) })
            }
            None if names.len() > 1 => Err(LocalError::Several(listed(&names))),
            Some(_) | None => self.read_oci(&called, platform),
        }
    }

    /// The image called `name` in what `docker save` wrote, or its only one.
    pub(super) fn docker_image(
        &self,
        name: Option<&str>,
        platform: &Platform,
    ) -> Result<Found, LocalError> {
        if self.piece("manifest.json").is_err() {
            return self.oci_image(name, platform);
        }
        let saved = self.saved()?;
        let names: Vec<&str> = saved
            .iter()
            .flat_map(|saved| saved.repo_tags.iter().flatten())
            .map(String::as_str)
            .collect();
        let is_called = |saved: &&Saved| match name {
            None => true,
            Some(name) => saved.repo_tags.iter().flatten().any(|tag| same_name(tag, name)),
        };
        let mut called = saved.iter().filter(is_called);
        match (called.next(), called.next()) {
            (Some(saved), None) => self.read_saved(saved),
            (Some(_), Some(_)) => Err(LocalError::Several(listed(&names))),
            (None, _) => Err(LocalError::NoSuchImage {
                wanted: name.unwrap_or("any").to_owned(),
                found: listed(&names),
            }),
        }
    }

    fn piece(&self, path: &str) -> Result<Piece, LocalError> {
        match self {
            Self::Directory(dir) => {
                let read = |error| LocalError::Read(path.to_owned(), error);
                // Not to wait for a pipe that somebody has put there.
                let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
                let fd =
                    open_beneath(dir, Path::new(path), flags, Mode::empty()).map_err(|error| {
                        match error.kind() {
                            io::ErrorKind::NotFound => LocalError::Missing(path.to_owned()),
                            _ => read(error),
                        }
                    })?;
                let file = File::from(fd);
                let metadata = file.metadata().map_err(read)?;
                if !metadata.is_file() {
                    return Err(read(io::Error::other("not a file")));
                }
                Ok(Piece { file: Arc::new(file), offset: 0, length: metadata.len() })
            }
            Self::Archive { file, index } => {
                let mut name = normal(path.as_bytes());
                // Layers of old archives are links to each other; one hop, or two, never a loop.
                for _ in 0..4 {
                    match index.get(&name) {
                        Some(Member::Data { offset, length }) => {
                            return Ok(Piece {
                                file: Arc::clone(file),
                                offset: *offset,
                                length: *length,
                            });
                        }
                        Some(Member::Link(target)) => name.clone_from(target),
                        None => break,
                    }
                }
                Err(LocalError::Missing(path.to_owned()))
            }
        }
    }

    fn bytes(&self, path: &str) -> Result<Vec<u8>, LocalError> {
        let mut piece = self.piece(path)?;
        if piece.length > MAX_JSON {
            return Err(LocalError::TooLong(path.to_owned()));
        }
        let mut bytes = Vec::new();
        piece.read_to_end(&mut bytes).map_err(|error| LocalError::Read(path.to_owned(), error))?;
        Ok(bytes)
    }

    fn blob_path(digest: &Digest) -> String {
        format!("blobs/sha256/{}", digest.hex())
    }

    fn blob(&self, digest: &Digest) -> Result<Vec<u8>, LocalError> {
        let path = Self::blob_path(digest);
        let bytes = self.bytes(&path)?;
        let found = Digest::of(&bytes);
        if found == *digest { Ok(bytes) } else { Err(LocalError::Digest { path, found }) }
    }

    fn index_json(&self) -> Result<Vec<Descriptor>, LocalError> {
        let bytes = self.bytes("index.json").map_err(|error| match error {
            LocalError::Missing(_) => LocalError::NotAnImage,
            error => error,
        })?;
        match Manifest::parse(&bytes)? {
            Manifest::Index(entries) => Ok(entries),
            Manifest::Image { .. } => Err(LocalError::NotAnImage),
        }
    }

    /// The image for a platform among entries that have one name.
    fn read_oci(&self, entries: &[Descriptor], platform: &Platform) -> Result<Found, LocalError> {
        let mut chosen = platform.choose(entries)?.clone();
        // A bare tag is not a name to keep an image by.
        let names = name_of(&chosen)
            .filter(|name| name.contains(['/', ':']))
            .map(str::to_owned)
            .into_iter()
            .collect();
        let mut depth = 0;
        let (config, layers) = loop {
            match Manifest::parse(&self.blob(&chosen.digest)?)? {
                Manifest::Image { config, layers } => break (config, layers),
                Manifest::Index(_) if depth > 4 => return Err(LocalError::NotAnImage),
                Manifest::Index(entries) => chosen = platform.choose(&entries)?.clone(),
            }
            depth += 1;
        };
        let layers = layers
            .iter()
            .map(|layer| Ok((Some(layer.digest), self.piece(&Self::blob_path(&layer.digest))?)))
            .collect::<Result<_, LocalError>>()?;
        Ok(Found {
            names,
            manifest: Some(chosen.digest),
            config: self.blob(&config.digest)?,
            layers,
        })
    }

    fn saved(&self) -> Result<Vec<Saved>, LocalError> {
        let path = "manifest.json";
        let bytes = self.bytes(path)?;
        serde_json::from_slice(&bytes).map_err(|error| LocalError::Json(path.to_owned(), error))
    }

    fn read_saved(&self, saved: &Saved) -> Result<Found, LocalError> {
        let layers = saved.layers.iter().flatten();
        Ok(Found {
            names: saved.repo_tags.clone().unwrap_or_default(),
            manifest: None,
            config: self.bytes(&saved.config)?,
            layers: layers
                .map(|path| Ok((None, self.piece(path)?)))
                .collect::<Result<_, LocalError>>()?,
        })
    }
}

fn name_of(entry: &Descriptor) -> Option<&str> {
    entry
        .annotations
        .get(CONTAINERD_NAME)
        .or_else(|| entry.annotations.get(REF_NAME))
        .map(String::as_str)
}

/// Whether two names mean the same image, one of them perhaps shortened.
fn same_name(a: &str, b: &str) -> bool {
    use super::reference::Reference;
    a == b || matches!((a.parse::<Reference>(), b.parse::<Reference>()), (Ok(a), Ok(b)) if a == b)
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none with a name".to_owned() } else { names.join(", ") }
}

/// A path in an archive without `.`, empty parts and `..`, which goes up lexically and not above the top.
fn normal(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

fn index(file: &File) -> Result<BTreeMap<Vec<u8>, Member>, LocalError> {
    let mut index = BTreeMap::new();
    let mut file = file;
    file.seek(SeekFrom::Start(0)).map_err(|error| LocalError::Tar(TarError::Read(error)))?;
    let mut entries = Entries::seeking(file);
    while let Some(entry) = entries.next().map_err(LocalError::Tar)? {
        let name = normal(&entry.path);
        let member = match entry.kind {
            Kind::File if entry.map.is_none() => {
                Member::Data { offset: entries.position(), length: entry.size }
            }
            Kind::Symlink => {
                let parent = name
                    .iter()
                    .rposition(|byte| *byte == b'/')
                    .map_or(&[][..], |slash| &name[..slash]);
                Member::Link(normal(&[parent, b"/", &entry.link].concat()))
            }
            Kind::HardLink => Member::Link(normal(&entry.link)),
            _ => continue,
        };
        if index.len() >= MAX_FILES {
            return Err(LocalError::Files);
        }
        index.insert(name, member);
    }
    Ok(index)
}

/// A plain copy of a compressed archive, in a file without a name; `None` when it is plain already.
fn decompressed(file: &File, scratch: &Path, most: u64) -> io::Result<Option<File>> {
    let mut magic = [0; 4];
    let read = file.read_at(&mut magic, 0)?;
    let mut reader: Box<dyn Read + '_> = match magic[..read] {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::stream::read::Decoder::new(file)?),
        _ => return Ok(None),
    };
    let mut plain = nameless(scratch)?;
    let copied = io::copy(&mut reader.by_ref().take(most), &mut plain)?;
    if copied == most && reader.read(&mut [0])? > 0 {
        return Err(io::Error::other(format!("unpacks to more than {most} bytes")));
    }
    plain.flush()?;
    Ok(Some(plain))
}
