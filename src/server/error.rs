//! ◇ Why something was not done.

use crate::raft::ProposeError;
use crate::state::Refusal;
use crate::sys::report::Kind;

/// Why something was not done. The texts are Nomad's where clients match them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// What was named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// It is in another state than was assumed.
    #[error("{0}")]
    Conflict(String),
    /// It cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The servers could not agree on it.
    #[error(transparent)]
    Propose(ProposeError),
    /// This server does not lead, and only the leader can.
    #[error("No cluster leader")]
    NoLeader,
}

impl ServerError {
    /// What it means to who asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) => Kind::NotFound,
            Self::Conflict(_) => Kind::Conflict,
            Self::Invalid(_) => Kind::Invalid,
            Self::Propose(error) => error.kind(),
            Self::NoLeader => Kind::Unavailable,
        }
    }

    pub(super) fn job_not_found() -> Self {
        Self::NotFound("job not found".to_owned())
    }

    pub(super) fn node_not_found() -> Self {
        Self::NotFound("node not found".to_owned())
    }
}

impl From<Refusal> for ServerError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound(text) => Self::NotFound(text),
            Refusal::Conflict(text) => Self::Conflict(text),
            Refusal::Invalid(text) => Self::Invalid(text),
        }
    }
}
