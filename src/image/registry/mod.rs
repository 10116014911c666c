//! ◇ Registries over HTTP: manifests and blobs, with credentials, and errors that say whose fault it is.
//!
//! The client is made at the first pull, not at start: reading the machine's certificates takes longer than starting a
//! container. Plain HTTP is spoken only with registries that are listed, on loopback too: any user of the machine can
//! listen there. Nothing but blobs is read without a limit, and blobs are never held. Proxy variables of the agent's environment are ignored; a proxy is a setting.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Client, NoProxy, Proxy, StatusCode};
use tokio::sync::{OnceCell, mpsc};

use super::credentials::{self, Auth};
use super::digest::Digest;
use super::manifest::{ACCEPTED, Descriptor};
use super::reference::Name;
use access::{Access, Passes};
use error::blame;

mod access;
mod challenge;
mod error;
mod received;

pub use error::RegistryError;
pub(super) use error::Told;
pub(super) use received::{Chunk, Received};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_mins(1);
const MANIFEST_TIMEOUT: Duration = Duration::from_mins(1);
/// How often a broken download is taken up again where it broke, and how long to wait the first time.
const RESUMES: u32 = 4;
const RESUME_AFTER: Duration = Duration::from_millis(200);
/// What registries agree to take as a manifest at most.
const MAX_MANIFEST: u64 = 4 << 20;

/// How registries are reached. The default: HTTPS with the machine's certificates, no credentials, no proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryConfig {
    /// `host` or `host:port`, as in references, that are spoken to without TLS.
    pub insecure: Vec<String>,
    /// docker's `config.json`; only its `auths` are read.
    pub docker_config: Option<PathBuf>,
    /// Files of PEM certificates trusted besides the machine's.
    pub ca_certificates: Vec<PathBuf>,
    /// URL of the proxy for all registries.
    pub proxy: Option<String>,
    /// Hosts reached without it, separated by commas.
    pub no_proxy: Option<String>,
}

/// Every registry, asked by one agent.
#[derive(Default)]
pub(super) struct Registries {
    config: RegistryConfig,
    client: OnceCell<Client>,
    passes: Arc<Passes>,
}

/// One image of one registry, with the credentials that open it.
pub(super) struct Remote {
    access: Access,
    passes: Arc<Passes>,
    /// Tag or digest.
    wanted: String,
}

impl Registries {
    pub(super) fn new(config: RegistryConfig) -> Self {
        Self { config, client: OnceCell::new(), passes: Arc::default() }
    }

    /// Prepares to ask for an image. Nothing is sent yet.
    pub(super) async fn remote(&self, name: &Name, auth: &Auth) -> Result<Remote, RegistryError> {
        let auth = match auth {
            Auth::Configured => self.configured(name.registry())?,
            auth => auth.clone(),
        };
        let access = Access {
            client: self.client.get_or_try_init(|| make_client(&self.config)).await?.clone(),
            auth,
            registry: name.registry().to_owned(),
            repository: name.repository().to_owned(),
            insecure: self.config.insecure.iter().any(|insecure| insecure == name.registry()),
        };
        let wanted = match (name.digest(), name.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        };
        Ok(Remote { access, passes: Arc::clone(&self.passes), wanted })
    }

    fn configured(&self, registry: &str) -> Result<Auth, RegistryError> {
        let Some(path) = &self.config.docker_config else { return Ok(Auth::Anonymous) };
        let bytes = std::fs::read(path)
            .map_err(|source| RegistryError::File { path: path.clone(), source })?;
        credentials::lookup(&bytes, registry)
            .map_err(|source| RegistryError::Credentials { path: path.clone(), source })
    }
}

impl std::fmt::Debug for Registries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registries").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Reads certificates, for about a tenth of a second, where that is nobody's loss.
async fn make_client(config: &RegistryConfig) -> Result<Client, RegistryError> {
    let config = config.clone();
    let made = tokio::task::spawn_blocking(move || build_client(&config)).await;
    made.map_err(|error| RegistryError::Client(Told::new(&error)))?
}

fn build_client(config: &RegistryConfig) -> Result<Client, RegistryError> {
    // Fails when a provider is installed already, which is as good.
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    let failed = |error: reqwest::Error| RegistryError::Client(Told::new(&error));
    let mut extra = Vec::new();
    for path in &config.ca_certificates {
        let pem = std::fs::read(path)
            .map_err(|source| RegistryError::File { path: path.clone(), source })?;
        extra.extend(Certificate::from_pem_bundle(&pem).map_err(failed)?);
    }
    let builder = Client::builder()
        .tls_certs_merge(extra)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .user_agent(concat!("stead/", env!("CARGO_PKG_VERSION")))
        .no_proxy();
    let builder = match &config.proxy {
        Some(proxy) => {
            let none = config.no_proxy.as_deref().and_then(NoProxy::from_string);
            builder.proxy(Proxy::all(proxy).map_err(failed)?.no_proxy(none))
        }
        None => builder,
    };
    builder.build().map_err(failed)
}

impl Remote {
    /// The bytes of the manifest the name leads to, or of the one with `digest`.
    pub(super) async fn manifest(&self, digest: Option<&Digest>) -> Result<Vec<u8>, RegistryError> {
        let wanted = digest.map_or_else(|| self.wanted.clone(), Digest::to_string);
        let (path, accept) = (format!("manifests/{wanted}"), ACCEPTED.join(", "));
        let asked = async {
            let response = self.access.get(&self.passes, &path, &accept, 0).await?;
            self.access.bytes(response, "manifest", MAX_MANIFEST).await
        };
        tokio::time::timeout(MANIFEST_TIMEOUT, asked).await.map_err(|late| self.away(&late))?
    }

    fn away(&self, error: &(dyn std::error::Error + 'static)) -> RegistryError {
        let registry = self.access.registry.clone();
        RegistryError::Unreachable { registry, source: Told::new(error) }
    }

    /// A small blob as a whole, verified.
    pub(super) async fn blob(
        &self,
        blob: &Descriptor,
        most: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let registry = self.access.registry.clone();
        let mut bytes = Vec::new();
        let (sender, mut receiver) = mpsc::channel(8);
        let collect = async {
            while let Some(Chunk::Bytes(chunk)) = receiver.recv().await {
                bytes.extend_from_slice(&chunk);
                if bytes.len() as u64 > most {
                    // Else the sender would wait for room for ever.
                    receiver.close();
                    let registry = registry.clone();
                    return Err(RegistryError::TooLong { registry, what: "configuration", most });
                }
            }
            // Told here so that a sender waiting for room goes on to fail.
            receiver.close();
            Ok(())
        };
        let (sent, collected) = futures::join!(self.send(blob, &sender), collect);
        collected?;
        sent?;
        let found = Digest::of(&bytes);
        if found == blob.digest {
            return Ok(bytes);
        }
        let source = Told::mismatch(&blob.digest, &found);
        Err(RegistryError::Digest { registry, source })
    }

    /// Sends the blob's bytes and then its end, taking a broken download up again. Ends early, and well, when nobody
    /// receives any more. The receiver verifies the digest.
    pub(super) async fn send(
        &self,
        blob: &Descriptor,
        sender: &mpsc::Sender<Chunk>,
    ) -> Result<(), RegistryError> {
        let mut sent = 0;
        let mut wait = RESUME_AFTER;
        let mut left = RESUMES;
        loop {
            match self.send_from(blob, &mut sent, sender).await {
                Err(Broken::Off(error)) if left > 0 => {
                    tracing::info!(registry = %self.access.registry, blob = %blob.digest, sent, error = %Told::new(&error), "download broke off; taking it up again");
                    tokio::time::sleep(wait).await;
                    (wait, left) = (wait * 2, left - 1);
                }
                Err(Broken::Off(error) | Broken::Refused(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
    }

    async fn send_from(
        &self,
        blob: &Descriptor,
        sent: &mut u64,
        sender: &mpsc::Sender<Chunk>,
    ) -> Result<(), Broken> {
        let path = format!("blobs/{}", blob.digest);
        let asked = self.access.get(&self.passes, &path, "*/*", *sent).await;
        let mut response = asked.map_err(|error| match error {
            // It was there a moment ago.
            RegistryError::Unreachable { .. } if *sent > 0 => Broken::Off(error),
            error => Broken::Refused(error),
        })?;
        // One that does not know ranges sends everything: pass over what was sent.
        let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
        let mut skip = if is_part { 0 } else { *sent };
        loop {
            let chunk = response.chunk().await;
            let chunk = chunk.map_err(|error| Broken::Off(blame(&self.access.registry, error)))?;
            let Some(mut chunk) = chunk else { break };
            let passed = skip.min(chunk.len() as u64);
            skip -= passed;
            drop(chunk.split_to(usize::try_from(passed).unwrap_or(chunk.len())));
            *sent += chunk.len() as u64;
            if sender.send(Chunk::Bytes(chunk)).await.is_err() {
                return Ok(());
            }
        }
        sender.send(Chunk::End).await.unwrap_or_default();
        Ok(())
    }
}

/// Why a download stopped.
enum Broken {
    /// In the middle: worth another try.
    Off(RegistryError),
    Refused(RegistryError),
}
