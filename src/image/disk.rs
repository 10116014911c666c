//! ◇ The store's files: where each thing is, and how it comes and goes in one step.
//!
//! ```text
//! <root>/                 0700
//!   lock                  held while a process has the store open
//!   boot                  the boot during which the store was last opened
//!   names.json            canonical reference → image id, manifest digest
//!   images/<id>.json      the image's configuration as it was pulled, and its layers' lengths
//!   layers/<diff id>/     diff/: the tree, a lowerdir of overlayfs · layer.json: its length
//!   empty/                the lowerdir of an image without layers
//!   tmp/                  what is being made or removed; emptied at the next open
//! ```
//! A layer is unpacked in `tmp` and renamed into `layers` when it is complete and verified. An image is written after
//! its layers have reached the disk (one syncfs(2)), so after a power cut a layer of an image is whole. A layer of
//! no image may then be torn: after another boot such layers are removed, after a mere crash they are kept.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::catalog::{Layer, Record, Target};
use super::config::Config;
use super::digest::Digest;
use super::error::ImageError;
use super::remove;
use crate::sys::fs::write_atomic;

const FORMAT: u32 = 1;

/// The directory of a store.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

/// What was found in it.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) records: Vec<Arc<Record>>,
    pub(super) names: BTreeMap<String, Target>,
    /// Layers of no image that are whole.
    pub(super) loose: Vec<Layer>,
}

#[derive(Serialize, Deserialize)]
struct ImageFile {
    format: u32,
    /// The very bytes the id is the digest of.
    config: String,
    layers: Vec<Layer>,
}

#[derive(Serialize, Deserialize)]
struct NamesFile {
    format: u32,
    names: BTreeMap<String, Target>,
}

#[derive(Serialize, Deserialize)]
struct LayerFile {
    format: u32,
    size: u64,
}

/// A temporary directory in the store, removed with everything in it when dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "temporary directory of the image store is left; the next start removes it");
        }
    }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    remove::empty(File::open(path)?)?;
    fs::remove_dir(path)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::Store { action, path, source }
}

fn make_dir(path: &Path, mode: u32) -> Result<(), ImageError> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    // The mode of a directory that was there, or was made under another umask.
    made.and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
        .map_err(failed("make", path))
}

impl Disk {
    /// Opens the store, or makes it. One process at a time.
    pub(super) fn open(root: &Path) -> Result<Self, ImageError> {
        if let Some(parent) = root.parent() {
            fs::create_dir_all(parent).map_err(failed("make", parent))?;
        }
        make_dir(root, 0o700)?;
        for name in ["images", "layers", "tmp"] {
            make_dir(&root.join(name), 0o700)?;
        }
        make_dir(&root.join("empty"), 0o755)?;
        let path = root.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_owned(), _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(ImageError::Locked { path: root.to_owned() }),
            Err(fs::TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
        }
    }

    pub(super) fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("layers").join(diff_id.hex()).join("diff")
    }

    pub(super) fn empty_layer(&self) -> PathBuf {
        self.root.join("empty")
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    fn image(&self, id: &Digest) -> PathBuf {
        self.root.join("images").join(format!("{}.json", id.hex()))
    }

    /// Reads everything, leaving out what is damaged, and removes what a crash has left.
    pub(super) fn load(&self) -> Result<Contents, ImageError> {
        let mut contents = Contents::default();
        let mut on_disk = self.layers_on_disk()?;
        for path in listed(&self.root.join("images"))? {
            match read_record(&path) {
                Ok(record)
                    if record.layers.iter().all(|layer| on_disk.contains_key(&layer.diff_id)) =>
                {
                    contents.records.push(Arc::new(record));
                }
                Ok(_) => Self::put_aside(&path, "a layer of the image is missing")?,
                Err(error) => Self::put_aside(&path, &error.to_string())?,
            }
        }
        for layer in contents.records.iter().flat_map(|record| &record.layers) {
            on_disk.remove(&layer.diff_id);
        }
        contents.names = self.read_names();
        contents
            .names
            .retain(|_, target| contents.records.iter().any(|record| record.id == target.image));
        let same_boot = self.is_same_boot();
        for (diff_id, path) in on_disk {
            match read_json::<LayerFile>(&path.join("layer.json")) {
                Ok(file) if same_boot => contents.loose.push(Layer { diff_id, size: file.size }),
                Ok(_) | Err(_) => drop(self.discard(&path)?),
            }
        }
        self.write_boot()?;
        Ok(contents)
    }

    fn layers_on_disk(&self) -> Result<BTreeMap<Digest, PathBuf>, ImageError> {
        let paths = listed(&self.root.join("layers"))?;
        Ok(paths.into_iter().filter_map(|path| Some((digest_of_name(&path)?, path))).collect())
    }

    fn put_aside(path: &Path, why: &str) -> Result<(), ImageError> {
        tracing::warn!(path = %path.display(), why, "image left out of the store");
        fs::remove_file(path).map_err(failed("remove", path))
    }

    fn read_names(&self) -> BTreeMap<String, Target> {
        let path = self.root.join("names.json");
        match read_json::<NamesFile>(&path) {
            Ok(file) => file.names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "names of images are lost; they come back with the next pull");
                BTreeMap::new()
            }
        }
    }

    fn is_same_boot(&self) -> bool {
        fs::read_to_string(self.root.join("boot")).is_ok_and(|boot| boot == this_boot())
    }

    fn write_boot(&self) -> Result<(), ImageError> {
        let path = self.root.join("boot");
        if self.is_same_boot() {
            return Ok(());
        }
        write_atomic(&path, this_boot().as_bytes(), 0o600).map_err(failed("write", &path))
    }

    /// Removes paths of `tmp`. Blocking, perhaps for long.
    pub(super) fn sweep(leftovers: Vec<PathBuf>) {
        for path in leftovers {
            let removed = if path.is_dir() { remove_tree(&path) } else { fs::remove_file(&path) };
            if let Err(error) = removed {
                tracing::warn!(path = %path.display(), %error, "leftover of the image store cannot be removed");
            }
        }
    }

    /// What an earlier process has left in `tmp`.
    pub(super) fn leftovers(&self) -> Result<Vec<PathBuf>, ImageError> {
        listed(&self.tmp())
    }

    /// A new, empty temporary directory.
    pub(super) fn scratch(&self) -> Result<Scratch, ImageError> {
        let path = self.tmp().join(crate::sys::ids::uuid());
        make_dir(&path, 0o700)?;
        Ok(Scratch { path })
    }

    /// Moves a directory of `layers` out of sight, in one step.
    fn discard(&self, path: &Path) -> Result<PathBuf, ImageError> {
        let to = self.tmp().join(crate::sys::ids::uuid());
        fs::rename(path, &to).map_err(failed("remove", path))?;
        Ok(to)
    }

    /// Takes a layer out of the store. Its files are then where the result says, for [`Disk::sweep`].
    pub(super) fn remove_layer(&self, diff_id: &Digest) -> Result<PathBuf, ImageError> {
        self.discard(&self.root.join("layers").join(diff_id.hex()))
    }

    /// Takes an image out of the store; its layers stay.
    pub(super) fn remove_image(&self, id: &Digest) -> Result<(), ImageError> {
        let path = self.image(id);
        fs::remove_file(&path).map_err(failed("remove", &path))
    }

    /// Makes the finished layer of a [`Staged`] one of the store's, unless it has it already.
    pub(super) fn publish_layer(&self, staged: &Staged, layer: &Layer) -> Result<(), ImageError> {
        let json = to_json(&LayerFile { format: FORMAT, size: layer.size });
        let from = staged.scratch.path.join("layer");
        let path = from.join("layer.json");
        fs::write(&path, json).map_err(failed("write", &path))?;
        let to = self.root.join("layers").join(layer.diff_id.hex());
        match fs::rename(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                Err(failed("make", &to)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Waits until everything written so far is on the disk.
    pub(super) fn sync(&self) -> Result<(), ImageError> {
        File::open(&self.root)
            .and_then(|root| nix::unistd::syncfs(root).map_err(Into::into))
            .map_err(failed("sync", &self.root))
    }

    pub(super) fn write_image(&self, record: &Record, config: &str) -> Result<(), ImageError> {
        let file =
            ImageFile { format: FORMAT, config: config.to_owned(), layers: record.layers.clone() };
        let path = self.image(&record.id);
        write_atomic(&path, &to_json(&file), 0o600).map_err(failed("write", &path))
    }

    pub(super) fn write_names(&self, names: &BTreeMap<String, Target>) -> Result<(), ImageError> {
        let path = self.root.join("names.json");
        let file = NamesFile { format: FORMAT, names: names.clone() };
        write_atomic(&path, &to_json(&file), 0o600).map_err(failed("write", &path))
    }
}

/// A layer in the making.
#[derive(Debug)]
pub(super) struct Staged {
    scratch: Scratch,
    pub(super) root: File,
    pub(super) discard: File,
}

impl Staged {
    pub(super) fn new(scratch: Scratch) -> Result<Self, ImageError> {
        let (layer, discard) = (scratch.path.join("layer"), scratch.path.join("discard"));
        make_dir(&layer, 0o700)?;
        let root = layer.join("diff");
        make_dir(&root, 0o755)?;
        make_dir(&discard, 0o700)?;
        let open = |path: &Path| File::open(path).map_err(failed("open", path));
        Ok(Self { root: open(&root)?, discard: open(&discard)?, scratch })
    }
}

fn listed(path: &Path) -> Result<Vec<PathBuf>, ImageError> {
    fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(failed("read", path))
}

fn digest_of_name(path: &Path) -> Option<Digest> {
    Digest::from_hex(path.file_name()?.to_str()?).ok()
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<T> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value)
        .expect("our own structures have only string keys and no failing parts")
}

fn read_record(path: &Path) -> io::Result<Record> {
    let file: ImageFile = read_json(path)?;
    let id = path.file_stem().and_then(|stem| Digest::from_hex(stem.to_str()?).ok());
    if id != Some(Digest::of(file.config.as_bytes())) {
        return Err(io::Error::other(
            "the configuration does not have the digest it is filed under",
        ));
    }
    let config = Config::parse(file.config.as_bytes())?;
    if !config.diff_ids.iter().eq(file.layers.iter().map(|layer| &layer.diff_id)) {
        return Err(io::Error::other("the layers are not those of the configuration"));
    }
    let id = Digest::of(file.config.as_bytes());
    Ok(Record { id, config: Arc::new(config.image), layers: file.layers })
}

fn this_boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}
