//! Namespaces, servers in them, and questions to these servers. All of it is gone when the values are dropped.

use std::fs::File;
use std::io::{Read as _, Result};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use stead::network::{
    Mode, Network, NetworkConfig, NetworkPlan, NetworkRequest, NetworkStatus, PortRequest,
    Protocols, Restored,
};
use stead::sys;
use stead::sys::tasks::Stop;

pub(super) const HOST: &str = "10.77.0.1";
pub(super) const HOST_V6: &str = "fd77::1";
pub(super) const CLIENT: &str = "10.77.0.2";
pub(super) const CLIENT_V6: &str = "fd77::2";

/// A network namespace that lives as long as this value or a process in it.
#[derive(Clone)]
pub(super) struct Namespace(Arc<File>);

impl Namespace {
    fn new() -> Self {
        let thread = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            Self(Arc::new(File::open("/proc/thread-self/ns/net").unwrap()))
        });
        thread.join().unwrap()
    }

    pub(super) fn open(path: &Path) -> Self {
        Self(Arc::new(File::open(path).unwrap()))
    }

    /// Runs `work` on a thread that has entered the namespace.
    pub(super) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match self.spawn(work).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let namespace = Arc::clone(&self.0);
        std::thread::spawn(move || {
            setns(&*namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
    }

    /// Runs a command line in the namespace and returns what it printed; panics when it fails.
    pub(super) fn sh(&self, line: &str) -> String {
        let line = line.to_owned();
        self.run(move || {
            let output = sys::command::command("sh").args(["-ec", &line]).output().unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert!(output.status.success(), "{line}\n{}", text(&output.stderr));
            text(&output.stdout)
        })
    }

    /// What the server behind `address` says the client's address is.
    pub(super) fn tcp(&self, address: &str, port: u16) -> Result<String> {
        let address = SocketAddr::new(address.parse().unwrap(), port);
        self.run(move || {
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        })
    }

    /// The same over UDP.
    pub(super) fn udp(&self, address: &str, port: u16) -> Result<String> {
        let address = SocketAddr::new(address.parse().unwrap(), port);
        self.run(move || {
            let any: IpAddr =
                if address.is_ipv4() { [0, 0, 0, 0].into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let socket = UdpSocket::bind((any, 0))?;
            socket.connect(address)?;
            socket.set_read_timeout(Some(Duration::from_secs(2)))?;
            socket.send(b"who am I")?;
            let mut buffer = [0; 100];
            let length = socket.recv(&mut buffer)?;
            Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
        })
    }

    /// Serves TCP and UDP on `port`: everybody is told their own address.
    pub(super) fn serve(&self, port: u16) -> Server {
        let stop = Stop::new();
        let (ready, started) = std::sync::mpsc::channel();
        let until = stop.clone();
        let thread = self.spawn(move || {
            block_on(async move {
                let listener = tokio::net::TcpListener::bind(("::", port)).await.unwrap();
                let socket = tokio::net::UdpSocket::bind(("::", port)).await.unwrap();
                ready.send(()).unwrap();
                let mut buffer = [0; 100];
                loop {
                    tokio::select! {
                        () = until.cancelled() => return,
                        Ok((stream, peer)) = listener.accept() => {
                            let text = peer.ip().to_canonical().to_string();
                            tokio::io::AsyncWriteExt::write_all(&mut { stream }, text.as_bytes()).await.unwrap();
                        }
                        Ok((_, peer)) = socket.recv_from(&mut buffer) => {
                            let text = peer.ip().to_canonical().to_string();
                            socket.send_to(text.as_bytes(), peer).await.unwrap();
                        }
                    }
                }
            });
        });
        started.recv().unwrap();
        Server { stop, thread: Some(thread) }
    }
}

/// A server in a namespace.
pub(super) struct Server {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A host and a client machine, connected.
#[derive(Clone)]
pub(super) struct World {
    pub(super) host: Namespace,
    pub(super) client: Namespace,
    runtime: Arc<Runtime>,
}

/// The directory of the room's files, cleared of mounts at the end even when a test fails.
struct Runtime(tempfile::TempDir);

impl Drop for Runtime {
    fn drop(&mut self) {
        let Ok(entries) = std::fs::read_dir(self.0.path().join("netns")) else { return };
        for entry in entries.flatten() {
            let detach = nix::mount::MntFlags::MNT_DETACH;
            nix::mount::umount2(&entry.path(), detach).unwrap_or_default();
        }
    }
}

impl World {
    /// `None`, with a word why, when not run by root.
    pub(super) fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: network namespaces need root");
            return None;
        }
        let (host, client) = (Namespace::new(), Namespace::new());
        // The veth is born in the host; its other end is pushed over by a file descriptor's path.
        let fd = std::os::fd::AsRawFd::as_raw_fd(&*client.0);
        let path = format!("/proc/{}/fd/{fd}", std::process::id());
        host.sh(&format!(
            "ip link set lo up; ip link add uplink type veth peer name lan netns {path}
             ip addr add {HOST}/24 dev uplink; ip addr add {HOST_V6}/64 dev uplink nodad; ip link set uplink up
             ip addr add 10.78.0.1/32 dev uplink"
        ));
        client.sh(&format!(
            "ip link set lan up; ip addr add {CLIENT}/24 dev lan; ip addr add {CLIENT_V6}/64 dev lan nodad
             ip route add 10.78.0.1 via {HOST}"
        ));
        host.sh(&format!(
            "ip route add default via {CLIENT}; ip -6 route add default via {CLIENT_V6}"
        ));
        let runtime = Arc::new(Runtime(tempfile::tempdir().unwrap()));
        Some(Self { host, client, runtime })
    }

    pub(super) fn config(&self) -> NetworkConfig {
        NetworkConfig::new(self.runtime_dir().to_owned(), 7)
    }

    pub(super) fn runtime_dir(&self) -> &Path {
        self.runtime.0.path()
    }

    /// Runs `test` in the host with the room open.
    pub(super) fn with_network<F>(&self, test: impl FnOnce(Self, Network) -> F + Send + 'static)
    where
        F: Future<Output = ()>,
    {
        self.with_plans(Vec::new(), |world, network, _| test(world, network));
    }

    /// The same, after a restart with `plans`.
    pub(super) fn with_plans<F>(
        &self,
        plans: Vec<NetworkPlan>,
        test: impl FnOnce(Self, Network, Restored) -> F + Send + 'static,
    ) where
        F: Future<Output = ()>,
    {
        let world = self.clone();
        self.host.run(move || {
            block_on(async move {
                let stop = Stop::new();
                let (network, restored) =
                    Network::open(world.config(), plans, &stop).await.unwrap();
                test(world, network.clone(), restored).await;
                network.close().await;
            });
        });
    }
}

pub(super) fn port(label: &str, host_ip: &str, host_port: u16, to: u16) -> PortRequest {
    let host_ip = host_ip.parse().unwrap();
    PortRequest { label: label.to_owned(), host_ip, host_port, to, protocols: Protocols::Both }
}

pub(super) fn bridge(alloc_id: &str, ports: Vec<PortRequest>) -> NetworkRequest {
    let (hostname, dns) = (None, None);
    NetworkRequest { alloc_id: alloc_id.to_owned(), mode: Mode::Bridge, hostname, dns, ports }
}

/// The namespace of an allocation.
pub(super) fn inside(status: &NetworkStatus) -> Namespace {
    Namespace::open(status.netns.as_ref().unwrap())
}

/// Runs something that blocks, so that the runtime goes on serving.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Waits until `condition` holds; panics with `what` when it does not within `limit`.
pub(super) async fn within(
    limit: Duration,
    what: &str,
    condition: impl Fn() -> bool + Send + Sync + 'static,
) {
    let deadline = sys::clock::monotonic() + limit;
    let condition = Arc::new(condition);
    while !blocking({
        let condition = Arc::clone(&condition);
        move || condition()
    })
    .await
    {
        assert!(sys::clock::monotonic() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(super) fn elapsed_ms(since: Instant) -> f64 {
    (sys::clock::monotonic() - since).as_secs_f64() * 1e3
}
