//! A server whose process is killed while it writes.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::*;

const DIRECTORY: &str = "STEAD_TEST_KILLED_DIRECTORY";

/// Not a test of its own: the process that [`what_was_acknowledged_survives_a_kill`] starts and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "another test runs it in a process of its own"]
async fn writes_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIRECTORY) else { return };
    let net = Arc::new(Net::default());
    let server = net.start("a", Path::new(&dir), Bootstrap::Alone).await;
    lead(&server).await;
    let first = value(&server, "k0").map_or(0, |last| last + 1);
    for round in first..u64::MAX {
        let writers = (0..8).map(|n| {
            let server = server.clone();
            async move { put(&server, &format!("k{n}"), round).await }
        });
        let last = futures::future::join_all(writers).await.into_iter().max().unwrap();
        println!("acknowledged {round} {last}");
    }
}

/// A child that is killed when it is dropped.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        // Already gone is as good.
        let _gone = self.0.kill().is_err();
        drop(self.0.wait());
    }
}

/// Lets a server write until it has acknowledged `rounds` more, and kills it. Gives the last round and index.
fn write_and_kill(dir: &Path, rounds: usize) -> (u64, u64) {
    let this = std::env::current_exe().unwrap();
    let child = stead::sys::command::command(this)
        .args(["--exact", "raft::killed::writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Child(child);
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut acknowledged = lines.map_while(Result::ok).filter_map(|line| {
        let (_, rest) = line.split_once("acknowledged ")?;
        let (round, index) = rest.split_once(' ')?;
        Some((round.parse().ok()?, index.parse().ok()?))
    });
    acknowledged.nth(rounds).expect("it writes")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    for rounds in [20, 3, 150] {
        let path = dir.path().to_owned();
        let killed = tokio::task::spawn_blocking(move || write_and_kill(&path, rounds));
        let (round, index) = killed.await.unwrap();
        let net = Arc::new(Net::default());
        let server = net.start("a", dir.path(), Bootstrap::Alone).await;
        lead(&server).await;
        assert!(server.state().index() >= index, "{} of {index}", server.state().index());
        for n in 0..8 {
            let kept = value(&server, &format!("k{n}"));
            assert!(kept >= Some(round), "k{n} is {kept:?}, {round} was acknowledged");
        }
        server.shutdown().await;
    }
}
