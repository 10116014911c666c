//! Jobs registered and evaluated a second, and reads a second, over HTTP connections that are kept:
//! `cargo bench --bench api [-- <directory> [<rounds>]]`, as root.
//!
//! The agent is the real binary with its data on disk and every write synced. A job is a service of one group
//! whose count is zero, so that it is evaluated and nothing is placed; it counts when its evaluation is complete.
//! Beside it, in the same round, raw SQLite commits of the same job on the same disk. The clients run on the same
//! processors as the agent. The disk has a write budget on many machines: the runs are short, take turns and rest.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops where it fails"
)]

#[path = "common/agent.rs"]
mod agent;
#[path = "common/table.rs"]
mod table;
#[path = "common/times.rs"]
mod times;
#[path = "common/wire.rs"]
mod wire;

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use stead::sys::clock::monotonic;

use agent::{Agent, eventually, rest};
use table::{judge, row, show};
use times::{millis, quantile, ratio};
use wire::Wire;

/// How long one run takes.
const LIMIT: Duration = Duration::from_secs(2);

/// One kind of work, measured once a round.
struct Series {
    name: &'static str,
    work: Work,
    /// What Nomad does of it a second on such a machine.
    nomad: Option<f64>,
    least: Option<f64>,
    rates: Vec<f64>,
    ms: Vec<f64>,
    /// Processor time of the agent, microseconds for each: hardly changed by what else the machine does.
    cpu_us: Vec<f64>,
}

#[derive(Clone, Copy)]
enum Work {
    RawSqlite,
    /// As fast as that many clients are answered; over when all that was registered is evaluated.
    Register(usize),
    /// One client that waits for each evaluation before it registers the next job.
    RegisterAndWait,
    Read(&'static str, usize),
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let parent = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let rounds: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3);
    let dir = tempfile::Builder::new().prefix("stead-bench-").tempdir_in(&parent).unwrap();
    let agent = Agent::start(&parent);
    let mut all = series();
    let mut serial = 0;
    table::load("before");
    for round in 0..rounds {
        for one in &mut all {
            rest(Duration::from_millis(500));
            serial += 1;
            let before = cpu_us(&agent);
            let (rate, ms) = match one.work {
                Work::RawSqlite => raw_sqlite(&dir.path().join(format!("raw-{round}.db"))),
                Work::Register(clients) => register(&agent, clients, serial),
                Work::RegisterAndWait => register_and_wait(&agent, serial),
                Work::Read(path, clients) => read(&agent, path, clients),
            };
            if !matches!(one.work, Work::RawSqlite) {
                one.cpu_us.push((cpu_us(&agent) - before) / number(ms.len()));
            }
            one.rates.push(rate);
            one.ms.extend(ms);
        }
    }
    table::load("after");
    print(&all);
}

fn series() -> Vec<Series> {
    let one = |name, work, nomad, least| Series {
        name,
        work,
        nomad,
        least,
        rates: Vec::new(),
        ms: Vec::new(),
        cpu_us: Vec::new(),
    };
    let (own, nodes) = ("/v1/agent/self", "/v1/nodes");
    vec![
        one("raw SQLite FULL, a job a commit", Work::RawSqlite, None, None),
        one("register and evaluate, 1 client", Work::Register(1), Some(360.0), Some(2000.0)),
        one("register and evaluate, 16 clients", Work::Register(16), Some(538.0), Some(5000.0)),
        one("register, wait for its evaluation, 1 client", Work::RegisterAndWait, None, None),
        one("GET /v1/agent/self, 1 client", Work::Read(own, 1), Some(1564.0), Some(5.0 * 1564.0)),
        one("GET /v1/nodes, 8 clients", Work::Read(nodes, 8), Some(3471.0), Some(5.0 * 3471.0)),
    ]
}

fn print(all: &[Series]) {
    table::head(&[
        "",
        "a second",
        "p50 ms",
        "p99 ms",
        "agent's processor, µs each",
        "to raw SQLite, same round",
        "Nomad, a second",
        "to Nomad",
        "budget",
    ]);
    for one in all {
        let rate = quantile(&one.rates, 0.5);
        let to_raw = match one.work {
            Work::Read(..) => None,
            Work::RawSqlite | Work::Register(_) | Work::RegisterAndWait => {
                ratio(&one.rates, &all[0].rates)
            }
        };
        row(&[
            one.name.to_owned(),
            show(rate),
            show(quantile(&one.ms, 0.5)),
            show(quantile(&one.ms, 0.99)),
            show(quantile(&one.cpu_us, 0.5)),
            show(to_raw),
            show(one.nomad),
            show(rate.zip(one.nomad).map(|(own, nomad)| own / nomad)),
            one.least.map(|least| judge('≥', least, rate)).unwrap_or_default(),
        ]);
    }
}

fn job(id: &str) -> String {
    let task = json!({
        "Name": "main",
        "Driver": "mock_driver",
        "Config": { "run_for": "1h" },
        "Env": { "ONE": "1", "TWO": "2" },
        "Resources": { "CPU": 100, "MemoryMB": 64 },
    });
    let group = json!({ "Name": "app", "Count": 0, "Tasks": [task] });
    json!({ "Job": { "ID": id, "Name": id, "Type": "service", "TaskGroups": [group] } }).to_string()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
fn number(count: usize) -> f64 {
    count as f64
}

fn a_second(count: usize, took: Duration) -> f64 {
    number(count) / took.as_secs_f64()
}

/// Processor time of the agent so far (proc(5), fields 14 and 15 of `stat`), in microseconds.
fn cpu_us(agent: &Agent) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", agent.child.id())).unwrap();
    let after = stat.rsplit_once(") ").map(|(_, after)| after).unwrap();
    let ticks = after.split(' ').skip(11).take(2);
    ticks.map(|field| field.parse::<f64>().unwrap() * 1e6 / 100.0).sum()
}

fn raw_sqlite(path: &Path) -> (f64, Vec<f64>) {
    let file = rusqlite::Connection::open(path).unwrap();
    file.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         CREATE TABLE log (idx INTEGER PRIMARY KEY, body TEXT NOT NULL);",
    )
    .unwrap();
    let body = job("raw");
    let mut insert = file.prepare("INSERT INTO log (body) VALUES (?1)").unwrap();
    let (begun, mut ms) = (monotonic(), Vec::new());
    while begun.elapsed() < LIMIT {
        let one = monotonic();
        insert.execute([&body]).unwrap();
        ms.push(millis(one.elapsed()));
    }
    (a_second(ms.len(), begun.elapsed()), ms)
}

fn register(agent: &Agent, clients: usize, serial: usize) -> (f64, Vec<f64>) {
    let begun = monotonic();
    let ms = together(clients, |client| {
        let (mut wire, mut ms, mut last) = (agent.wire(), Vec::new(), String::new());
        while begun.elapsed() < LIMIT {
            let body = job(&format!("bench-{serial}-{client}-{}", ms.len()));
            let one = monotonic();
            last = submit(&mut wire, &body);
            ms.push(millis(one.elapsed()));
        }
        wait_for(&mut wire, &last);
        ms
    });
    let mut took = begun.elapsed();
    // The last of each client is evaluated; should another one still wait, it counts.
    let mut wire = agent.wire();
    eventually("all is evaluated", || {
        let open = wire.get("/v1/evaluations?per_page=1&filter=Status!=%22complete%22").json();
        let is_done = open.as_array().is_none_or(Vec::is_empty);
        if !is_done {
            took = begun.elapsed();
        }
        is_done.then_some(())
    });
    (a_second(ms.len(), took), ms)
}

/// Registers a job and returns its evaluation.
fn submit(wire: &mut Wire<TcpStream>, body: &str) -> String {
    wire.ask("PUT", "/v1/jobs", body).json()["EvalID"].as_str().unwrap().to_owned()
}

/// Waits by blocking queries until an evaluation is complete.
fn wait_for(wire: &mut Wire<TcpStream>, eval: &str) {
    let mut index = 0;
    loop {
        let answer = wire.get(&format!("/v1/evaluation/{eval}?index={index}&wait=10s"));
        if answer.json()["Status"] == "complete" {
            return;
        }
        index = answer.index;
    }
}

fn register_and_wait(agent: &Agent, serial: usize) -> (f64, Vec<f64>) {
    let (mut wire, mut ms) = (agent.wire(), Vec::new());
    let begun = monotonic();
    while begun.elapsed() < LIMIT {
        let body = job(&format!("bench-{serial}-{}", ms.len()));
        let one = monotonic();
        let eval = submit(&mut wire, &body);
        wait_for(&mut wire, &eval);
        ms.push(millis(one.elapsed()));
    }
    (a_second(ms.len(), begun.elapsed()), ms)
}

fn read(agent: &Agent, path: &str, clients: usize) -> (f64, Vec<f64>) {
    let begun = monotonic();
    let ms = together(clients, |_| {
        let (mut wire, mut ms) = (agent.wire(), Vec::new());
        while begun.elapsed() < LIMIT {
            let one = monotonic();
            assert_eq!(wire.get(path).status, 200, "{path}");
            ms.push(millis(one.elapsed()));
        }
        ms
    });
    (a_second(ms.len(), begun.elapsed()), ms)
}

/// Runs `work` in that many threads at once and puts together what they measured.
fn together(clients: usize, work: impl Fn(usize) -> Vec<f64> + Sync) -> Vec<f64> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> =
            (0..clients).map(|client| scope.spawn(move || work(client))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}
