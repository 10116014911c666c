//! ◆ Whose fault it is that a registry did not give what was asked for.

use std::io;
use std::path::PathBuf;

use serde::Deserialize;

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
    #[error(
        "registry `{registry}` sent a longer {what} than any image has: {most} bytes are the limit"
    )]
    TooLong { registry: String, what: &'static str, most: u64 },
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
        Self::of(&crate::sys::report::chain(error))
    }

    pub(super) fn of(text: &str) -> Self {
        Self(text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect())
    }
}

#[derive(Deserialize)]
struct Refusals {
    errors: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: String,
}

/// What a status that is no success, and the text that came with it, say.
pub(super) fn refusal(registry: &str, status: u16, text: &[u8]) -> RegistryError {
    let registry = registry.to_owned();
    let refusals = serde_json::from_slice::<Refusals>(text).ok();
    let code = refusals.and_then(|refusals| Some(refusals.errors.into_iter().next()?.code));
    match (status, code.as_deref().unwrap_or_default()) {
        (400..=499, "TOOMANYREQUESTS") => RegistryError::Busy { registry, status: 429 },
        (429 | 500..=599, _) => RegistryError::Busy { registry, status },
        (400..=499, "UNAUTHORIZED" | "DENIED") | (401 | 403, _) => {
            RegistryError::Unauthorized { registry }
        }
        (
            400..=499,
            "MANIFEST_UNKNOWN"
            | "NAME_UNKNOWN"
            | "BLOB_UNKNOWN"
            | "MANIFEST_BLOB_UNKNOWN"
            | "NOT_FOUND",
        )
        | (404, _) => RegistryError::NotFound { registry },
        _ => {
            let text = String::from_utf8_lossy(text);
            RegistryError::Answer { registry, source: Told::of(&format!("{status} {text}")) }
        }
    }
}

/// What a request that brought no answer, or only a part of one, says about the registry.
pub(super) fn blame(registry: &str, error: reqwest::Error) -> RegistryError {
    let registry = registry.to_owned();
    // A URL may have a signature in it.
    let error = error.without_url();
    let source = Told::new(&error);
    if is_tls(&error) {
        RegistryError::Tls { registry, source }
    } else if error.is_redirect() || error.is_builder() {
        RegistryError::Answer { registry, source }
    } else {
        RegistryError::Unreachable { registry, source }
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
