//! Not a benchmark: that nothing waits for a timer, and that many jobs do not stand in each other's way.

use std::time::{Duration, Instant};

use stead::model::*;

use super::crowd::{Crowd, job, key, node};

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_are_registered_and_evaluated_soon() {
    const JOBS: usize = 300;
    let crowd = Crowd::new().await;
    crowd.server.register_node(node("a", 1_000_000, 1_000_000)).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test that measures")]
    let start = Instant::now();
    let all = (0..JOBS).map(|i| crowd.register(job(&format!("job-{i}"), JobType::Service, 1, 1)));
    futures::future::join_all(all).await;
    let registered = start.elapsed();
    let state = crowd.until("all are placed", |state| state.allocs().count() == JOBS).await;
    let placed = start.elapsed();
    println!("{JOBS} jobs registered in {registered:?}, placed in {placed:?}");
    assert!(placed < Duration::from_secs(10));
    assert!(state.job(&key("job-0")).is_some());
    crowd.shutdown().await;
}
