//! Who leads. A server that won an election says so only after it has applied all that was agreed on before
//! it: whoever acts as the leader's hand sees the newest state.

use std::time::Duration;

use openraft::ServerState;
use openraft::async_runtime::WatchReceiver as _;
use tokio::sync::watch;

use super::members::peer;
use super::types::{Member, Openraft};
use crate::sys::tasks::Stop;

/// How soon a new leader tries again to catch up …
const AGAIN: Duration = Duration::from_millis(10);
/// … and how long one try may take.
const BARRIER: Duration = Duration::from_secs(2);

/// Whether this server leads, or who does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leadership {
    /// It leads and has caught up with its own log.
    Leader {
        /// In which term: of two that both believe so, the one with the greater term is right.
        term: u64,
    },
    /// Another does, or nobody is known to.
    Follower {
        /// Who does.
        leader: Option<Peer>,
    },
}

impl Leadership {
    /// Whether this server leads.
    pub fn is_leader(&self) -> bool {
        matches!(self, Self::Leader { .. })
    }
}

/// Another server, or this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its identity.
    pub id: u64,
    /// What the cluster knows of it.
    pub member: Member,
}

/// Follows openraft's view of who leads and tells `told`, until it stops.
pub(super) async fn follow(raft: Openraft, told: watch::Sender<Leadership>, stop: Stop) {
    let mut metrics = raft.server_metrics();
    loop {
        let (state, leader, term, voters) = {
            let seen = metrics.borrow_watched();
            let term = seen.vote.leader_id.term;
            let voters = seen.membership_config.membership().voter_ids().count();
            (seen.state, seen.current_leader, term, voters)
        };
        // A server that is alone has nobody to hear from: no timer wakes it.
        let is_alone = voters == 1 && state == ServerState::Leader;
        raft.runtime_config().tick(!is_alone);
        let mut is_settled = true;
        let now = if state == ServerState::Leader {
            let leads = Leadership::Leader { term };
            // The barrier: what earlier leaders left is applied when this is.
            if *told.borrow() == leads || is_caught_up(&raft, &stop).await {
                leads
            } else {
                is_settled = false;
                Leadership::Follower { leader: None }
            }
        } else {
            Leadership::Follower { leader: leader.and_then(|id| peer(&raft, id)) }
        };
        told.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // Only a new leader whose followers have not answered yet is in this.
            () = tokio::time::sleep(AGAIN), if !is_settled => {}
            // Dropping it loses nothing: the next look sees the newest.
            changed = metrics.changed() => if changed.is_err() { return },
        }
    }
}

/// Whether all that was agreed on before is applied. Not while no quorum has acknowledged this leader yet.
async fn is_caught_up(raft: &Openraft, stop: &Stop) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        // Dropping it leaves an empty entry on its way, which changes nothing.
        written = tokio::time::timeout(BARRIER, raft.write_blank()) => {
            matches!(written, Ok(Ok(_)))
        }
    }
}
