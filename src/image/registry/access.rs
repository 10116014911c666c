//! ◇ Requests to one registry with the credentials that open it.
//!
//! A request is sent with what opened the registry the last time, or with nothing; only when the registry asks for
//! more does it get more, so a password goes to no registry that does not want it. Whatever a registry answers besides
//! blobs is read up to a limit.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RANGE, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use super::super::credentials::Auth;
use super::challenge::Challenge;
use super::error::{RegistryError, Told, blame, refusal};

/// Longer than any token, or what is said about an error.
const MAX_TOKEN: u64 = 1 << 20;
const MAX_ERROR: u64 = 64 * 1024;
/// Passes kept; one more makes room by forgetting all, which costs a request each.
const MAX_PASSES: usize = 256;

/// By registry, repository and credentials.
type Known = HashMap<(String, String, Auth), HeaderValue>;

/// What opened a repository with some credentials the last time.
#[derive(Default)]
pub(super) struct Passes {
    /// Leaf: held for a look or an insert.
    known: Mutex<Known>,
}

impl Passes {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One repository of one registry.
pub(super) struct Access {
    pub(super) client: Client,
    pub(super) auth: Auth,
    /// As people write it.
    pub(super) registry: String,
    pub(super) repository: String,
    /// Whether it may be spoken to without TLS.
    pub(super) insecure: bool,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

/// The value of a header that nobody logs.
fn secret(text: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    secret(format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
}

impl Access {
    fn scheme(&self) -> &'static str {
        if self.insecure { "http" } else { "https" }
    }

    /// The host that serves it: Docker's own is not the one that people write.
    fn host(&self) -> &str {
        if self.registry == "docker.io" { "index.docker.io" } else { &self.registry }
    }

    fn key(&self) -> (String, String, Auth) {
        (self.registry.clone(), self.repository.clone(), self.auth.clone())
    }

    fn unusable(&self, text: &str) -> RegistryError {
        RegistryError::Answer { registry: self.registry.clone(), source: Told::of(text) }
    }

    fn unauthorized(&self) -> RegistryError {
        RegistryError::Unauthorized { registry: self.registry.clone() }
    }

    /// Asks for `path` below the repository, from byte `from` on. The answer is a success.
    pub(super) async fn get(
        &self,
        passes: &Passes,
        path: &str,
        accept: &str,
        from: u64,
    ) -> Result<Response, RegistryError> {
        let url = format!("{}://{}/v2/{}/{path}", self.scheme(), self.host(), self.repository);
        let url = Url::parse(&url).map_err(|error| self.unusable(&error.to_string()))?;
        let known = match &self.auth {
            Auth::Bearer(token) => secret(format!("Bearer {token}")),
            Auth::Configured | Auth::Anonymous | Auth::Basic { .. } => {
                passes.known().get(&self.key()).cloned()
            }
        };
        let response = self.ask(&url, accept, from, known.as_ref()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.success(response).await;
        }
        let pass = self.authenticate(&response).await?;
        if known.as_ref() == Some(&pass) {
            return Err(self.unauthorized());
        }
        let response = self.ask(&url, accept, from, Some(&pass)).await?;
        let response = self.success(response).await?;
        {
            let mut known = passes.known();
            if known.len() >= MAX_PASSES {
                known.clear();
            }
            known.insert(self.key(), pass);
        }
        Ok(response)
    }

    async fn ask(
        &self,
        url: &Url,
        accept: &str,
        from: u64,
        pass: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let mut request = self.client.get(url.clone()).header(ACCEPT, accept);
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        if let Some(pass) = pass {
            request = request.header(AUTHORIZATION, pass.clone());
        }
        request.send().await.map_err(|error| blame(&self.registry, error))
    }

    /// What the registry wants to see, from the credentials there are.
    async fn authenticate(&self, refused: &Response) -> Result<HeaderValue, RegistryError> {
        let offered = refused.headers().get_all(WWW_AUTHENTICATE);
        let challenge = Challenge::choose(offered.iter().filter_map(|value| value.to_str().ok()));
        let pass = match (challenge, &self.auth) {
            (Some(Challenge::Basic), Auth::Basic { username, password }) => {
                basic(username, password)
            }
            (Some(Challenge::Bearer { realm, service }), auth)
                if !matches!(auth, Auth::Bearer(_)) =>
            {
                let token = self.token(&realm, service.as_deref()).await?;
                secret(format!("Bearer {token}"))
            }
            _ => None,
        };
        pass.ok_or_else(|| self.unauthorized())
    }

    /// A token to read the repository with.
    async fn token(&self, realm: &str, service: Option<&str>) -> Result<String, RegistryError> {
        let mut url =
            Url::parse(realm).map_err(|_| self.unusable("it gives tokens at what is no URL"))?;
        // A password must not leave in the clear because a registry says so.
        if url.scheme() != "https" && !(self.insecure && url.scheme() == "http") {
            return Err(self.unusable("it gives tokens where there is no TLS"));
        }
        url.query_pairs_mut()
            .append_pair("scope", &format!("repository:{}:pull", self.repository))
            .extend_pairs(service.map(|service| ("service", service)));
        let pass = match &self.auth {
            Auth::Basic { username, password } => basic(username, password),
            Auth::Configured | Auth::Anonymous | Auth::Bearer(_) => None,
        };
        let response = self.ask(&url, "application/json", 0, pass.as_ref()).await?;
        let response = self.success(response).await?;
        let bytes = self.bytes(response, "token", MAX_TOKEN).await?;
        let token: Token = serde_json::from_slice(&bytes)
            .map_err(|_| self.unusable("it gave something else than a token"))?;
        let token = token.token.or(token.access_token).filter(|token| !token.is_empty());
        token.ok_or_else(|| self.unusable("it gave no token"))
    }

    async fn success(&self, response: Response) -> Result<Response, RegistryError> {
        let status = response.status();
        if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
            return Ok(response);
        }
        // What is said beyond the limit, or after the connection broke, is not needed to know that it was refused.
        let text = self.bytes(response, "error", MAX_ERROR).await.unwrap_or_default();
        Err(refusal(&self.registry, status.as_u16(), &text))
    }

    /// The body of an answer that is not long.
    pub(super) async fn bytes(
        &self,
        mut response: Response,
        what: &'static str,
        most: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let registry = || self.registry.clone();
        let too_long = || RegistryError::TooLong { registry: registry(), what, most };
        if response.content_length().is_some_and(|length| length > most) {
            return Err(too_long());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| blame(&registry(), error))? {
            if (bytes.len() as u64).saturating_add(chunk.len() as u64) > most {
                return Err(too_long());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}
