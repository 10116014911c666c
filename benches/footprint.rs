//! The memory of all that stays beside the tasks, for so many running ones, beside Docker and Podman with the same
//! image: `cargo bench --bench footprint [-- <directory> [<most tasks>]]`, as root.
//!
//! Memory is PSS from `/proc/<pid>/smaps_rollup`: pages that processes share are counted once. Of stead it is the
//! agent and the shims; of Docker dockerd, containerd, its shims and docker-proxy; of Podman conmon. The tasks
//! themselves are not in it. Containers are on the bridge with one published port.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops where it fails"
)]

#[path = "common/agent.rs"]
mod agent;
#[path = "common/image.rs"]
mod image;
#[path = "common/jobs.rs"]
mod jobs;
#[path = "common/peers.rs"]
mod peers;
#[path = "common/proc.rs"]
mod proc;
#[path = "common/table.rs"]
mod table;
#[path = "common/wire.rs"]
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::{Agent, rest};
use jobs::{Work, job, submit, wait_until};
use peers::{Kind, Peer};
use table::{judge, row, show};

/// Megabytes of the processes beside the tasks, by program.
type Memory = BTreeMap<String, f64>;

/// What was found for each count of running tasks.
type Found = BTreeMap<usize, Memory>;

const PEER_MOST: usize = 20;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let parent = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let most = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(200);
    let counts: Vec<usize> = [0, 1, PEER_MOST, 200].into_iter().filter(|n| *n <= most).collect();
    let dir = tempfile::Builder::new().prefix("stead-bench-").tempdir_in(&parent).unwrap();
    let path = dir.path().canonicalize().unwrap();
    let image = image::make(&path);
    table::load("before");
    let container = own(&parent, Work::Container { image: &image.layout }, &counts);
    let raw_exec = own(&parent, Work::Command { driver: "raw_exec" }, &counts);
    let docker = Peer::start(Kind::Docker, &path, &image).map(|peer| beside(&peer, &counts));
    let podman = Peer::start(Kind::Podman, &path, &image).map(|peer| beside(&peer, &counts));
    table::load("after");
    let names: Vec<String> = counts.iter().map(|count| format!("{count} tasks, MB")).collect();
    let mut head = vec![""];
    head.extend(names.iter().map(String::as_str));
    head.extend(["each more, MB", "of which with most tasks", "budget"]);
    table::head(&head);
    print("stead, container, bridge and port", Some(&container), &counts, Some(1.0));
    print("stead, raw_exec", Some(&raw_exec), &counts, Some(0.6));
    print("docker, the same container", docker.as_ref(), &counts, None);
    print("podman, the same container", podman.as_ref(), &counts, None);
}

fn print(name: &str, found: Option<&Found>, counts: &[usize], each: Option<f64>) {
    let Some(found) = found else { return };
    let total = |count: &usize| {
        found.get(count).map(|memory| memory.values().fold(0.0, |sum, size| sum + size))
    };
    let more = found.last_key_value().and_then(|(most, _)| {
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        (*most > 0).then_some((total(most)? - total(&0)?) / *most as f64)
    });
    let parts = found.last_key_value().into_iter().flat_map(|(_, memory)| memory);
    let parts: Vec<String> =
        parts.map(|(program, size)| format!("{program} {}", show(Some(*size)))).collect();
    let budget = each.map(|each| {
        format!("idle {}, each {}", judge('≤', 25.0, total(&0)), judge('≤', each, more))
    });
    let mut cells = vec![name.to_owned()];
    cells.extend(counts.iter().map(|count| show(total(count))));
    cells.extend([show(more), parts.join(", "), budget.unwrap_or_default()]);
    row(&cells);
}

/// An agent of its own for each kind of work: what earlier tasks left in its memory would count.
fn own(parent: &Path, work: Work<'_>, counts: &[usize]) -> Found {
    let agent = Agent::start(parent);
    let mut wire = agent.wire();
    let mut found = Found::new();
    for count in counts {
        if *count > 0 {
            submit(&mut wire, &job("bench", work, *count));
            wait_until(&mut wire, "bench", "running", *count);
        }
        settle();
        let shims = shims(agent.dir.path());
        assert_eq!(shims.len(), *count, "one shim for each task");
        let pids = shims.into_iter().chain([agent.child.id()]);
        found.insert(*count, pids.filter_map(memory).fold(Memory::new(), add));
    }
    found
}

fn beside(peer: &Peer, counts: &[usize]) -> Found {
    let (mut found, mut running) = (Found::new(), 0);
    for count in counts.iter().filter(|count| **count <= PEER_MOST) {
        while running < *count {
            peer.run();
            running += 1;
        }
        settle();
        let pids = peer.processes().into_iter();
        found.insert(*count, pids.filter_map(memory).fold(Memory::new(), add));
    }
    found
}

/// What is only needed to start is over by then.
fn settle() {
    rest(Duration::from_secs(3));
}

fn add(mut sum: Memory, (program, size): (String, f64)) -> Memory {
    *sum.entry(program).or_default() += size;
    sum
}

/// The program of a process and its share of memory in megabytes; `None` when it is gone.
fn memory(pid: u32) -> Option<(String, f64)> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    let first = words(pid).into_iter().next()?;
    let program = Path::new(&first).file_name()?.to_string_lossy().into_owned();
    Some((program, kib * 1024.0 / 1e6))
}

/// The shims of the tasks below `dir`.
fn shims(dir: &Path) -> Vec<u32> {
    let dir = dir.canonicalize().unwrap();
    let is_ours = |pid: &u32| {
        let words = words(*pid);
        words.first().is_some_and(|word| word == "stead-shim")
            && words.iter().any(|word| Path::new(word).starts_with(&dir))
    };
    proc::all().into_iter().filter(is_ours).collect()
}

fn words(pid: u32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    text.split('\0').map(str::to_owned).collect()
}
