//! Images in the making, and the places they go to.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use stead::image::{
    Image, ImageError, Progress, PullPolicy, RegistryConfig, Request, Store, StoreConfig,
};
use stead::sys::command::command;

/// Whether the test can run; says why when not.
pub(super) fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: unpacking layers needs root");
    }
    root
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// A blob and what descriptors say of it.
#[derive(Clone)]
pub(super) struct Blob {
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: &'static str,
    /// Of the uncompressed archive.
    pub(super) diff_id: String,
}

impl Blob {
    pub(super) fn digest(&self) -> String {
        digest(&self.bytes)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Plain,
    Gzip,
    Zstd,
}

/// A layer: archives entry by entry.
pub(super) struct Layer(tar::Builder<Vec<u8>>);

impl Layer {
    pub(super) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn header(kind: tar::EntryType, mode: u32) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(1_000_000_000);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        header
    }

    pub(super) fn file(mut self, path: &str, data: impl AsRef<[u8]>, mode: u32) -> Self {
        let mut header = Self::header(tar::EntryType::Regular, mode);
        header.set_size(data.as_ref().len() as u64);
        self.0.append_data(&mut header, path, data.as_ref()).unwrap();
        self
    }

    pub(super) fn dir(mut self, path: &str) -> Self {
        self.0
            .append_data(&mut Self::header(tar::EntryType::Directory, 0o755), path, [].as_slice())
            .unwrap();
        self
    }

    pub(super) fn link(mut self, kind: tar::EntryType, path: &str, to: &str) -> Self {
        self.0.append_link(&mut Self::header(kind, 0o777), path, to).unwrap();
        self
    }

    pub(super) fn end(self, compression: Compression) -> Blob {
        let plain = self.0.into_inner().unwrap();
        let diff_id = digest(&plain);
        let (bytes, media_type) = match compression {
            Compression::Plain => (plain, "application/vnd.oci.image.layer.v1.tar"),
            Compression::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&plain).unwrap();
                (encoder.finish().unwrap(), "application/vnd.oci.image.layer.v1.tar+gzip")
            }
            Compression::Zstd => (
                zstd::encode_all(plain.as_slice(), 1).unwrap(),
                "application/vnd.oci.image.layer.v1.tar+zstd",
            ),
        };
        Blob { bytes, media_type, diff_id }
    }
}

/// An image of some layers: its configuration and manifest as bytes.
#[derive(Clone)]
pub(super) struct Built {
    pub(super) layers: Vec<Blob>,
    pub(super) config: Vec<u8>,
    pub(super) manifest: Vec<u8>,
}

impl Built {
    pub(super) fn new(layers: Vec<Blob>) -> Self {
        Self::for_architecture(
            layers,
            if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        )
    }

    pub(super) fn for_architecture(layers: Vec<Blob>, architecture: &str) -> Self {
        let config = serde_json::to_vec(&serde_json::json!({
            "architecture": architecture, "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"], "WorkingDir": "/", "ExposedPorts": {"80/tcp": {}}},
            "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|l| l.diff_id.clone()).collect::<Vec<_>>()},
        }))
        .unwrap();
        let manifest = serde_json::to_vec(&serde_json::json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len()},
            "layers": layers.iter().map(|l| serde_json::json!({"mediaType": l.media_type, "digest": l.digest(), "size": l.bytes.len()})).collect::<Vec<_>>(),
        }))
        .unwrap();
        Self { layers, config, manifest }
    }

    pub(super) fn id(&self) -> String {
        digest(&self.config)
    }

    /// Writes the image as an OCI layout directory.
    pub(super) fn write_layout(&self, dir: &Path, tag: &str) {
        let blobs = dir.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        let all =
            self.layers.iter().map(|layer| &layer.bytes).chain([&self.config, &self.manifest]);
        for bytes in all {
            fs::write(blobs.join(&digest(bytes)[7..]), bytes).unwrap();
        }
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let mut index: serde_json::Value = match fs::read(dir.join("index.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap(),
            Err(_) => serde_json::json!({"schemaVersion": 2, "manifests": []}),
        };
        index["manifests"].as_array_mut().unwrap().push(serde_json::json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(&self.manifest),
            "size": self.manifest.len(), "annotations": {"org.opencontainers.image.ref.name": tag},
        }));
        fs::write(dir.join("index.json"), index.to_string()).unwrap();
    }
}

/// Two layers, the second of which changes the first: a shell that runs, and something to look at.
pub(super) fn busybox() -> Built {
    busybox_with(Compression::Zstd)
}

/// The same, its second layer compressed as told: docker's formats know no zstd.
pub(super) fn busybox_with(second: Compression) -> Built {
    let lower = Layer::new()
        .dir("bin")
        .file("bin/busybox", fs::read("/bin/busybox").unwrap(), 0o755)
        .link(tar::EntryType::Symlink, "bin/sh", "busybox")
        .link(tar::EntryType::Link, "bin/cat", "bin/busybox")
        .dir("etc")
        .file("etc/motd", "lower\n", 0o644)
        .file("etc/gone", "lower\n", 0o644)
        .dir("data")
        .file("data/old", "lower\n", 0o644);
    let upper = Layer::new()
        .dir("etc")
        .file("etc/motd", "upper\n", 0o644)
        .file("etc/.wh.gone", "", 0o644)
        .dir("data")
        .file("data/.wh..wh..opq", "", 0o644)
        .file("data/new", "upper\n", 0o644);
    Built::new(vec![lower.end(Compression::Gzip), upper.end(second)])
}

/// A store in a directory of its own.
pub(super) struct Place {
    pub(super) dir: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn store(&self) -> Store {
        self.store_with(RegistryConfig::default())
    }

    pub(super) fn store_with(&self, registry: RegistryConfig) -> Store {
        self.try_store_with(registry).unwrap()
    }

    fn try_store_with(&self, registry: RegistryConfig) -> Result<Store, ImageError> {
        Store::open(&self.path("store"), StoreConfig { registry, ..StoreConfig::default() })
    }

    /// A store that may speak HTTP with one registry.
    pub(super) fn store_for(&self, host: &str) -> Store {
        self.try_store_for(host).unwrap()
    }

    pub(super) fn try_store_for(&self, host: &str) -> Result<Store, ImageError> {
        self.try_store_with(RegistryConfig {
            insecure: vec![host.to_owned()],
            ..RegistryConfig::default()
        })
    }

    /// What is in the temporary directory of the store.
    pub(super) fn leftovers(&self) -> usize {
        fs::read_dir(self.path("store/tmp")).unwrap().count()
    }

    pub(super) fn layers(&self) -> usize {
        fs::read_dir(self.path("store/layers")).unwrap().count()
    }
}

pub(super) async fn ensure(
    store: &Store,
    reference: &str,
    policy: PullPolicy,
) -> Result<Image, ImageError> {
    let request = Request::new(reference.parse().unwrap()).policy(policy);
    store.ensure(&request, &Progress::none()).await
}

/// Waits until `condition` holds, at most ten seconds.
pub(super) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = stead::sys::clock::monotonic() + std::time::Duration::from_secs(10);
    while !condition() {
        assert!(stead::sys::clock::monotonic() < deadline, "{what}: not within ten seconds");
        std::thread::yield_now();
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

pub(super) fn skopeo(arguments: &[&str]) {
    let output = command("skopeo")
        .env("HOME", "/root")
        .arg("--insecure-policy")
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "skopeo {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
