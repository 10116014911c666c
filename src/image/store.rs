//! ◇ The store of images of one node.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedMutexGuard, Semaphore};

use super::catalog::{Catalog, Kept, Record, Removal};
use super::config::ImageConfig;
use super::credentials::Auth;
use super::digest::Digest;
use super::disk::Disk;
use super::error::ImageError;
use super::manifest::Platform;
use super::progress::Progress;
use super::pull::Files;
use super::reference::Reference;
use super::registry::{Registries, RegistryConfig};
use super::unpack::UnpackLimit;
use super::upload::Upload;
use crate::sys::clock;

/// Layers fetched and unpacked at once, over all images.
const PARALLEL_LAYERS: usize = 3;

/// What an operator may set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreConfig {
    pub registry: RegistryConfig,
    pub limit: UnpackLimit,
}

/// When to ask where an image comes from although the store has one of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PullPolicy {
    /// Only when the store has none. Files of this machine are always looked at: that costs nothing.
    #[default]
    IfNotPresent,
    /// Each time; layers that are there are not fetched again. Nomad: `force_pull`, and tag `latest`.
    Always,
    /// Not at all.
    Never,
}

/// What [`Store::ensure`] is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub reference: Reference,
    pub auth: Auth,
    pub policy: PullPolicy,
    /// This machine's when not given.
    pub platform: Option<Platform>,
}

impl Request {
    /// The image for this machine, as configured, fetched if the store has none.
    pub fn new(reference: Reference) -> Self {
        Self { reference, auth: Auth::default(), policy: PullPolicy::default(), platform: None }
    }

    #[must_use]
    pub fn policy(self, policy: PullPolicy) -> Self {
        Self { policy, ..self }
    }

    #[must_use]
    pub fn auth(self, auth: Auth) -> Self {
        Self { auth, ..self }
    }

    /// The image for another platform than this machine's, where one is given.
    #[must_use]
    pub fn for_platform(self, platform: Option<Platform>) -> Self {
        Self { platform, ..self }
    }

    pub(super) fn platform(&self) -> Platform {
        self.platform.clone().unwrap_or_else(Platform::host)
    }

    /// What the store files the answer under: one reference leads to an image for each platform.
    pub(super) fn name(&self) -> String {
        match &self.platform {
            Some(platform) if *platform != Platform::host() => {
                format!("{} {platform}", self.reference)
            }
            Some(_) | None => self.reference.to_string(),
        }
    }
}

/// The images of a node. Clones share everything.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) disk: Disk,
    pub(super) config: StoreConfig,
    pub(super) registries: Registries,
    pub(super) slots: Semaphore,
    /// What is there and who uses it. Never held across an await or for more than renames.
    catalog: Mutex<Catalog>,
    /// One lock per thing being fetched, so that it is fetched once.
    fetching: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    /// Whoever writes `names.json` holds this.
    names_writer: tokio::sync::Mutex<()>,
    opened: Instant,
}

/// An image that is ready to run. While any clone of it exists, the store keeps it.
#[derive(Debug, Clone)]
pub struct Image {
    /// The digest of its configuration.
    pub id: Digest,
    /// What it was asked for by.
    pub reference: Reference,
    /// Its layers as lowerdirs of overlayfs, lowest first. Never empty.
    pub layers: Vec<PathBuf>,
    pub config: Arc<ImageConfig>,
    /// Uncompressed bytes, shared layers included.
    pub size: u64,
    _lease: Arc<Lease>,
}

/// Keeps an image in the store until dropped.
#[derive(Debug)]
pub(super) struct Lease {
    inner: Arc<Inner>,
    id: Digest,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let now = self.inner.now_ms();
        self.inner.catalog().unpin(&self.id, now);
    }
}

/// A line of the list of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub id: Digest,
    /// Canonical references; empty when a later pull has taken them.
    pub references: Vec<String>,
    pub size: u64,
    pub layers: usize,
    pub in_use: bool,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    pub images: Vec<Digest>,
    pub layers: usize,
    /// Uncompressed bytes of those layers.
    pub bytes: u64,
}

impl Inner {
    pub(super) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now_ms(&self) -> u64 {
        let since = clock::monotonic().saturating_duration_since(self.opened);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for whoever else fetches the thing of that name.
    pub(super) async fn fetch_lock(&self, name: String) -> OwnedMutexGuard<()> {
        let lock = {
            let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
            fetching.retain(|_, lock| lock.strong_count() > 0);
            let entry = fetching.entry(name).or_default();
            entry.upgrade().unwrap_or_else(|| {
                let lock = Arc::new(tokio::sync::Mutex::new(()));
                *entry = Arc::downgrade(&lock);
                lock
            })
        };
        lock.lock_owned().await
    }

    /// Keeps an image, which need not be in the catalog yet.
    pub(super) fn lease(self: &Arc<Self>, id: Digest) -> Lease {
        let now = self.now_ms();
        self.catalog().pin(id, now);
        Lease { inner: Arc::clone(self), id }
    }

    /// Whether all layers of an image are still on disk. Those that somebody has deleted are forgotten.
    pub(super) fn is_whole(&self, record: &Record) -> bool {
        let diff_ids = record.layers.iter().map(|layer| layer.diff_id);
        let lost: BTreeSet<Digest> =
            diff_ids.filter(|diff_id| !self.disk.layer(diff_id).is_dir()).collect();
        if !lost.is_empty() {
            tracing::warn!(image = %record.id, ?lost, "layers have vanished from the image store");
            self.catalog().lose_layers(&lost);
        }
        lost.is_empty()
    }

    /// Writes the names as they now are.
    pub(super) async fn save_names(self: &Arc<Self>) -> Result<(), ImageError> {
        let inner = Arc::clone(self);
        let _writing = self.names_writer.lock().await;
        blocking("names of images", move || {
            let names = inner.catalog().names().clone();
            inner.disk.write_names(&names)
        })
        .await
    }
}

/// Runs `work` on a thread that may block.
pub(super) async fn blocking<T, F>(image: &str, work: F) -> Result<T, ImageError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, ImageError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ImageError::Stopped { image: image.to_owned() }),
        },
    }
}

impl Store {
    /// Opens the store in `dir`, or makes it, and removes what a crash has left. One process at a time.
    pub fn open(dir: &Path, config: StoreConfig) -> Result<Self, ImageError> {
        let disk = Disk::open(dir)?;
        let contents = disk.load()?;
        let mut catalog = Catalog::default();
        for record in contents.records {
            catalog.add_image(record, 0);
        }
        for layer in contents.loose {
            catalog.add_layer(layer);
        }
        for (name, target) in contents.names {
            catalog.set_name(name, target);
        }
        let leftovers = disk.leftovers()?;
        // A big one takes a while; nobody waits for it if there is a thread to do it.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !leftovers.is_empty() => {
                drop(runtime.spawn_blocking(|| Disk::sweep(leftovers)));
            }
            Ok(_) | Err(_) => Disk::sweep(leftovers),
        }
        let registries = Registries::new(config.registry.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                disk,
                config,
                registries,
                slots: Semaphore::new(PARALLEL_LAYERS),
                catalog: Mutex::new(catalog),
                fetching: Mutex::default(),
                names_writer: tokio::sync::Mutex::default(),
                opened: clock::monotonic(),
            }),
        })
    }

    /// The image `request.reference` leads to, fetched if need be. Asked for twice at once, it is fetched once; dropping
    /// the future gives the fetching up and leaves nothing but finished layers.
    pub async fn ensure(
        &self,
        request: &Request,
        progress: &Progress,
    ) -> Result<Image, ImageError> {
        if let Some(image) = self.present(request) {
            return Ok(image);
        }
        let name = request.name();
        if request.policy == PullPolicy::Never || matches!(request.reference, Reference::Id(_)) {
            return Err(ImageError::NotPresent { image: name });
        }
        let _only = self.inner.fetch_lock(name).await;
        // Somebody else may have fetched it meanwhile; `Always` still asks, which then costs one request.
        if let Some(image) = self.present(request) {
            return Ok(image);
        }
        let (record, lease) = super::pull::pull(&self.inner, request, progress).await?;
        Ok(self.image(request.reference.clone(), &record, lease))
    }

    /// The image `reference` leads to, if the store has it: to keep it after a restart, or to look at it.
    pub fn get(&self, reference: &Reference) -> Option<Image> {
        self.find(&Request::new(reference.clone()))
    }

    /// The image `request` leads to, if the store has it, whatever its policy says.
    pub fn find(&self, request: &Request) -> Option<Image> {
        self.present(&request.clone().policy(PullPolicy::Never))
    }

    fn present(&self, request: &Request) -> Option<Image> {
        let reference = &request.reference;
        if must_ask(request) {
            return None;
        }
        let record = {
            let catalog = self.inner.catalog();
            let id = match reference {
                Reference::Id(id) => *id,
                _ => catalog.name(&request.name())?.image,
            };
            Arc::clone(catalog.image(&id)?)
        };
        let lease = self.inner.lease(record.id);
        self.inner.is_whole(&record).then(|| self.image(reference.clone(), &record, lease))
    }

    pub(super) fn image(&self, reference: Reference, record: &Record, lease: Lease) -> Image {
        let mut layers: Vec<PathBuf> =
            record.layers.iter().map(|layer| self.inner.disk.layer(&layer.diff_id)).collect();
        if layers.is_empty() {
            layers.push(self.inner.disk.empty_layer());
        }
        Image {
            id: record.id,
            reference,
            layers,
            config: Arc::clone(&record.config),
            size: record.size(),
            _lease: Arc::new(lease),
        }
    }

    /// Takes the images of an archive or layout directory into the store, under the names it has for them, or under
    /// `name` when it is given and there is one image. Images without a usable name are kept by their id.
    pub async fn load(
        &self,
        path: &Path,
        name: Option<&Reference>,
        progress: &Progress,
    ) -> Result<Vec<Image>, ImageError> {
        super::pull::load(self, Files::Path(path.to_owned()), name, progress).await
    }

    /// Begins to receive an archive for [`Store::load_upload`].
    pub fn upload(&self) -> Result<Upload, ImageError> {
        Upload::begin(self.inner.disk.tmp(), self.inner.config.limit.bytes)
    }

    /// As [`Store::load`], of an archive that was received.
    pub async fn load_upload(
        &self,
        upload: Upload,
        name: Option<&Reference>,
        progress: &Progress,
    ) -> Result<Vec<Image>, ImageError> {
        let file = upload.end().await?;
        super::pull::load(self, Files::Received(file), name, progress).await
    }

    /// Every image, by id.
    pub fn list(&self) -> Vec<Summary> {
        let catalog = self.inner.catalog();
        let summary = |record: &Arc<Record>| Summary {
            id: record.id,
            references: catalog.names_of(&record.id),
            size: record.size(),
            layers: record.layers.len(),
            in_use: catalog.is_pinned(&record.id),
        };
        catalog.images().map(summary).collect()
    }

    /// Takes the name away, and with its last name the image; an id takes the image with all its names. Refused
    /// while the image is in use.
    pub async fn remove(&self, reference: &Reference) -> Result<Removed, ImageError> {
        self.remove_for(&Request::new(reference.clone())).await
    }

    /// As [`Store::remove`], of the image that `request` leads to; its platform counts.
    pub async fn remove_for(&self, request: &Request) -> Result<Removed, ImageError> {
        let name = request.name();
        let (inner, by, named) = (Arc::clone(&self.inner), request.reference.clone(), name.clone());
        let removed = blocking(&name, move || {
            let mut catalog = inner.catalog();
            let removal = match &by {
                Reference::Id(id) => catalog.remove_image(id),
                _ => catalog.remove_name(&named),
            };
            let removal = removal.map_err(|kept| match kept {
                Kept::Unknown => ImageError::NotPresent { image: named.clone() },
                Kept::InUse => ImageError::InUse { image: named.clone() },
            })?;
            take_away(&inner.disk, &removal)
        })
        .await?;
        self.inner.save_names().await?;
        self.sweep_removed(removed).await
    }

    /// Removes images that nobody uses: not pinned by an [`Image`], not in `in_use`, and idle for `min_idle`; and
    /// the layers that then no image has.
    pub async fn gc(
        &self,
        in_use: &BTreeSet<Digest>,
        min_idle: Duration,
    ) -> Result<Removed, ImageError> {
        let (inner, in_use) = (Arc::clone(&self.inner), in_use.clone());
        let removed = blocking("garbage collection", move || {
            let idle_ms = u64::try_from(min_idle.as_millis()).unwrap_or(u64::MAX);
            // Before the store was opened nothing is known to be idle.
            let since_ms = inner.now_ms().checked_sub(idle_ms).map_or(0, |since| since + 1);
            let mut catalog = inner.catalog();
            let removal = catalog.collect(&in_use, since_ms);
            take_away(&inner.disk, &removal)
        })
        .await?;
        self.inner.save_names().await?;
        self.sweep_removed(removed).await
    }

    async fn sweep_removed(
        &self,
        (removed, trash): (Removed, Vec<PathBuf>),
    ) -> Result<Removed, ImageError> {
        blocking("garbage collection", move || {
            Disk::sweep(trash);
            Ok(removed)
        })
        .await
    }
}

/// Whether where the image comes from has to be looked at.
fn must_ask(request: &Request) -> bool {
    match (request.policy, &request.reference) {
        (_, Reference::Id(_)) | (PullPolicy::Never, _) => false,
        (PullPolicy::Always, _) => true,
        (PullPolicy::IfNotPresent, Reference::Registry(_)) => false,
        (
            PullPolicy::IfNotPresent,
            Reference::Layout { path, .. }
            | Reference::OciArchive { path, .. }
            | Reference::DockerArchive { path, .. },
        ) => path.exists(),
    }
}

/// Moves what is removed out of sight; called with the catalog locked, so nobody starts to use it in between.
fn take_away(disk: &Disk, removal: &Removal) -> Result<(Removed, Vec<PathBuf>), ImageError> {
    for id in &removal.images {
        disk.remove_image(id)?;
    }
    let mut trash = Vec::new();
    for layer in &removal.layers {
        trash.push(disk.remove_layer(&layer.diff_id)?);
    }
    let removed = Removed {
        images: removal.images.clone(),
        layers: removal.layers.len(),
        bytes: removal.layers.iter().map(|layer| layer.size).sum(),
    };
    Ok((removed, trash))
}
