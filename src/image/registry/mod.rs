//! ◇ Registries over HTTP: manifests and blobs, with credentials, and errors that say whose fault it is.
//!
//! The client is made at the first pull, not at start: reading the machine's certificates takes longer than starting a
//! container. There is one per credential, as a client keeps the credential it first used for a registry. Plain
//! HTTP is spoken only with registries that are listed, on loopback too: any user of the machine can listen there.
//! Proxy variables of the agent's environment are ignored; a proxy is a setting.

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use oci_client::client::{
    BlobResponse, Certificate, CertificateEncoding, Client, ClientConfig, ClientProtocol,
};
use oci_client::errors::{DigestError, OciDistributionError};
use oci_client::secrets::RegistryAuth;
use tokio::sync::mpsc;

use super::credentials::{self, Auth};
use super::digest::Digest;
use super::manifest::{ACCEPTED, Descriptor};
use super::reference::Name;
use error::blame;

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
/// Clients kept, one per credential.
const MAX_CLIENTS: usize = 8;

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
    /// The clients made so far, oldest first.
    clients: Mutex<Vec<(RegistryAuthKey, Client)>>,
}

type RegistryAuthKey = (String, Auth);

/// One image of one registry, with the credentials that open it.
pub(super) struct Remote {
    client: Client,
    auth: RegistryAuth,
    name: oci_client::Reference,
    registry: String,
}

impl Registries {
    pub(super) fn new(config: RegistryConfig) -> Self {
        Self { config, clients: Mutex::default() }
    }

    /// Prepares to ask for an image. Nothing is sent yet.
    pub(super) async fn remote(&self, name: &Name, auth: &Auth) -> Result<Remote, RegistryError> {
        let auth = match auth {
            Auth::Configured => self.configured(name.registry())?,
            auth => auth.clone(),
        };
        // Anonymous requests share a client; a credential is used for its registry only.
        let key = match auth {
            Auth::Configured | Auth::Anonymous => (String::new(), Auth::Anonymous),
            ref auth => (name.registry().to_owned(), auth.clone()),
        };
        let client = self.client(key).await?;
        let (registry, repository) = (name.registry().to_owned(), name.repository().to_owned());
        let reference = match (name.digest(), name.tag()) {
            (Some(digest), _) => {
                oci_client::Reference::with_digest(registry, repository, digest.to_string())
            }
            (None, tag) => oci_client::Reference::with_tag(
                registry,
                repository,
                tag.unwrap_or("latest").to_owned(),
            ),
        };
        let auth = match auth {
            Auth::Configured | Auth::Anonymous => RegistryAuth::Anonymous,
            Auth::Basic { username, password } => RegistryAuth::Basic(username, password),
            Auth::Bearer(token) => RegistryAuth::Bearer(token),
        };
        Ok(Remote { client, auth, name: reference, registry: name.registry().to_owned() })
    }

    fn configured(&self, registry: &str) -> Result<Auth, RegistryError> {
        let Some(path) = &self.config.docker_config else { return Ok(Auth::Anonymous) };
        let bytes = std::fs::read(path)
            .map_err(|source| RegistryError::File { path: path.clone(), source })?;
        credentials::lookup(&bytes, registry)
            .map_err(|source| RegistryError::Credentials { path: path.clone(), source })
    }

    async fn client(&self, key: RegistryAuthKey) -> Result<Client, RegistryError> {
        let found = |clients: &Vec<(RegistryAuthKey, Client)>| {
            clients.iter().find(|(other, _)| *other == key).map(|(_, client)| client.clone())
        };
        if let Some(client) =
            found(&self.clients.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
        {
            return Ok(client);
        }
        let config = self.config.clone();
        let made = tokio::task::spawn_blocking(move || make_client(&config)).await;
        let client = made.map_err(|error| RegistryError::Client(Told::new(&error)))??;
        let mut clients = self.clients.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(first) = found(&clients) {
            return Ok(first);
        }
        if clients.len() >= MAX_CLIENTS {
            clients.remove(0);
        }
        clients.push((key, client.clone()));
        Ok(client)
    }
}

impl std::fmt::Debug for Registries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registries").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Reads certificates: blocking, about a tenth of a second.
fn make_client(config: &RegistryConfig) -> Result<Client, RegistryError> {
    // Fails when a provider is installed already, which is as good.
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    let mut extra = Vec::new();
    for path in &config.ca_certificates {
        let data = std::fs::read(path)
            .map_err(|source| RegistryError::File { path: path.clone(), source })?;
        extra.push(Certificate { encoding: CertificateEncoding::Pem, data });
    }
    // Without any proxy set, the library would take one from the environment: so one is set that is never used.
    let (proxy, no_proxy) = match &config.proxy {
        Some(proxy) => (proxy.clone(), config.no_proxy.clone()),
        None => ("http://127.0.0.1:9".to_owned(), Some("*,0.0.0.0/0,::/0".to_owned())),
    };
    Client::try_from(ClientConfig {
        protocol: ClientProtocol::HttpsExcept(config.insecure.clone()),
        extra_root_certificates: extra,
        connect_timeout: Some(CONNECT_TIMEOUT),
        read_timeout: Some(READ_TIMEOUT),
        user_agent: concat!("stead/", env!("CARGO_PKG_VERSION")),
        http_proxy: Some(proxy.clone()),
        https_proxy: Some(proxy),
        no_proxy,
        ..ClientConfig::default()
    })
    .map_err(|error| RegistryError::Client(Told::new(&error)))
}

impl Remote {
    /// The bytes of the manifest the name leads to, or of the one with `digest`, and their digest.
    pub(super) async fn manifest(&self, digest: Option<&Digest>) -> Result<Bytes, RegistryError> {
        let name = digest.map_or_else(
            || self.name.clone(),
            |digest| self.name.clone_with_digest(digest.to_string()),
        );
        let asked = self.client.pull_manifest_raw(&name, &self.auth, &ACCEPTED);
        let answer = tokio::time::timeout(MANIFEST_TIMEOUT, asked).await;
        let (bytes, _) = answer
            .map_err(|late| RegistryError::Unreachable {
                registry: self.registry.clone(),
                source: Told::new(&late),
            })?
            .map_err(|error| blame(&self.registry, &error))?;
        Ok(bytes)
    }

    /// A small blob as a whole, verified.
    pub(super) async fn blob(
        &self,
        blob: &Descriptor,
        most: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut bytes = Vec::new();
        let (sender, mut receiver) = mpsc::channel(8);
        let collect = async {
            while let Some(Chunk::Bytes(chunk)) = receiver.recv().await {
                bytes.extend_from_slice(&chunk);
                if bytes.len() as u64 > most {
                    return Err(RegistryError::TooLong { size: bytes.len() as u64 });
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
        Err(RegistryError::Digest { registry: self.registry.clone(), source })
    }

    /// Sends the blob's bytes and then its end, taking a broken download up again. Ends early, and well, when nobody
    /// receives any more. The receiver verifies the digest.
    pub(super) async fn send(
        &self,
        blob: &Descriptor,
        sender: &mpsc::Sender<Chunk>,
    ) -> Result<(), RegistryError> {
        self.client.store_auth_if_needed(self.name.resolve_registry(), &self.auth).await;
        let mut sent = 0;
        let mut wait = RESUME_AFTER;
        for _ in 0..RESUMES {
            match self.send_from(blob, &mut sent, sender).await {
                Err(Broken::Off(error)) => {
                    tracing::info!(registry = %self.registry, blob = %blob.digest, sent, error = %Told::new(&error), "download broke off; taking it up again");
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                Err(Broken::Refused(error)) => return Err(blame(&self.registry, &error)),
                Ok(()) => return Ok(()),
            }
        }
        match self.send_from(blob, &mut sent, sender).await {
            Ok(()) => Ok(()),
            Err(Broken::Off(source)) => Err(RegistryError::Unreachable {
                registry: self.registry.clone(),
                source: Told::new(&source),
            }),
            Err(Broken::Refused(error)) => Err(blame(&self.registry, &error)),
        }
    }

    async fn send_from(
        &self,
        blob: &Descriptor,
        sent: &mut u64,
        sender: &mpsc::Sender<Chunk>,
    ) -> Result<(), Broken> {
        let digest = blob.digest.to_string();
        let layer = oci_client::client::LayerDescriptor { digest: &digest, urls: &None };
        let (mut stream, mut skip) = if *sent == 0 {
            (self.client.pull_blob_stream(&self.name, &layer).await.map_err(Broken::Refused)?, 0)
        } else {
            match self.client.pull_blob_stream_partial(&self.name, &layer, *sent, None).await {
                Ok(BlobResponse::Partial(stream)) => (stream, 0),
                // It does not know ranges: pass over what was sent.
                Ok(BlobResponse::Full(stream)) => (stream, *sent),
                Err(error) => return Err(Broken::Refused(error)),
            }
        };
        while let Some(chunk) = stream.next().await {
            let mut chunk = match chunk {
                Ok(chunk) => chunk,
                // The library's own check at the end; the receiver has one that says more.
                Err(error) if is_digest(&error) => break,
                Err(error) => return Err(Broken::Off(error)),
            };
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
    Off(io::Error),
    Refused(OciDistributionError),
}

fn is_digest(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<DigestError>)
}
