//! ◇ Who to be at a registry: from the command line, the environment, or a docker `config.json`.

use std::io::Read as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::agent::login;
use crate::api::client::ClientError;
use crate::cli::connection::env;
use crate::cli::exit::Failure;

/// Longer than any password or token.
const MAX_PASSWORD: u64 = 64 * 1024;

/// Flags of commands that ask a registry.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Login {
    /// User name at the registry; also `STEAD_REGISTRY_USERNAME`
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Read the password from standard input; otherwise `STEAD_REGISTRY_PASSWORD` is taken
    #[arg(long)]
    password_stdin: bool,
    /// Take the credentials from this docker config.json
    #[arg(long, value_name = "FILE", conflicts_with_all = ["username", "password_stdin"])]
    auth: Option<PathBuf>,
}

impl Login {
    /// What is sent as `Auth`; nothing when the agent's own configuration is to decide.
    pub(super) fn auth(&self, image: &str) -> Result<Option<Value>, Failure> {
        if let Some(path) = &self.auth {
            let doing = format!("read {}", path.display());
            let config = std::fs::read(path).map_err(|error| Failure::of(&doing, &error))?;
            let found = login::from_docker_config(&config, image)
                .map_err(|error| Failure::new(format!("{doing}: {error:#}")))?;
            let missing = || {
                Failure::new(format!(
                    "{} has no credentials for the registry of {image}",
                    path.display()
                ))
            };
            let found = found.ok_or_else(missing)?;
            return Ok(Some(json!({
                "Username": found.username, "Password": found.password, "Token": found.token,
            })));
        }
        let Some(username) = self.username.clone().or_else(|| env("REGISTRY_USERNAME")) else {
            if self.password_stdin {
                return Err(Failure::new("-password-stdin needs -username"));
            }
            return Ok(None);
        };
        let password =
            if self.password_stdin { Some(from_stdin()?) } else { env("REGISTRY_PASSWORD") };
        let password = password.ok_or_else(|| {
            Failure::new(format!("no password for {username}"))
                .hint("give it with -password-stdin or in STEAD_REGISTRY_PASSWORD")
        })?;
        Ok(Some(json!({ "Username": username, "Password": password })))
    }
}

/// Standard input without the end of its line.
fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_PASSWORD)
        .read_to_string(&mut text)
        .map_err(|error| Failure::of("read the password from standard input", &error))?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(Failure::new("standard input has no password"));
    }
    Ok(password.to_owned())
}

/// The failure, with how to log in when the registry refused.
pub(super) fn hinted(failed: impl Fn(ClientError) -> Failure, error: ClientError) -> Failure {
    let refused = matches!(error, ClientError::Status { status: 403, .. });
    let failure = failed(error);
    if refused {
        return failure.hint(
            "log in with -username and -password-stdin, or with -auth ~/.docker/config.json",
        );
    }
    failure
}
