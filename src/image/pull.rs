//! ◇ From a reference to an image in the store: find the manifest, take what is missing, write the image down.
//!
//! ```text
//! reference → manifest → [index: platform → manifest] → config → layers (3 at a time) → sync → image → name
//! ```
//! The image is pinned before its first layer is fetched and published after its last, so garbage collection and other
//! pulls never see half of one.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;

use super::catalog::{Layer, Record, Target};
use super::config::Config;
use super::digest::Digest;
use super::disk::Staged;
use super::error::ImageError;
use super::layers::{self, Expected, LayerError};
use super::local::{Found, LocalError, MAX_JSON, Piece, Tree};
use super::manifest::{Descriptor, Manifest, ManifestError, Platform};
use super::progress::{Event, Progress};
use super::reference::{Name, Reference};
use super::registry::{Received, RegistryError, Remote, Told};
use super::store::{Image, Inner, Lease, Request, Store, blocking};

/// Chunks of a download that wait for the thread that unpacks.
const WAITING_CHUNKS: usize = 32;
/// As many layers of one image are asked for at once; the store's slots bound them over all images.
const LAYERS_AHEAD: usize = 3;

/// Files that hold images.
pub(super) enum Files {
    Path(PathBuf),
    /// An archive that was received.
    Received(File),
}

/// What an image is made of, and where that is.
struct Wanted {
    manifest: Option<Digest>,
    config: Vec<u8>,
    /// Lowest first.
    layers: Vec<Source>,
}

enum Source {
    Remote(Arc<Remote>, Descriptor),
    Local(Option<Digest>, Piece),
}

/// Fetches what the request leads to now.
pub(super) async fn pull(
    inner: &Arc<Inner>,
    request: &Request,
    progress: &Progress,
) -> Result<(Arc<Record>, Lease), ImageError> {
    let image = request.name();
    let platform = request.platform();
    let wanted = match &request.reference {
        Reference::Registry(name) => match from_registry(inner, &image, name, request).await? {
            Answer::Unchanged(record, lease) => return Ok((record, lease)),
            Answer::Wanted(wanted) => wanted,
        },
        Reference::Layout { path, tag } | Reference::OciArchive { path, tag } => {
            let tag = tag.clone();
            let find = move |tree: &Tree| tree.oci_image(tag.as_deref(), &platform);
            from_files(inner, &image, Files::Path(path.clone()), find).await?.into()
        }
        Reference::DockerArchive { path, name } => {
            let name = name.clone();
            let find = move |tree: &Tree| tree.docker_image(name.as_deref(), &platform);
            from_files(inner, &image, Files::Path(path.clone()), find).await?.into()
        }
        Reference::Id(_) => return Err(ImageError::NotPresent { image }),
    };
    install(inner, &image, wanted, std::slice::from_ref(&image), progress).await
}

/// Takes every image of an archive or a layout directory.
pub(super) async fn load(
    store: &Store,
    files: Files,
    name: Option<&Reference>,
    progress: &Progress,
) -> Result<Vec<Image>, ImageError> {
    let inner = &store.inner;
    let image = match &files {
        Files::Path(path) => path.display().to_string(),
        Files::Received(_) => "archive".to_owned(),
    };
    let found = from_files(inner, &image, files, |tree| tree.images(&Platform::host())).await?;
    if name.is_some() && found.len() != 1 {
        let names: Vec<String> = found.iter().flat_map(|found| found.names.clone()).collect();
        return Err(ImageError::Local { image, source: LocalError::Several(names.join(", ")) });
    }
    let mut images = Vec::new();
    for found in found {
        let names: Vec<Reference> = match name {
            Some(name) => vec![name.clone()],
            None => found.names.iter().filter_map(|name| name.parse().ok()).collect(),
        };
        let shown: Vec<String> = names.iter().map(Reference::to_string).collect();
        let (record, lease) = install(inner, &image, found.into(), &shown, progress).await?;
        let reference = names.into_iter().next().unwrap_or(Reference::Id(record.id));
        images.push(store.image(reference, &record, lease));
    }
    Ok(images)
}

impl From<Found> for Wanted {
    fn from(found: Found) -> Self {
        let layers =
            found.layers.into_iter().map(|(digest, piece)| Source::Local(digest, piece)).collect();
        Self { manifest: found.manifest, config: found.config, layers }
    }
}

async fn from_files<T, F>(
    inner: &Arc<Inner>,
    image: &str,
    files: Files,
    find: F,
) -> Result<T, ImageError>
where
    T: Send + 'static,
    F: FnOnce(&Tree) -> Result<T, LocalError> + Send + 'static,
{
    let (scratch, most, name) = (inner.disk.tmp(), inner.config.limit.bytes, image.to_owned());
    blocking(image, move || {
        let tree = match files {
            Files::Path(path) => Tree::open(&path, &scratch, most),
            Files::Received(file) => Tree::archive(file, &scratch, most),
        };
        tree.and_then(|tree| find(&tree))
            .map_err(|source| ImageError::Local { image: name, source })
    })
    .await
}

enum Answer {
    /// The store has what the registry has.
    Unchanged(Arc<Record>, Lease),
    Wanted(Wanted),
}

async fn from_registry(
    inner: &Arc<Inner>,
    image: &str,
    name: &Name,
    request: &Request,
) -> Result<Answer, ImageError> {
    let refused = |source: RegistryError| ImageError::Registry { image: image.to_owned(), source };
    let unusable = |source: ManifestError| ImageError::Manifest { image: image.to_owned(), source };
    let remote = Arc::new(inner.registries.remote(name, &request.auth).await.map_err(refused)?);
    let bytes = manifest(&remote, name, name.digest()).await.map_err(refused)?;
    let mut digest = Digest::of(&bytes);
    let mut parsed = Manifest::parse(&bytes).map_err(unusable)?;
    if let Manifest::Index(entries) = &parsed {
        digest = request.platform().choose(entries).map_err(unusable)?.digest;
    }
    if let Some((record, lease)) = unchanged(inner, image, &digest) {
        return Ok(Answer::Unchanged(record, lease));
    }
    if matches!(parsed, Manifest::Index(_)) {
        let bytes = manifest(&remote, name, Some(&digest)).await.map_err(refused)?;
        parsed = Manifest::parse(&bytes).map_err(unusable)?;
    }
    let Manifest::Image { config, layers } = parsed else {
        return Err(unusable(ManifestError::MediaType("index in an index".to_owned())));
    };
    let config = remote.blob(&config, MAX_JSON).await.map_err(refused)?;
    let layers =
        layers.into_iter().map(|layer| Source::Remote(Arc::clone(&remote), layer)).collect();
    Ok(Answer::Wanted(Wanted { manifest: Some(digest), config, layers }))
}

async fn manifest(
    remote: &Remote,
    name: &Name,
    digest: Option<&Digest>,
) -> Result<Vec<u8>, RegistryError> {
    let bytes = remote.manifest(digest).await?;
    let found = Digest::of(&bytes);
    match digest {
        Some(digest) if found != *digest => Err(RegistryError::Digest {
            registry: name.registry().to_owned(),
            source: Told::mismatch(digest, &found),
        }),
        Some(_) | None => Ok(bytes),
    }
}

/// The image of that manifest, if the store has it under this name; pinned before anybody can remove it.
fn unchanged(inner: &Arc<Inner>, image: &str, manifest: &Digest) -> Option<(Arc<Record>, Lease)> {
    let is_same = |target: &&Target| target.manifest == Some(*manifest);
    let id = inner.catalog().name(image).filter(is_same)?.image;
    let lease = inner.lease(id);
    let record = inner.catalog().image(&id).map(Arc::clone)?;
    inner.is_whole(&record).then_some((record, lease))
}

/// Keeps layers from garbage collection while they belong to no image yet.
struct LayerPins {
    inner: Arc<Inner>,
    diff_ids: Vec<Digest>,
}

impl Drop for LayerPins {
    fn drop(&mut self) {
        self.inner.catalog().unpin_layers(&self.diff_ids);
    }
}

/// Brings an image into the store and lets `names` lead to it.
async fn install(
    inner: &Arc<Inner>,
    image: &str,
    wanted: Wanted,
    names: &[String],
    progress: &Progress,
) -> Result<(Arc<Record>, Lease), ImageError> {
    let id = Digest::of(&wanted.config);
    let unreadable = |source| ImageError::Config { image: image.to_owned(), digest: id, source };
    let config = Config::parse(&wanted.config).map_err(unreadable)?;
    let text = String::from_utf8(wanted.config)
        .map_err(|error| unreadable(serde::de::Error::custom(error)))?;
    check(image, &config, wanted.layers.len())?;
    let lease = inner.lease(id);
    inner.catalog().pin_layers(&config.diff_ids);
    let _pins = LayerPins { inner: Arc::clone(inner), diff_ids: config.diff_ids.clone() };
    progress.tell(Event::Layers(config.diff_ids.len()));
    futures::stream::iter(config.diff_ids.iter().copied().zip(wanted.layers))
        .map(|(diff_id, source)| layer(inner, image, diff_id, source, progress))
        .buffer_unordered(LAYERS_AHEAD)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await?;
    let record = Arc::new(record(inner, image, id, config)?);
    write(inner, image, &record, text).await?;
    {
        let now = inner.now_ms();
        let mut catalog = inner.catalog();
        catalog.add_image(Arc::clone(&record), now);
        for name in names {
            catalog.set_name(name.clone(), Target { image: id, manifest: wanted.manifest });
        }
    }
    inner.save_names().await?;
    Ok((record, lease))
}

fn check(image: &str, config: &Config, layers: usize) -> Result<(), ImageError> {
    let os = &config.image.os;
    if !os.is_empty() && os != "linux" {
        return Err(ImageError::System { image: image.to_owned(), os: os.clone() });
    }
    if config.diff_ids.len() != layers {
        let source = ManifestError::Count { diff_ids: config.diff_ids.len(), layers };
        return Err(ImageError::Manifest { image: image.to_owned(), source });
    }
    let (architecture, host) = (&config.image.architecture, Platform::host());
    if !architecture.is_empty() && *architecture != host.architecture {
        // Not refused: emulation may be set up, and tools that build from scratch get it wrong.
        tracing::warn!(image, %architecture, host = %host, "image is for another architecture than this machine's");
    }
    Ok(())
}

fn record(
    inner: &Arc<Inner>,
    image: &str,
    id: Digest,
    config: Config,
) -> Result<Record, ImageError> {
    let catalog = inner.catalog();
    let layers = config.diff_ids.iter().map(|diff_id| {
        // Pinned, so only somebody deleting files by hand can have taken it.
        let size = catalog
            .layer(diff_id)
            .ok_or_else(|| ImageError::NotPresent { image: image.to_owned() })?;
        Ok(Layer { diff_id: *diff_id, size })
    });
    let layers = layers.collect::<Result<_, ImageError>>()?;
    Ok(Record { id, config: Arc::new(config.image), layers })
}

/// Layers reach the disk before the image that has them does.
async fn write(
    inner: &Arc<Inner>,
    image: &str,
    record: &Arc<Record>,
    config: String,
) -> Result<(), ImageError> {
    // Two names may lead to it at once.
    let _only = inner.fetch_lock(format!("image {}", record.id)).await;
    let must_sync = {
        let catalog = inner.catalog();
        if catalog.image(&record.id).is_some() {
            return Ok(());
        }
        record.layers.iter().any(|layer| !catalog.is_durable(&layer.diff_id))
    };
    let (inner, record) = (Arc::clone(inner), Arc::clone(record));
    blocking(image, move || {
        if must_sync {
            inner.disk.sync()?;
        }
        inner.disk.write_image(&record, &config)
    })
    .await
}

/// Brings one layer into the store, or waits until somebody else has.
async fn layer(
    inner: &Arc<Inner>,
    image: &str,
    diff_id: Digest,
    source: Source,
    progress: &Progress,
) -> Result<(), ImageError> {
    let _only = inner.fetch_lock(diff_id.to_string()).await;
    if inner.catalog().layer(&diff_id).is_some() {
        progress.tell(Event::Present(diff_id));
        return Ok(());
    }
    let stopped = |_| ImageError::Stopped { image: image.to_owned() };
    let _slot = inner.slots.acquire().await.map_err(stopped)?;
    match source {
        Source::Remote(remote, blob) => {
            // Some tools leave the length out.
            let length = if blob.size == 0 { u64::MAX } else { blob.size };
            let bytes = (blob.size > 0).then_some(blob.size);
            progress.tell(Event::Started { layer: diff_id, bytes });
            let expected = Expected { blob: Some((blob.digest, length)), diff_id };
            let (sender, receiver) = mpsc::channel(WAITING_CHUNKS);
            // The sender goes when this is done, so the reader learns that nothing more comes.
            let sending = async move { remote.send(&blob, &sender).await };
            let unpacking = unpack(inner, image, Received::new(receiver), expected, progress);
            let (sent, unpacked) = futures::join!(sending, unpacking);
            sent.map_err(|source| ImageError::Registry { image: image.to_owned(), source })?;
            unpacked
        }
        Source::Local(digest, piece) => {
            progress.tell(Event::Started { layer: diff_id, bytes: Some(piece.length) });
            let expected = Expected { blob: digest.map(|digest| (digest, piece.length)), diff_id };
            unpack(inner, image, piece, expected, progress).await
        }
    }
}

/// Unpacks a blob in a thread of its own and publishes the layer.
async fn unpack<R: Read + Send + 'static>(
    inner: &Arc<Inner>,
    image: &str,
    blob: R,
    expected: Expected,
    progress: &Progress,
) -> Result<(), ImageError> {
    let (inner, name, told) = (Arc::clone(inner), image.to_owned(), progress.clone());
    blocking(image, move || {
        let refused = |source| ImageError::Layer { image: name.clone(), layer: expected.diff_id, source: Box::new(source) };
        let staged = Staged::new(inner.disk.scratch()?)?;
        let clone = |file: &File| file.try_clone().map_err(LayerError::Store).map_err(refused);
        let (root, discard) = (clone(&staged.root)?, clone(&staged.discard)?);
        let blob = Telling { reader: blob, layer: expected.diff_id, progress: told.clone() };
        let unpacked = layers::unpack(blob, &expected, root, discard, inner.config.limit).map_err(refused)?;
        let layer = Layer { diff_id: expected.diff_id, size: unpacked.size };
        inner.disk.publish_layer(&staged, &layer)?;
        inner.catalog().add_layer(layer);
        tracing::debug!(image = %name, layer = %layer.diff_id, size = layer.size, entries = unpacked.entries, "layer unpacked");
        told.tell(Event::Done(layer.diff_id));
        Ok(())
    })
    .await
}

/// Tells how much of a blob has been read.
struct Telling<R> {
    reader: R,
    layer: Digest,
    progress: Progress,
}

impl<R: Read> Read for Telling<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.progress.tell(Event::Read { layer: self.layer, bytes: read as u64 });
        Ok(read)
    }
}
