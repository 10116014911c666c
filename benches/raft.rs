//! Committed writes a second of one server, beside raw SQLite commits and raw fdatasync on the same disk in
//! the same run: `cargo bench --bench raft [-- <directory> [<rounds>]]`.
//!
//! A write is a command of about 300 bytes that changes one row, and counts when it is synced and applied.
//! The disk has a write budget on many machines, so the runs are short, take turns and rest; ratios are
//! taken within a round.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops where it fails"
)]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use stead::raft::{
    Bootstrap, Leadership, Member, RaftConfig, RaftHandle, Retention, Storage, Timing, Unconnected,
    open,
};
use stead::state::{Intent, RowTable};
use stead::sys::clock::monotonic;

/// One way to write, measured once a round.
struct Series {
    name: &'static str,
    rates: Vec<f64>,
    sorted_ms: Vec<f64>,
    note: String,
}

/// What one round found: writes, the time they took together, and each.
struct Run {
    count: u64,
    took: Duration,
    ms: Vec<f64>,
    note: String,
}

impl Series {
    fn new(name: &'static str) -> Self {
        Self { name, rates: Vec::new(), sorted_ms: Vec::new(), note: String::new() }
    }

    fn add(&mut self, run: Run) {
        self.rates.push(number(run.count) / run.took.as_secs_f64());
        self.sorted_ms.extend(run.ms);
        self.sorted_ms.sort_by(f64::total_cmp);
        self.note = run.note;
    }

    fn quantile(&self, part: f64) -> f64 {
        quantile(&self.sorted_ms, part)
    }
}

fn quantile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small index")]
    let at = (number(last as u64) * part) as usize;
    sorted.get(at).copied().unwrap_or_default()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    quantile(&numbers, 0.5)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
fn number(count: u64) -> f64 {
    count as f64
}

const RAW: usize = 1;
const WRITERS: [u64; 4] = [1, 8, 64, 256];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let parent = arguments.next().unwrap_or_else(|| ".".to_owned());
    let rounds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(5);
    let dir = tempfile::tempdir_in(parent).unwrap();
    let limit = Duration::from_millis(500);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (server, opened) = runtime.block_on(start(dir.path()));
    let names = [
        "4 KiB write and fdatasync",
        "raw SQLite FULL, 1 row a commit",
        "raw SQLite FULL, 64 rows a commit",
        "stead, 1 writer",
        "stead, 8 writers",
        "stead, 64 writers",
        "stead, 256 writers",
    ];
    let mut all = names.map(Series::new);
    for _ in 0..rounds {
        all[0].add(synced_file(dir.path(), limit));
        all[1].add(raw_sqlite(dir.path(), 1, limit));
        all[2].add(raw_sqlite(dir.path(), 64, limit));
        for (series, writers) in all[3..].iter_mut().zip(WRITERS) {
            rest();
            series.add(runtime.block_on(load(&server, writers, limit)));
        }
        rest();
    }
    runtime.block_on(server.shutdown());
    let (server, reopened) = runtime.block_on(start(dir.path()));
    let rows = server.state().counts().values().sum::<usize>();
    runtime.block_on(server.shutdown());
    print(&all);
    println!(
        "first start: open, lead, first write: {opened:.1?}; again, with {rows} rows: {reopened:.1?}"
    );
}

/// Lets the disk catch its breath; many have a budget for writes.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark waits for a machine, not for a condition"
)]
fn rest() {
    std::thread::sleep(Duration::from_millis(300));
}

fn print(all: &[Series]) {
    println!("| | a second | p50 ms | p99 ms | to raw SQLite of 1 row, same round | |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for series in all {
        let ratios = series.rates.iter().zip(&all[RAW].rates).map(|(own, raw)| own / raw);
        println!(
            "| {} | {:.0} | {:.2} | {:.2} | {:.2} | {} |",
            series.name,
            median(series.rates.clone()),
            series.quantile(0.5),
            series.quantile(0.99),
            median(ratios.collect()),
            series.note,
        );
    }
}

/// 4 KiB written and synced, one after another, in a file that grows.
fn synced_file(dir: &Path, limit: Duration) -> Run {
    let mut file = OpenOptions::new().create(true).append(true).open(dir.join("synced")).unwrap();
    let begun = monotonic();
    let (mut count, mut ms) = (0, Vec::new());
    while begun.elapsed() < limit {
        let one = monotonic();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        ms.push(millis(one));
        count += 1;
    }
    Run { count, took: begun.elapsed(), ms, note: String::new() }
}

fn raw_sqlite(dir: &Path, rows: u64, limit: Duration) -> Run {
    let path = dir.join(format!("raw-{rows}.db"));
    let file = rusqlite::Connection::open(path).unwrap();
    file.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         CREATE TABLE IF NOT EXISTS log (idx INTEGER PRIMARY KEY, body TEXT NOT NULL);",
    )
    .unwrap();
    let body = serde_json::to_string(&write("key", 1)).unwrap();
    let begun = monotonic();
    let (mut count, mut ms) = (0, Vec::new());
    while begun.elapsed() < limit {
        let one = monotonic();
        let transaction = file.unchecked_transaction().unwrap();
        let mut insert = transaction.prepare_cached("INSERT INTO log (body) VALUES (?1)").unwrap();
        for _ in 0..rows {
            insert.execute([&body]).unwrap();
        }
        drop(insert);
        transaction.commit().unwrap();
        ms.push(millis(one));
        count += rows;
    }
    Run { count, took: begun.elapsed(), ms, note: String::new() }
}

async fn start(dir: &Path) -> (RaftHandle, Duration) {
    let begun = monotonic();
    let config = RaftConfig {
        storage: Storage::Directory(dir.join("server")),
        member: Member { name: "bench".to_owned(), ..Member::default() },
        bootstrap: Bootstrap::Alone,
        timing: Timing::default(),
        retention: Retention::default(),
        transport: Arc::new(Unconnected),
    };
    let server = open(config).await.unwrap();
    drop(server.leadership().wait_for(Leadership::is_leader).await.unwrap());
    server.propose(write("first", 0)).await.unwrap();
    (server, begun.elapsed())
}

fn write(key: &str, value: u64) -> Intent {
    Intent::PutRow {
        table: RowTable::ScalingPolicies,
        key: key.to_owned(),
        row: json!({ "Value": value, "Padding": "x".repeat(180) }),
        check_index: None,
    }
}

async fn load(server: &RaftHandle, writers: u64, limit: Duration) -> Run {
    let before = server.stats();
    let worked = cpu();
    let count = Arc::new(AtomicU64::new(0));
    let begun = monotonic();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let (server, count) = (server.clone(), Arc::clone(&count));
        tasks.spawn(async move {
            let (mut ms, mut value) = (Vec::new(), 0);
            while begun.elapsed() < limit {
                let one = monotonic();
                let key = format!("w{writer}-{}", value % 50);
                server.propose(write(&key, value)).await.unwrap();
                ms.push(millis(one));
                value += 1;
                count.fetch_add(1, Ordering::Relaxed);
            }
            ms
        });
    }
    let ms: Vec<f64> = tasks.join_all().await.concat();
    let took = begun.elapsed();
    let written = count.load(Ordering::Relaxed);
    let after = server.stats();
    let synced = after.transactions - before.transactions;
    let cpu_us = cpu().checked_sub(worked).unwrap().as_secs_f64() * 1e6 / number(written.max(1));
    let note = format!(
        "{:.1} writes a sync, {cpu_us:.0} µs of processor a write",
        number(written) / number(synced.max(1))
    );
    Run { count: written, took, ms, note }
}

/// Processor time of this process so far.
fn cpu() -> Duration {
    use nix::sys::time::TimeValLike as _;
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
