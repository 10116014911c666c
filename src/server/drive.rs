//! ◇ The one shape of a loop: wait for events, a deadline or the end; take a turn; wait again.

use tokio::sync::mpsc;

use super::now;
use crate::model::Timestamp;
use crate::sys::tasks::Stop;

/// Events that one turn takes at most.
const AT_ONCE: usize = 256;
/// Events that may wait.
const MAILBOX: usize = 4096;

/// A mailbox for a loop.
pub(super) fn mailbox<E>() -> (mpsc::Sender<E>, mpsc::Receiver<E>) {
    mpsc::channel(MAILBOX)
}

/// Takes turns until it is told to stop. A turn gets the events that came, none when its deadline passed, and says when
/// the next deadline is. The first turn comes at once, without events.
pub(super) async fn drive<E>(
    mut mailbox: mpsc::Receiver<E>,
    stop: Stop,
    mut turn: impl FnMut(Vec<E>, Timestamp) -> Option<Timestamp>,
) {
    let mut deadline = turn(Vec::new(), now());
    loop {
        let mut events = Vec::new();
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // Dropping it loses nothing: events are taken only when it returns.
            taken = mailbox.recv_many(&mut events, AT_ONCE) => if taken == 0 { return },
            () = sleep_until(deadline) => {}
        }
        deadline = turn(events, now());
    }
}

/// Returns at that time; never, if there is none.
pub(super) async fn sleep_until(at: Option<Timestamp>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(now()).to_std()).await,
        None => std::future::pending().await,
    }
}
