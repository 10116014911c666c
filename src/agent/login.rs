//! ◆ Credentials that a user of the command line has for a registry, found as the agent would find its own.

use anyhow::Context as _;

use crate::image::{Auth, Reference, docker_login};

/// What to show a registry: a name and a password, or a token.
#[derive(Default)]
pub struct Login {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: String,
    /// A token in their place.
    pub token: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What docker's `config.json` says for the registry of `image`; nothing when it says nothing, or when the image
/// comes from no registry.
pub fn from_docker_config(config: &[u8], image: &str) -> anyhow::Result<Option<Login>> {
    let reference: Reference = image.parse()?;
    let Reference::Registry(name) = reference else { return Ok(None) };
    let found = docker_login(config, name.registry());
    Ok(match found.with_context(|| format!("registry {}", name.registry()))? {
        Auth::Configured | Auth::Anonymous => None,
        Auth::Basic { username, password } => {
            Some(Login { username, password, token: String::new() })
        }
        Auth::Bearer(token) => Some(Login { token, ..Login::default() }),
    })
}
