//! ◆ Whose fault it is that a registry did not give what was asked for.

use std::io;
use std::path::PathBuf;

use oci_client::errors::{OciDistributionError, OciErrorCode};

use super::super::credentials::CredentialsError;
use super::super::digest::Digest;

/// Why a registry did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("not found in registry `{registry}`")]
    NotFound { registry: String },
    #[error(
        "registry `{registry}` refuses: the image is private or does not exist, or the credentials are wrong"
    )]
    Unauthorized { registry: String },
    #[error("registry `{registry}` is not reachable")]
    Unreachable {
        registry: String,
        #[source]
        source: Told,
    },
    #[error(
        "registry `{registry}` is not trusted: give its certificate authority to the agent, or list it as insecure if it has no TLS"
    )]
    Tls {
        registry: String,
        #[source]
        source: Told,
    },
    #[error("registry `{registry}` is busy: it answered {status}")]
    Busy { registry: String, status: u16 },
    #[error("registry `{registry}` sent content of another digest than the one asked for")]
    Digest {
        registry: String,
        #[source]
        source: Told,
    },
    #[error("registry `{registry}` gave an answer that cannot be used")]
    Answer {
        registry: String,
        #[source]
        source: Told,
    },
    #[error("config of {size} bytes is longer than any image's")]
    TooLong { size: u64 },
    #[error("docker configuration `{path}`")]
    Credentials {
        path: PathBuf,
        #[source]
        source: CredentialsError,
    },
    #[error("cannot read `{path}`")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot set up TLS")]
    Client(#[source] Told),
}

/// What a library or a remote has said, made safe for terminals and short.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Told(String);

impl Told {
    pub(in crate::image) fn mismatch(wanted: &Digest, found: &Digest) -> Self {
        Self(format!("asked for `{wanted}`, got `{found}`"))
    }

    pub(super) fn new(error: &(dyn std::error::Error + 'static)) -> Self {
        let text = crate::sys::report::chain(error);
        Self(text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect())
    }
}

/// What an error of the library says about the registry.
pub(super) fn blame(registry: &str, error: &OciDistributionError) -> RegistryError {
    let registry = registry.to_owned();
    let source = Told::new(error);
    match error {
        OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::AuthenticationFailure(_) => {
            RegistryError::Unauthorized { registry }
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            match envelope.errors.first().map(|e| &e.code) {
                Some(
                    OciErrorCode::ManifestUnknown
                    | OciErrorCode::NameUnknown
                    | OciErrorCode::BlobUnknown
                    | OciErrorCode::ManifestBlobUnknown
                    | OciErrorCode::NotFound,
                ) => RegistryError::NotFound { registry },
                Some(OciErrorCode::Denied | OciErrorCode::Unauthorized) => {
                    RegistryError::Unauthorized { registry }
                }
                Some(OciErrorCode::Toomanyrequests) => {
                    RegistryError::Busy { registry, status: 429 }
                }
                Some(_) | None => RegistryError::Answer { registry, source },
            }
        }
        OciDistributionError::ServerError { code, .. } => match code {
            404 => RegistryError::NotFound { registry },
            401 | 403 => RegistryError::Unauthorized { registry },
            429 | 500..=599 => RegistryError::Busy { registry, status: *code },
            _ => RegistryError::Answer { registry, source },
        },
        OciDistributionError::DigestError(_) => RegistryError::Digest { registry, source },
        OciDistributionError::RequestError(request) if is_tls(request) => {
            RegistryError::Tls { registry, source }
        }
        OciDistributionError::RequestError(_) => RegistryError::Unreachable { registry, source },
        _ => RegistryError::Answer { registry, source },
    }
}

/// Whether a request failed over certificates or the protocol of TLS, wherever in the chain that is told.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // io::Error hides the error it carries from source(), and one may carry another.
            let is_cut_off = error.kind() == io::ErrorKind::UnexpectedEof;
            if is_cut_off && error.to_string().contains("tls handshake") {
                return true;
            }
            if error.get_ref().is_some_and(|carried| is_tls(carried)) {
                return true;
            }
        }
        next = error.source();
    }
    false
}
