//! Commands that wait together become one entry of the log: one agreement and one sync for all of them.
//!
//! A command that comes while nothing is under way goes at once. While entries are under way the others
//! gather, at most [`UNDER_WAY`] entries at a time, so that one is being written while the next fills.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use openraft::errors::{ClientWriteError, ForwardReason, RaftError};
use tokio::sync::{mpsc, oneshot};

use super::error::ProposeError;
use super::leadership::Peer;
use super::types::{Answers, Batch, Openraft, Types};
use crate::model::Index;
use crate::state::{Command, Reply};
use crate::sys::tasks::Stop;

/// Entries that may be under way.
const UNDER_WAY: usize = 2;
/// Commands in one entry.
const COMMANDS: usize = 512;
/// Bytes in one entry, more or less.
const BYTES: usize = 1 << 20;
/// Proposals that may wait.
const MAILBOX: usize = 4096;

pub(super) type Answer = Result<(Index, Reply), ProposeError>;

/// A command, its text, and who waits for it.
#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) command: Command,
    pub(super) text: Option<String>,
    pub(super) answer: oneshot::Sender<Answer>,
}

pub(super) fn mailbox() -> (mpsc::Sender<Proposal>, mpsc::Receiver<Proposal>) {
    mpsc::channel(MAILBOX)
}

/// Packs and proposes what comes, until it stops or nobody can propose any more.
pub(super) async fn run(raft: Openraft, mut mailbox: mpsc::Receiver<Proposal>, stop: Stop) {
    let mut under_way = FuturesUnordered::new();
    let mut left = None;
    loop {
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // Dropping it loses nothing: the entries stay in `under_way`.
            Some(()) = under_way.next() => continue,
            // Dropping it loses nothing: a proposal is taken only when this returns.
            first = next(&mut left, &mut mailbox), if under_way.len() < UNDER_WAY => first,
        };
        let Some(first) = first else { return };
        let (batch, answers) = pack(first, &mut mailbox, &mut left);
        under_way.push(propose(&raft, batch, answers));
    }
}

async fn next(
    left: &mut Option<Proposal>,
    mailbox: &mut mpsc::Receiver<Proposal>,
) -> Option<Proposal> {
    match left.take() {
        Some(proposal) => Some(proposal),
        None => mailbox.recv().await,
    }
}

/// The first and all that wait behind it, as far as they fit into one entry.
fn pack(
    first: Proposal,
    mailbox: &mut mpsc::Receiver<Proposal>,
    left: &mut Option<Proposal>,
) -> (Batch, Vec<oneshot::Sender<Answer>>) {
    let (mut commands, mut texts, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    let mut bytes = 0;
    let mut take = |proposal: Proposal| {
        commands.push(proposal.command);
        texts.extend(proposal.text);
        answers.push(proposal.answer);
    };
    bytes += first.text.as_ref().map_or(0, String::len);
    take(first);
    for _ in 1..COMMANDS {
        let Ok(proposal) = mailbox.try_recv() else { break };
        bytes += proposal.text.as_ref().map_or(0, String::len);
        if bytes > BYTES {
            *left = Some(proposal);
            break;
        }
        take(proposal);
    }
    (Batch::new(commands, &texts), answers)
}

async fn propose(raft: &Openraft, batch: Batch, answers: Vec<oneshot::Sender<Answer>>) {
    let results: Vec<Answer> = match raft.client_write(batch).await {
        Ok(response) => {
            let Answers(results) = response.data;
            results.into_iter().map(Ok).collect()
        }
        Err(error) => vec![Err(refusal(error)); answers.len()],
    };
    for (answer, result) in answers.into_iter().zip(results) {
        // Whoever asked may have stopped waiting.
        let _gone = answer.send(result).is_err();
    }
}

/// Why openraft did not take a write.
pub(super) fn refusal(error: RaftError<Types, ClientWriteError<Types>>) -> ProposeError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            if forward.reason == ForwardReason::LeaseExpired {
                return ProposeError::no_quorum();
            }
            let known = forward.leader_id.zip(forward.leader_node);
            ProposeError::NotLeader { leader: known.map(|(id, member)| Peer { id, member }) }
        }
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => ProposeError::Unknown,
        RaftError::APIError(
            error @ (ClientWriteError::ChangeMembershipError(_)
            | ClientWriteError::PreconditionFailed(_)),
        ) => ProposeError::Invalid(error.to_string()),
        RaftError::Fatal(fatal) => ProposeError::Stopped(fatal.to_string()),
    }
}
