//! ◇ Hears what happens in nftables and tells the owner when another program did it. A hint, never a decision.

use std::io;
use std::sync::Weak;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::actor::Request;
use super::nat::Foreign;
use super::netlink::Notifications;
use crate::sys::tasks::Tasks;

/// Changes come in bursts; and a program that undoes each of our repairs at once must not make us spin.
const SETTLE: Duration = Duration::from_millis(50);
const BUFFER: usize = 16 * 1024;

/// What is ours.
#[derive(Debug, Clone)]
pub(super) struct Own {
    /// The netlink port of our changes.
    pub(super) port: u32,
    /// The name of our table.
    pub(super) table: String,
}

/// Watches the namespace of the calling thread.
pub(super) fn start(tasks: &Tasks, own: Own, owner: Weak<SyncSender<Request>>) -> io::Result<()> {
    let notifications = readable(Notifications::nftables()?)?;
    let stop = tasks.stop_token();
    tasks.spawn("watch", async move {
        // Nothing is lost when a wait is given up: what was not read is still in the socket.
        stop.run_until_cancelled(watch(notifications, own, owner)).await.unwrap_or_default();
    });
    Ok(())
}

#[expect(unsafe_code, reason = "tokio cannot know that a type keeps its file descriptor")]
fn readable(notifications: Notifications) -> io::Result<AsyncFd<Notifications>> {
    // SAFETY: `Notifications` owns one descriptor that it neither closes nor replaces before it is dropped, and
    // `as_raw_fd` returns that one every time.
    let registered = unsafe { AsyncFd::register_with_interest(notifications, Interest::READABLE) };
    registered.map_err(io::Error::from)
}

async fn watch(notifications: AsyncFd<Notifications>, own: Own, owner: Weak<SyncSender<Request>>) {
    while let Ok(mut ready) = notifications.readable().await {
        let seen = drain(notifications.get_ref(), &own);
        ready.clear_ready();
        if seen.any {
            let Some(owner) = owner.upgrade() else { return };
            // A full mailbox is asked again after the pause, with all that came meanwhile.
            if owner.try_send(Request::Changed(seen)).is_err() {
                tracing::debug!("network: the owner is busy");
            }
            drop(owner);
        }
        tokio::time::sleep(SETTLE).await;
    }
}

fn drain(notifications: &Notifications, own: &Own) -> Foreign {
    let mut buffer = vec![0; BUFFER];
    let mut seen = Foreign::default();
    loop {
        match notifications.next(&mut buffer) {
            Ok(Some(datagram)) => seen = seen.and(Foreign::read(datagram, own.port, &own.table)),
            Ok(None) => return seen,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Too much happened to be told: anything may have.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                seen = Foreign { ours: true, any: true };
            }
            Err(error) => {
                tracing::warn!(%error, "network: nftables cannot be watched");
                return seen;
            }
        }
    }
}
