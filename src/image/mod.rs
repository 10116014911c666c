//! ◇ OCI images: references, registries, layers, the store, garbage collection.
//!
//! A [`Store`] is a directory of verified, unpacked layers, content-addressed and shared between images. The
//! client asks it to [`Store::ensure`] the image of a task and gets an [`Image`]: paths that are ready as lowerdirs of
//! overlayfs, and the process defaults of the image. While the [`Image`] lives, nothing of it is removed.
//!
//! ```text
//! Reference ─┬─ registry ─┐                              ┌─ path ◆ ─ unpack ◇ ─┐
//!            └─ local ────┴─ pull ─ layers: digest, inflate, entries ◆ ────────┴─ disk ─ catalog ◆ ─ Image
//! ```
//!
//! An image is hostile input. What it may be is bounded ([`UnpackLimit`]), what it says is verified (blob digests,
//! diff ids, the configuration's digest), and what it writes stays below one directory whatever it says.
//!
//! It does not build or push images, keep compressed blobs, run anything, or decide when an image is needed. The
//! files of the store are described in `disk.rs`, which is the only place that knows them.
//!
//! Called by `client` (ensure before a task, gc after), and by `agent` for `image pull|list|load|remove|gc`.

mod catalog;
mod config;
mod credentials;
mod digest;
mod disk;
mod entries;
mod error;
mod layers;
mod local;
mod manifest;
pub mod overlay;
mod path;
mod pax;
mod progress;
mod pull;
mod reference;
mod registry;
mod remove;
mod store;
mod unpack;
mod upload;

pub use config::ImageConfig;
pub use credentials::{Auth, CredentialsError, lookup as docker_login};
pub use digest::{Digest, DigestError};
pub use error::ImageError;
pub use layers::LayerError;
pub use manifest::{Platform, PlatformError};
pub use progress::{Event, Progress};
pub use reference::{Name, Reference, ReferenceError};
pub use registry::{RegistryConfig, RegistryError};
pub use store::{Image, PullPolicy, Removed, Request, Store, StoreConfig, Summary};
pub use unpack::UnpackLimit;
pub use upload::Upload;
