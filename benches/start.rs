//! How soon a task runs and how soon it has ended, as a client sees it, beside Docker and Podman with the same
//! image on the same disk: `cargo bench --bench start [-- <directory> [<rounds>]]`, as root.
//!
//! Submit and stop go over one connection that is kept, and the end of each is seen by a blocking query. Docker
//! and Podman are timed by their command lines, Docker also by its API. All take turns; ratios are taken within a
//! round and are to Docker's command line.

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
#[path = "common/times.rs"]
mod times;
#[path = "common/wire.rs"]
mod wire;

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use stead::sys::clock::monotonic;

use agent::{Agent, rest};
use jobs::{Work, job, submit, wait_until};
use peers::{Kind, Peer};
use table::{judge, row, show};
use times::{millis, quantile, ratio};
use wire::Wire;

/// How many start together.
const CROWD: usize = 20;

/// One way to run a task, and what was measured of it.
struct Series<'a> {
    name: &'static str,
    way: Way<'a>,
    /// Milliseconds each start, stop, and crowd took; and what they should take.
    measured: [Vec<f64>; 3],
    budgets: [Option<f64>; 3],
}

#[derive(Clone, Copy)]
enum Way<'a> {
    Own(Work<'a>),
    Client(Kind),
    DockerApi,
}

/// Everything that can run a task.
struct World {
    wire: Wire<TcpStream>,
    peers: Vec<Peer>,
    /// Jobs submitted so far: each has an id of its own.
    serial: usize,
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let parent = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let rounds: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(30);
    let dir = tempfile::Builder::new().prefix("stead-bench-").tempdir_in(&parent).unwrap();
    let path = dir.path().canonicalize().unwrap();
    let image = image::make(&path);
    let kinds = [Kind::Docker, Kind::Podman];
    let peers = kinds.into_iter().filter_map(|kind| Peer::start(kind, &path, &image)).collect();
    let agent = Agent::start(&parent);
    let mut world = World { wire: agent.wire(), peers, serial: 0 };
    let mut all = series(&image.layout);
    table::load("before");
    for round in 0..=rounds {
        for one in &mut all {
            let Some((begun, ended)) = world.once(one.way) else { continue };
            // The first round fills caches: the image is present from then on.
            if round > 0 {
                one.measured[0].push(millis(begun));
                one.measured[1].push(millis(ended));
            }
        }
    }
    for _ in 0..rounds.div_ceil(10) {
        for one in &mut all {
            one.measured[2].extend(world.crowd(one.way).map(millis));
        }
    }
    table::load("after");
    print(&all);
}

fn series(image: &str) -> Vec<Series<'_>> {
    let one = |name, way, budgets| Series { name, way, measured: Default::default(), budgets };
    let command = |driver| Way::Own(Work::Command { driver });
    vec![
        one(
            "stead, container, bridge and port",
            Way::Own(Work::Container { image }),
            [Some(60.0), Some(30.0), Some(700.0)],
        ),
        one("docker, command line", Way::Client(Kind::Docker), [None; 3]),
        one("docker, API", Way::DockerApi, [None; 3]),
        one("podman, command line", Way::Client(Kind::Podman), [None; 3]),
        one("stead, raw_exec", command("raw_exec"), [Some(15.0), Some(30.0), None]),
        one("stead, exec", command("exec"), [Some(40.0), Some(30.0), None]),
    ]
}

fn print(all: &[Series<'_>]) {
    table::head(&["", "times", "p50 ms", "p99 ms", "to `docker`, same round", "budget of p50"]);
    let crowd = format!("{CROWD} at once");
    for (at, what) in ["start", "stop", &crowd].into_iter().enumerate() {
        let docker = all.iter().find(|one| matches!(one.way, Way::Client(Kind::Docker)));
        for one in all.iter().filter(|one| !one.measured[at].is_empty()) {
            let own = &one.measured[at];
            let p50 = quantile(own, 0.5);
            let to_docker = docker.and_then(|docker| ratio(own, &docker.measured[at]));
            let mut budget: Vec<String> =
                one.budgets[at].iter().map(|limit| judge('≤', *limit, p50)).collect();
            if at == 0 && matches!(one.way, Way::Own(Work::Container { .. })) {
                budget.push(format!("to docker {}", judge('≤', 0.2, to_docker)));
            }
            row(&[
                format!("{what}: {}", one.name),
                own.len().to_string(),
                show(p50),
                show(quantile(own, 0.99)),
                show(to_docker),
                budget.join(", "),
            ]);
        }
    }
}

impl World {
    fn peer(&self, kind: Kind) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.kind == kind)
    }

    /// Starts one task and stops it again; `None` when that peer is not here.
    fn once(&mut self, way: Way<'_>) -> Option<(Duration, Duration)> {
        match way {
            Way::Own(work) => Some(self.own(work, 1)),
            Way::Client(kind) => self.peer(kind).map(by_command_line),
            Way::DockerApi => self.peer(Kind::Docker).map(by_api),
        }
    }

    /// Starts many tasks at once and removes them.
    fn crowd(&mut self, way: Way<'_>) -> Option<Duration> {
        match way {
            Way::Own(work) => Some(self.own(work, CROWD).0),
            Way::Client(kind) => self.peer(kind).map(crowd_by_command_line),
            Way::DockerApi => None,
        }
    }

    fn own(&mut self, work: Work<'_>, count: usize) -> (Duration, Duration) {
        self.serial += 1;
        let id = format!("bench-{}", self.serial);
        let body = job(&id, work, count);
        let submitted = monotonic();
        submit(&mut self.wire, &body);
        wait_until(&mut self.wire, &id, "running", count);
        let begun = submitted.elapsed();
        settle();
        let asked = monotonic();
        self.wire.ask("DELETE", &format!("/v1/job/{id}"), "").json();
        wait_until(&mut self.wire, &id, "complete", count);
        (begun, asked.elapsed())
    }
}

/// A task that runs has not yet said that it obeys its signal.
fn settle() {
    rest(Duration::from_millis(200));
}

fn by_command_line(peer: &Peer) -> (Duration, Duration) {
    let asked = monotonic();
    let id = peer.run();
    let begun = asked.elapsed();
    settle();
    let asked = monotonic();
    peer.ok(&["stop", &id]);
    let ended = asked.elapsed();
    peer.ok(&["rm", &id]);
    (begun, ended)
}

fn crowd_by_command_line(peer: &Peer) -> Duration {
    let asked = monotonic();
    std::thread::scope(|scope| {
        for _ in 0..CROWD {
            scope.spawn(|| peer.run());
        }
    });
    let took = asked.elapsed();
    peer.remove_all();
    took
}

fn by_api(docker: &Peer) -> (Duration, Duration) {
    let mut wire = Wire::over(UnixStream::connect(docker.socket()).unwrap());
    let body = json!({
        "Image": image::NAME,
        "ExposedPorts": { "80/tcp": {} },
        "HostConfig": {
            "PortBindings": { "80/tcp": [{ "HostPort": "" }] },
            "CgroupParent": docker.cgroup,
        },
    });
    let body = body.to_string();
    let asked = monotonic();
    let made = wire.ask("POST", "/v1.41/containers/create", &body).json();
    let path = format!("/v1.41/containers/{}", made["Id"].as_str().unwrap());
    let started = wire.ask("POST", &format!("{path}/start"), "").status;
    let begun = asked.elapsed();
    settle();
    let asked = monotonic();
    let stopped = wire.ask("POST", &format!("{path}/stop"), "").status;
    let ended = asked.elapsed();
    let removed = wire.ask("DELETE", &path, "").status;
    assert_eq!([started, stopped, removed], [204; 3], "start, stop and remove by Docker's API");
    (begun, ended)
}
