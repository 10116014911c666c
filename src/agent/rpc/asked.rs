//! ◇ The node's own side of being asked: it dials every server, and answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::call::{ALIVE_EVERY, ALIVE_WITHIN, DIAL, collect, connect, within};
use super::listen::refusal;
use super::node_calls::Proof;
use super::tls::Tls;
use super::{Body, Refusal, RpcError, local_calls, whole};
use crate::http::Local;
use crate::sys::report::{self, Kind};
use crate::sys::tasks::Tasks;

/// The wait before a server that is away is dialled again: this at first …
const AGAIN: Duration = Duration::from_millis(100);
/// … twice as long each time, but no longer than this.
const AGAIN_AT_MOST: Duration = Duration::from_secs(10);
/// Questions of one server that are answered at once: each follower of a log is one.
const AT_ONCE: u32 = 256;
/// Nothing a server says of taking the node in may be longer.
const LONGEST: usize = 64 * 1024;

/// The node, as servers ask it. Clones are the same one.
#[derive(Debug, Clone)]
pub(in crate::agent) struct Asked {
    tls: Tls,
    proof: Proof,
    local: Arc<dyn Local>,
    tasks: Tasks,
}

impl Asked {
    pub(in crate::agent) fn new(
        tls: Tls,
        proof: Proof,
        local: Arc<dyn Local>,
        tasks: Tasks,
    ) -> Self {
        Self { tls, proof, local, tasks }
    }

    /// Lets every server ask this node: dials each, again when it goes away, less often the longer it is away.
    pub(in crate::agent) fn by(&self, servers: &[String]) {
        for address in servers {
            let (address, asked) = (address.clone(), self.clone());
            let stop = self.tasks.stop_token();
            self.tasks.spawn("asked by servers", async move {
                let mut failures = 0;
                loop {
                    let welcome = Arc::new(AtomicBool::new(false));
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return,
                        // Dropped by the stop only.
                        ended = asked.once(&address, &welcome) => {
                            tracing::debug!(%address, ?ended, "server went away");
                        }
                    }
                    failures = if welcome.load(Ordering::Relaxed) { 0 } else { failures + 1 };
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(pause(failures, crate::sys::ids::random_u64())) => {}
                    }
                }
            });
        }
    }

    /// Dials one server and answers it until it goes away.
    async fn once(&self, address: &str, welcome: &Arc<AtomicBool>) -> Result<(), RpcError> {
        let other = format!("server at {address}");
        let stream = connect(address).await?;
        let secured = self.tls.reverse().connect(self.tls.server_name(), stream);
        let secured = within(&other, DIAL, secured).await?;
        let secured = secured.map_err(|error| self.tls.failed(&other, &error))?;
        let service = service_fn(|request: Request<Incoming>| {
            let (asked, other, welcome) = (self.clone(), other.clone(), Arc::clone(welcome));
            async move { Ok::<_, Infallible>(asked.answer(request, &other, &welcome).await) }
        });
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(ALIVE_EVERY)
            .keep_alive_timeout(ALIVE_WITHIN)
            .max_concurrent_streams(AT_ONCE)
            .serve_connection(TokioIo::new(secured), service)
            .await
            .map_err(|error| self.tls.ended(&other, &report::chain(&error)))
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        other: &str,
        welcome: &AtomicBool,
    ) -> Response<Body> {
        match request.uri().path() {
            "/who" => Response::new(whole(serde_json::to_vec(&self.proof).unwrap_or_default())),
            "/welcome" => {
                welcome.store(true, Ordering::Relaxed);
                Response::new(whole("null"))
            }
            "/refused" => {
                let told = collect(request.into_body(), LONGEST).await.ok();
                let told = told.and_then(|body| serde_json::from_slice::<Refusal>(&body).ok());
                let reason = told.map(|refusal| refusal.reason).unwrap_or_default();
                tracing::warn!(%reason, "{other} does not take this node's files, logs and commands");
                Response::new(whole("null"))
            }
            "/local" => {
                let local = Arc::clone(&self.local);
                local_calls::answer(request.into_body(), local, &self.tasks).await
            }
            path => {
                let reason = format!("no call `{path}`; is this agent older than the server?");
                refusal(&RpcError::new(Kind::NotFound, reason))
            }
        }
    }
}

/// How long to wait after so many failures; `chance` keeps nodes from coming all at once.
fn pause(failures: u32, chance: u64) -> Duration {
    let longest = AGAIN.saturating_mul(1 << failures.min(10)).min(AGAIN_AT_MOST);
    let half = longest / 2;
    half + half * u32::try_from(chance % 1024).unwrap_or_default() / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_away_is_dialled_less_and_less_often() {
        let pauses: Vec<_> = (0..12).map(|failures| pause(failures, 0)).collect();
        assert!(pauses.is_sorted() && pauses[0] >= AGAIN / 2);
        for chance in [0, 1, 511, 1023, u64::MAX] {
            assert!(pause(u32::MAX, chance) <= AGAIN_AT_MOST);
            assert!(pause(u32::MAX, chance) >= AGAIN_AT_MOST / 2);
        }
    }
}
