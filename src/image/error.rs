//! ◆ What can go wrong with an image.

use std::io;
use std::path::PathBuf;

use super::digest::Digest;
use super::layers::LayerError;
use super::local::LocalError;
use super::manifest::ManifestError;
use super::registry::RegistryError;
use crate::sys::report::Kind;

/// Why an image is not in the store, or not out of it. `image` is the reference as people would write it in full.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("image `{image}`")]
    Registry {
        image: String,
        #[source]
        source: RegistryError,
    },
    #[error("image `{image}`")]
    Local {
        image: String,
        #[source]
        source: LocalError,
    },
    #[error("image `{image}`")]
    Manifest {
        image: String,
        #[source]
        source: ManifestError,
    },
    #[error("image `{image}`: configuration `{digest}` is not the JSON of one")]
    Config {
        image: String,
        digest: Digest,
        #[source]
        source: serde_json::Error,
    },
    #[error("image `{image}` is for `{os}`, not for linux")]
    System { image: String, os: String },
    #[error("image `{image}`: layer `{layer}`")]
    Layer {
        image: String,
        layer: Digest,
        #[source]
        source: Box<LayerError>,
    },
    #[error("image `{image}` is not in the store")]
    NotPresent { image: String },
    #[error("image `{image}` is in use")]
    InUse { image: String },
    #[error("image archive is longer than {most} bytes")]
    TooLong { most: u64 },
    #[error(
        "image archive does not fit in `{path}`: {free} bytes are free there, of which {reserve} must stay free"
    )]
    NoRoom { path: PathBuf, free: u64, reserve: u64 },
    #[error("image `{image}` was given up because the agent stops")]
    Stopped { image: String },
    #[error("image store `{path}` is used by another process")]
    Locked { path: PathBuf },
    #[error("image store: {action} `{path}`")]
    Store {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl ImageError {
    /// What the error means to the one who asked for the image.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Registry { source, .. } => match source {
                RegistryError::NotFound { .. } => Kind::NotFound,
                RegistryError::Unauthorized { .. } => Kind::Denied,
                RegistryError::Unreachable { .. } | RegistryError::Tls { .. } => Kind::Unavailable,
                RegistryError::Busy { .. } => Kind::Busy,
                RegistryError::Digest { .. }
                | RegistryError::Answer { .. }
                | RegistryError::TooLong { .. } => Kind::Invalid,
                RegistryError::Credentials { .. } | RegistryError::File { .. } => Kind::Invalid,
                RegistryError::Client(_) => Kind::Internal,
            },
            Self::Local {
                source: LocalError::Open(..) | LocalError::NoSuchImage { .. }, ..
            } => Kind::NotFound,
            Self::Layer { source, .. } => match &**source {
                LayerError::Store(_) => Kind::Internal,
                LayerError::Entry { source, .. } if source.is_ours() => Kind::Internal,
                LayerError::Blob(_) => Kind::Unavailable,
                _ => Kind::Invalid,
            },
            Self::Local { .. }
            | Self::Manifest { .. }
            | Self::Config { .. }
            | Self::System { .. }
            | Self::TooLong { .. } => Kind::Invalid,
            Self::NotPresent { .. } => Kind::NotFound,
            Self::InUse { .. } | Self::Locked { .. } => Kind::Conflict,
            Self::Stopped { .. } | Self::NoRoom { .. } => Kind::Unavailable,
            Self::Store { .. } => Kind::Internal,
        }
    }
}
