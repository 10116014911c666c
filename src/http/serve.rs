//! ◇ Serving the routes on a listener until told to stop.

use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use crate::sys::tasks::{Stop, Tasks};

/// Compress only what is whole: a stream that is held back to be compressed is no stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct WholeAnswers;

impl tower_http::compression::Predicate for WholeAnswers {
    fn should_compress<B>(&self, response: &http::Response<B>) -> bool
    where
        B: axum::body::HttpBody,
    {
        response.body().size_hint().exact().is_some_and(|size| size > 0)
    }
}

/// Serves `router` on `listener` until `stop`; connections that are being answered then have `grace` to end.
pub async fn serve(listener: TcpListener, router: Router, stop: Stop, grace: Duration) {
    let connections = Tasks::new("http", &stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            // Nothing is lost when this is dropped: the connection stays in the listener's queue.
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: give others a moment to close some.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Small answers must not wait for an acknowledgement; failing to set it only costs time.
        stream.set_nodelay(true).unwrap_or_default();
        let service = TowerToHyperService::new(router.clone());
        let stop = connections.stop_token();
        connections.spawn("connection", async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    drop(connection.await);
                }
                // A peer that goes away is no error of ours.
                ended = connection.as_mut() => drop(ended),
            }
        });
    }
    if !connections.shutdown(grace).await {
        tracing::info!("some HTTP connections were still open at the end");
    }
}
