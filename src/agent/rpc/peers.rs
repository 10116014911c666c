//! ◇ Other servers, as raft calls them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::watch;

use super::call::{Line, within};
use super::tls::Tls;
use super::{RpcError, whole};
use crate::raft::{RpcKind, Transport, TransportError};
use crate::sys::report::Kind;
use crate::sys::tasks::Tasks;

/// What came of dialling; nothing while it goes on.
type Dialled = watch::Receiver<Option<Result<Line, RpcError>>>;

/// Lines to other servers, by address. Clones share them.
#[derive(Debug, Clone)]
pub(in crate::agent) struct Peers {
    tls: Tls,
    tasks: Tasks,
    /// Locked for moments only.
    lines: Arc<Mutex<HashMap<String, Dialled>>>,
}

impl Peers {
    pub(in crate::agent) fn new(tls: Tls, tasks: Tasks) -> Self {
        Self { tls, tasks, lines: Arc::default() }
    }

    async fn line(&self, address: &str) -> Result<Line, RpcError> {
        let mut dialled = self.dialled(address);
        let done = dialled.wait_for(Option::is_some).await;
        let line = done.ok().and_then(|line| line.clone());
        line.unwrap_or_else(|| Err(RpcError::away("this agent stops")))
    }

    /// The line that is there, or one that is being made. A call may be given up long before a far server is
    /// reached, and must not take the attempt with it: then no call would ever get through.
    fn dialled(&self, address: &str) -> Dialled {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dialled) = lines.get(address) {
            let is_over = match &*dialled.borrow() {
                None => dialled.has_changed().is_err(),
                Some(Ok(line)) => line.is_closed(),
                Some(Err(_)) => true,
            };
            if !is_over {
                return dialled.clone();
            }
        }
        let (tell, dialled) = watch::channel(None);
        lines.insert(address.to_owned(), dialled.clone());
        let (peers, address, stop) = (self.clone(), address.to_owned(), self.tasks.stop_token());
        self.tasks.spawn("dial", async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                // Dropped by the stop only.
                line = Line::dial(&address, &peers.tls, &peers.tasks) => {
                    tell.send_replace(Some(line));
                }
            }
        });
        dialled
    }
}

impl Transport for Peers {
    fn call(
        &self,
        target: u64,
        address: &str,
        kind: RpcKind,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Bytes, TransportError>> {
        let (peers, address) = (self.clone(), address.to_owned());
        async move {
            let path = format!("/raft/{}", kind.as_str());
            let called = async {
                let line = peers.line(&address).await?;
                line.send(&path, whole(body), timeout).await
            };
            let other = format!("server at {address}");
            let reason = match within(&other, timeout, called).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(RpcError { kind: Kind::Unavailable, reason })) => reason,
                Ok(Err(RpcError { reason, .. })) => {
                    return Err(TransportError::Refused { target, address, reason });
                }
                Err(error) => error.reason,
            };
            Err(TransportError::Unreachable { target, address, reason })
        }
        .boxed()
    }
}
