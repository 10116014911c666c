//! ◆ Who to be at a registry: what a job says, or what docker's `config.json` says.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// How to ask a registry.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub enum Auth {
    /// As the store's docker `config.json` says for that registry, else as nobody.
    #[default]
    Configured,
    /// As nobody, whatever is configured.
    Anonymous,
    /// User name and password: sent as they are, or exchanged for a token where the registry wants one.
    Basic { username: String, password: String },
    /// A token the registry takes.
    Bearer(String),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured => f.write_str("Configured"),
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Basic { username, .. } => write!(f, "Basic({username})"),
            Self::Bearer(_) => f.write_str("Bearer"),
        }
    }
}

/// Why docker's `config.json` gives no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("not the JSON of a docker configuration")]
    Json(#[source] serde_json::Error),
    #[error("`auths` entry `{0}`: `auth` is not base64 of `user:password`")]
    Auth(String),
    #[error(
        "`auths` entry `{0}` has an identity token, which is not supported: log in with a user name and a password or access token"
    )]
    IdentityToken(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    registrytoken: String,
    identitytoken: String,
}

/// What docker's `config.json` says for `registry`; `Anonymous` when it says nothing.
pub fn lookup(config: &[u8], registry: &str) -> Result<Auth, CredentialsError> {
    let raw: Raw = serde_json::from_slice(config).map_err(CredentialsError::Json)?;
    let Some((key, entry)) = raw.auths.into_iter().find(|(key, _)| host(key) == registry) else {
        return Ok(Auth::Anonymous);
    };
    if !entry.registrytoken.is_empty() {
        return Ok(Auth::Bearer(entry.registrytoken));
    }
    if !entry.identitytoken.is_empty() {
        return Err(CredentialsError::IdentityToken(key));
    }
    if !entry.auth.is_empty() {
        let decoded =
            STANDARD.decode(entry.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = decoded.ok_or_else(|| CredentialsError::Auth(key.clone()))?;
        let (username, password) = text.split_once(':').ok_or(CredentialsError::Auth(key))?;
        let password = password.trim_end_matches('\0');
        return Ok(Auth::Basic { username: username.to_owned(), password: password.to_owned() });
    }
    if entry.username.is_empty() {
        // A credential helper keeps the secret and leaves an empty entry.
        return Ok(Auth::Anonymous);
    }
    Ok(Auth::Basic { username: entry.username, password: entry.password })
}

/// Keys are hosts, or URLs as old versions of docker wrote them.
fn host(key: &str) -> &str {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    match rest.split('/').next().unwrap_or(rest) {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"auths":{
        "https://index.docker.io/v1/":{"auth":"dTpw"},
        "host:5000":{"username":"a","password":"b:c"},
        "token.example":{"registrytoken":"t"},
        "helper.example":{},
        "identity.example":{"identitytoken":"x"},
        "broken.example":{"auth":"%"}},"credsStore":"pass","HttpHeaders":{"a":"b"}}"#;

    fn basic(username: &str, password: &str) -> Auth {
        Auth::Basic { username: username.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn credentials_are_found_by_registry() {
        let found = |registry| lookup(CONFIG.as_bytes(), registry).unwrap();
        assert_eq!(found("docker.io"), basic("u", "p"));
        assert_eq!(found("host:5000"), basic("a", "b:c"));
        assert_eq!(found("token.example"), Auth::Bearer("t".to_owned()));
        assert_eq!(found("helper.example"), Auth::Anonymous);
        assert_eq!(found("elsewhere.example"), Auth::Anonymous);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let refused = |registry| lookup(CONFIG.as_bytes(), registry).unwrap_err().to_string();
        assert!(refused("identity.example").contains("`identity.example` has an identity token"));
        assert!(refused("broken.example").contains("base64"));
        assert!(lookup(b"[", "x").is_err());
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?} {:?}", basic("me", "hidden"), Auth::Bearer("hidden".to_owned()));
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
