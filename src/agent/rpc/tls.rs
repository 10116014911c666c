//! ◇ Who may speak: certificates of the cluster's own authority, on both sides, with the agent's role in them.
//!
//! Nomad: a server's certificate carries the name `server.<region>.nomad` and a client's `client.<region>.nomad`, as
//! `tls cert create` makes them. Neither address nor node is in a certificate: an address is no identity, and a node
//! proves itself by its secret.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{FORWARD, REVERSE, RpcError};
use crate::agent::config::TlsFiles;
use crate::sys::report::Kind;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(in crate::agent) enum TlsError {
    /// A file cannot be read, or holds no PEM of that kind.
    #[error("tls: `{}`: read {what} in PEM", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A file holds none.
    #[error("tls: `{}`: it holds no certificate in PEM", .0.display())]
    Empty(PathBuf),
    /// The authority's certificate is none.
    #[error("tls: `{}`: use as certificate authority", .0.display())]
    Authority(PathBuf, #[source] rustls::Error),
    /// Certificate and key do not belong together, or cannot be used.
    #[error("tls: use certificate `{}` with key `{}`", cert.display(), key.display())]
    Certificate {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// The authority cannot check the other side.
    #[error("tls: check the other side by the certificate authority")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
    /// The region makes no name.
    #[error("tls: region `{0}` makes no host name; use letters, digits and `-`")]
    Region(String),
    /// Our own certificate is for something else.
    #[error("tls: `{}`: {names}, but this agent is a {role} of region `{region}`: make it one with the name `{role}.{region}.nomad`", path.display())]
    Role {
        /// The file.
        path: PathBuf,
        /// What it is for.
        names: String,
        /// What the agent is.
        role: &'static str,
        /// Where.
        region: String,
    },
}

/// What the holder of a certificate may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Everything.
    Server,
    /// What nodes do.
    Client,
}

/// TLS of this agent.
#[derive(Clone)]
pub(in crate::agent) struct Tls {
    acceptor: Arc<ServerConfig>,
    forward: Arc<ClientConfig>,
    reverse: Arc<ClientConfig>,
    names: Names,
    files: Arc<TlsFiles>,
}

/// The names of a region's certificates.
#[derive(Debug, Clone)]
struct Names {
    server: ServerName<'static>,
    client: ServerName<'static>,
}

impl Names {
    fn of(region: &str) -> Result<Self, TlsError> {
        let name = |role: &str| {
            ServerName::try_from(format!("{role}.{region}.nomad"))
                .map_err(|_| TlsError::Region(region.to_owned()))
        };
        Ok(Self { server: name("server")?, client: name("client")? })
    }

    /// The role in a certificate, or what it is for.
    fn role(&self, certificate: &CertificateDer<'_>) -> Result<Role, String> {
        let parsed = ParsedCertificate::try_from(certificate).map_err(|error| error.to_string())?;
        if verify_server_name(&parsed, &self.server).is_ok() {
            return Ok(Role::Server);
        }
        match verify_server_name(&parsed, &self.client) {
            Ok(()) => Ok(Role::Client),
            Err(rustls::Error::InvalidCertificate(error)) => Err(valid_for(&error)),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What is wrong with a certificate.
fn valid_for(error: &CertificateError) -> String {
    match error {
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "the certificate has no name (a common name does not count, only alternative names do)"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            format!("the certificate is for {}", names.join(", "))
        }
        other => other.to_string(),
    }
}

/// `DnsName("x")` is what rustls says of a name; people say x. The name may come from anybody.
fn bare(name: &str) -> String {
    let inner = name.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")"));
    let shown =
        inner.unwrap_or(name).chars().take(253).map(|c| if c.is_control() { '?' } else { c });
    format!("`{}`", shown.collect::<String>())
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files, and checks that they are for an agent of this `region` that is a server, or is not.
    pub(in crate::agent) fn load(
        files: &TlsFiles,
        region: &str,
        is_server: bool,
    ) -> Result<Self, TlsError> {
        let own = certificates(&files.cert)?;
        check_own(&Names::of(region)?, &own, files, region, is_server)?;
        Self::unchecked(files, region)
    }

    /// Reads the files, whatever the certificate is for.
    pub(super) fn unchecked(files: &TlsFiles, region: &str) -> Result<Self, TlsError> {
        let names = Names::of(region)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&files.ca)? {
            let added = roots.add(certificate);
            added.map_err(|error| TlsError::Authority(files.ca.clone(), error))?;
        }
        let roots = Arc::new(roots);
        let chain = certificates(&files.cert)?;
        let key = || {
            let path = files.key.clone();
            PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::File {
                path,
                what: "a private key",
                source,
            })
        };
        let unusable = |source| TlsError::Certificate {
            cert: files.cert.clone(),
            key: files.key.clone(),
            source,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .map_err(TlsError::Verifier)?;
        let mut acceptor = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key()?)
            .map_err(unusable)?;
        acceptor.alpn_protocols = vec![FORWARD.to_vec(), REVERSE.to_vec()];
        let mut forward = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key()?)
            .map_err(unusable)?;
        forward.alpn_protocols = vec![FORWARD.to_vec()];
        let mut reverse = forward.clone();
        reverse.alpn_protocols = vec![REVERSE.to_vec()];
        Ok(Self {
            acceptor: Arc::new(acceptor),
            forward: Arc::new(forward),
            reverse: Arc::new(reverse),
            names,
            files: Arc::new(files.clone()),
        })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.acceptor))
    }

    /// To make calls.
    pub(super) fn forward(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.forward))
    }

    /// To be called on.
    pub(super) fn reverse(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.reverse))
    }

    /// The name every server's certificate has.
    pub(super) fn server_name(&self) -> ServerName<'static> {
        self.names.server.clone()
    }

    /// What the one who holds this certificate, which is of our authority, may do.
    pub(super) fn role(&self, certificate: Option<&CertificateDer<'_>>) -> Result<Role, RpcError> {
        let role = match certificate {
            Some(certificate) => self.names.role(certificate),
            None => Err("there is no certificate".to_owned()),
        };
        role.map_err(|names| {
            let (server, client) = (self.names.server.to_str(), self.names.client.to_str());
            let reason = format!("{names}; agents of this region have `{client}` or `{server}`");
            RpcError::new(Kind::Denied, reason)
        })
    }

    /// Why a connection to `other` was not made secure, and what to do.
    pub(super) fn failed(&self, other: &str, error: &std::io::Error) -> RpcError {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        let denied = |text: String| RpcError::new(Kind::Denied, format!("{other}: TLS: {text}"));
        match cause {
            Some(rustls::Error::InvalidCertificate(
                // Two authorities of the same name differ in what they sign only.
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            )) => denied(format!(
                "its certificate is not of our authority, `{}`",
                self.files.ca.display()
            )),
            Some(rustls::Error::InvalidCertificate(
                error @ CertificateError::NotValidForNameContext { .. },
            )) => denied(format!(
                "{}; a server of this region has `{}`",
                valid_for(error),
                self.names.server.to_str()
            )),
            Some(rustls::Error::InvalidCertificate(error)) => {
                denied(format!("its certificate: {error}"))
            }
            Some(rustls::Error::NoCertificatesPresented) => {
                denied("it shows no certificate".to_owned())
            }
            Some(rustls::Error::AlertReceived(_)) => self.ended(other, &error.to_string()),
            Some(rustls::Error::InvalidMessage(_)) => denied(
                "it does not speak TLS; the RPC port (4647) of an agent with `tls { rpc = true }` does"
                    .to_owned(),
            ),
            Some(_) | None => RpcError::away(format!("{other}: TLS: {error}")),
        }
    }

    /// Why a secure connection to `other` ended, and what to do. In TLS 1.3 a certificate is refused only after the
    /// one who showed it has finished, and HTTP/2 keeps of that no more than the text.
    pub(super) fn ended(&self, other: &str, text: &str) -> RpcError {
        if !text.contains("received fatal alert") {
            return RpcError::away(format!("{other}: {text}"));
        }
        let (cert, authority) = (self.files.cert.display(), self.files.ca.display());
        let reason = format!(
            "{other}: it refuses our certificate, `{cert}`: {text}; all agents need certificates of one authority, ours is `{authority}`"
        );
        RpcError::new(Kind::Denied, reason)
    }
}

/// A certificate that others would refuse is refused here, where its owner sees it.
fn check_own(
    names: &Names,
    chain: &[CertificateDer<'static>],
    files: &TlsFiles,
    region: &str,
    is_server: bool,
) -> Result<(), TlsError> {
    let Some(own) = chain.first() else { return Err(TlsError::Empty(files.cert.clone())) };
    let names = match names.role(own) {
        Ok(Role::Server) => return Ok(()),
        Ok(Role::Client) if !is_server => return Ok(()),
        Ok(Role::Client) => format!("the certificate is for `{}`", names.client.to_str()),
        Err(names) => names,
    };
    let role = if is_server { "server" } else { "client" };
    Err(TlsError::Role { path: files.cert.clone(), names, role, region: region.to_owned() })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { path: path.to_owned(), what: "certificates", source };
    let found = CertificateDer::pem_file_iter(path)
        .map_err(failed)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    if found.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(found) }
}
