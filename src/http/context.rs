//! ◇ What every route can reach: the state, the servers, the client of this agent, and facts about it.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::error::HttpError;
use super::local::Local;
use crate::server::Server;
use crate::state::State;
use crate::state::Watch;

/// What the agent tells of itself.
pub trait Facts: Send + Sync {
    /// Whether this agent is a node itself, not only able to ask others.
    fn is_client(&self) -> bool;
    /// The answer of `/v1/agent/self`.
    fn agent_self(&self) -> Value;
    /// The servers, as `/v1/agent/members` shows them: name, region, data centre, and each member.
    fn members(&self) -> Value;
    /// `host:port` of the leader's RPC; empty when there is none.
    fn leader(&self) -> String;
    /// `host:port` of every server's RPC.
    fn peers(&self) -> Vec<String>;
    /// The answer of `/v1/operator/raft/configuration`.
    fn raft_configuration(&self) -> Value;
    /// The region.
    fn region(&self) -> String;
}

/// What every route can reach. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The servers, when this agent is one.
    pub server: Option<Server>,
    /// The state, when this agent is a server.
    pub watch: Option<Watch>,
    /// Nodes this agent can ask: its own, and those that are connected.
    pub local: Option<Arc<dyn Local>>,
    /// What the agent tells of itself.
    pub facts: Arc<dyn Facts>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("server", &self.server.is_some())
            .field("client", &self.local.is_some())
            .finish_non_exhaustive()
    }
}

impl Context {
    /// The servers, or why this agent cannot answer.
    pub(super) fn server(&self) -> Result<&Server, HttpError> {
        self.server.as_ref().ok_or_else(|| HttpError::not_here("server is not enabled"))
    }

    /// The watch on the state, or why this agent cannot answer.
    pub(super) fn watch(&self) -> Result<&Watch, HttpError> {
        self.watch.as_ref().ok_or_else(|| HttpError::not_here("server is not enabled"))
    }

    /// The current state.
    pub(super) fn state(&self) -> Result<Arc<State>, HttpError> {
        self.watch().map(Watch::state)
    }

    /// The nodes this agent can ask, or why there are none.
    pub(super) fn local(&self) -> Result<&dyn Local, HttpError> {
        self.local.as_deref().ok_or_else(|| HttpError::not_here("client is not enabled"))
    }
}
