//! The members of the cluster and how they change.

use std::collections::{BTreeMap, BTreeSet};

use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver as _;

use super::leadership::Peer;
use super::types::{Member, Openraft};
use crate::sys::report::Kind;

/// What a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It counts for a quorum.
    Voter,
    /// It gets everything and counts for nothing.
    Learner,
}

/// A member of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its identity.
    pub id: u64,
    /// What the cluster knows of it.
    pub member: Member,
    /// What it does.
    pub role: Role,
    /// Whether it leads, as far as this server knows.
    pub is_leader: bool,
}

/// Why the members were not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("members of the cluster: {attempt}: {reason}")]
pub struct MembershipError {
    /// What was attempted.
    pub attempt: &'static str,
    /// Why not.
    pub reason: String,
}

impl MembershipError {
    /// What it means to who asked.
    pub fn kind(&self) -> Kind {
        Kind::Unavailable
    }
}

fn failed(attempt: &'static str) -> impl FnOnce(String) -> MembershipError {
    move |reason| MembershipError { attempt, reason }
}

pub(super) fn list(raft: &Openraft) -> Vec<MemberStatus> {
    let metrics = raft.metrics();
    let seen = metrics.borrow_watched();
    let membership = seen.membership_config.membership();
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    membership
        .nodes()
        .map(|(id, member)| MemberStatus {
            id: *id,
            member: member.clone(),
            role: if voters.contains(id) { Role::Voter } else { Role::Learner },
            is_leader: seen.current_leader == Some(*id),
        })
        .collect()
}

pub(super) fn peer(raft: &Openraft, id: u64) -> Option<Peer> {
    let metrics = raft.server_metrics();
    let seen = metrics.borrow_watched();
    let member = seen.membership_config.membership().get_node(&id)?.clone();
    Some(Peer { id, member })
}

/// Takes a server in as a learner and waits until it has caught up.
pub(super) async fn add_learner(
    raft: &Openraft,
    id: u64,
    member: Member,
) -> Result<(), MembershipError> {
    let added = raft.add_learner(id, member, true).await;
    added.map(drop).map_err(|error| failed("add a learner")(error.to_string()))
}

/// Makes exactly these the voters, in one joint change. Those that no longer vote leave.
pub(super) async fn set_voters(
    raft: &Openraft,
    voters: BTreeSet<u64>,
) -> Result<(), MembershipError> {
    let changed = raft.change_membership(voters, false).await;
    changed.map(drop).map_err(|error| failed("change the voters")(error.to_string()))
}

/// Changes what is known of a member: its address, its name.
pub(super) async fn set_member(
    raft: &Openraft,
    id: u64,
    member: Member,
) -> Result<(), MembershipError> {
    let change = ChangeMembers::SetNodes(BTreeMap::from([(id, member)]));
    let changed = raft.change_membership(change, true).await;
    changed.map(drop).map_err(|error| failed("change a member's address")(error.to_string()))
}

/// Takes learners out.
pub(super) async fn remove(raft: &Openraft, ids: BTreeSet<u64>) -> Result<(), MembershipError> {
    let changed = raft.change_membership(ChangeMembers::RemoveNodes(ids), true).await;
    changed.map(drop).map_err(|error| failed("remove members")(error.to_string()))
}
