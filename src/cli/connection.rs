//! ◇ Which agent a command talks to, from flags and environment.

use clap::Args;

use super::exit::Failure;
use crate::api::client::{Client, ClientConfig, ClientError};

/// Flags of every command that talks to an agent. Each also comes from `STEAD_…` or `NOMAD_…` in the environment.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Agent")]
pub(super) struct Connection {
    /// Address of the agent: http://host:port or <unix:///path> [default: <http://127.0.0.1:4646>]
    #[arg(long, global = true, value_name = "ADDR")]
    address: Option<String>,
    /// Region of the servers to forward to
    #[arg(long, global = true)]
    region: Option<String>,
    /// Namespace to work in
    #[arg(long, global = true)]
    namespace: Option<String>,
    /// Secret of an ACL token
    #[arg(long, global = true)]
    token: Option<String>,
    /// Print without colours
    #[arg(long, global = true)]
    pub(super) no_color: bool,
    /// Print with colours also when stdout is not a terminal
    #[arg(long, global = true)]
    pub(super) force_color: bool,
}

/// A setting from the environment: ours first, then Nomad's.
pub(super) fn env(name: &str) -> Option<String> {
    ["STEAD_", "NOMAD_"]
        .iter()
        .find_map(|prefix| std::env::var(format!("{prefix}{name}")).ok())
        .filter(|value| !value.is_empty())
}

impl Connection {
    /// The namespace that was asked for, `*` included.
    pub(super) fn namespace(&self) -> Option<String> {
        self.namespace.clone().or_else(|| env("NAMESPACE"))
    }

    /// The region that was asked for.
    pub(super) fn region(&self) -> Option<String> {
        self.region.clone().or_else(|| env("REGION"))
    }

    /// A client of the agent.
    pub(super) fn client(&self) -> Client {
        let pick = |flag: &Option<String>, name: &str| {
            flag.clone().or_else(|| env(name)).unwrap_or_default()
        };
        let mut address = pick(&self.address, "ADDR");
        if address.is_empty() {
            "http://127.0.0.1:4646".clone_into(&mut address);
        }
        Client::new(ClientConfig {
            address,
            token: pick(&self.token, "TOKEN"),
            region: pick(&self.region, "REGION"),
            namespace: pick(&self.namespace, "NAMESPACE"),
        })
    }

    /// Whether text may be coloured.
    pub(super) fn colors(&self) -> bool {
        let off = self.no_color
            || env("CLI_NO_COLOR").is_some()
            || std::env::var_os("NO_COLOR").is_some();
        let on = self.force_color || env("CLI_FORCE_COLOR").is_some();
        on || (!off && super::output::is_terminal())
    }
}

/// Says what was attempted when a request failed, and what to do when no agent was reached.
pub(super) fn failed(what: &str) -> impl Fn(ClientError) -> Failure + '_ {
    move |error| {
        let failure = Failure::of(what, &error);
        match error {
            ClientError::Connect { .. } => failure.hint(
                "is an agent running there? start one with `stead agent`, or name another with -address",
            ),
            ClientError::Address { .. } | ClientError::Status { .. } | ClientError::Read { .. } => failure,
        }
    }
}
