//! ◇ From a configuration to a running agent, each part after those that it needs.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::net::TcpListener;

use super::config::{self, Config};
use super::facts::{AgentFacts, NOMAD_VERSION};
use super::local::OwnNode;
use super::rpc::any_node::AnyNode;
use super::rpc::asked::Asked;
use super::rpc::listen::{self, Port};
use super::rpc::node_calls::Proof;
use super::rpc::nodes::Nodes;
use super::rpc::peers::Peers;
use super::rpc::servers::Servers;
use super::rpc::tls::Tls;
use super::upstream::OwnServer;
use crate::client::config::{Overrides, Reserved};
use crate::client::identity::Identity;
use crate::client::{self, ClientConfig, Parts, Running, Upstream};
use crate::driver::{Drivers, Settings};
use crate::http::{self, Context, Local};
use crate::image::{RegistryConfig, Store, StoreConfig};
use crate::model::NodeId;
use crate::network::NetworkConfig;
use crate::network::holder;
use crate::network::request::Protocol;
use crate::raft::{self, Bootstrap, Member, RaftConfig, RaftHandle, Storage};
use crate::server::{Server, ServerConfig};
use crate::sys::tasks::{Stop, Tasks};

/// How long the server may take to lead its own cluster.
const LEAD: Duration = Duration::from_secs(10);

/// An agent that runs.
#[derive(Debug)]
pub struct Built {
    /// Where its API is.
    pub http_address: String,
    listener: Stop,
    tasks: Tasks,
    server: Option<Server>,
    client: Option<Running>,
    raft: Option<RaftHandle>,
    /// Whether nothing is kept: what it runs ends with it.
    ephemeral: bool,
    /// The cgroup above all tasks; it goes with the agent when nothing is in it.
    cgroup_parent: Option<String>,
}

impl Built {
    /// Ends what was built, last first. What it runs goes on, unless nothing is to be kept.
    pub async fn shutdown(mut self, grace: Duration) {
        self.listener.cancel();
        if let Some(client) = self.client.take_if(|_| self.ephemeral) {
            client.destroy().await;
        }
        if let Some(server) = &self.server {
            server.shutdown(grace).await;
        }
        if let Some(client) = self.client {
            client.shutdown().await;
        }
        if let Some(raft) = self.raft {
            raft.shutdown().await;
        }
        if let Some(parent) = &self.cgroup_parent {
            Drivers::remove_cgroup_parent(parent);
        }
        if !self.tasks.shutdown(grace).await {
            tracing::warn!("some tasks of the agent did not end in time");
        }
    }
}

/// Builds and starts an agent. On failure nothing of it is left running.
pub async fn build(config: Config, stop: &Stop) -> anyhow::Result<Built> {
    let tasks = Tasks::new("agent", stop);
    // First of all: two agents on one address, or one data directory, must not both go on.
    let listeners = listen(&config.http_bind, config.http_port).await?;
    make_dir(&config.data_dir, 0o711)?;
    let is_server = config.server.is_some();
    let tls = config.tls.as_ref().map(|files| Tls::load(files, &config.region, is_server));
    let tls = tls.transpose()?;
    let nodes = Nodes::default();
    let (raft, server) = match &config.server {
        Some(settings) => {
            let rpc = match &tls {
                Some(_) => listen(&[config.rpc_bind], config.rpc_port).await?,
                None => Vec::new(),
            };
            let raft = open_raft(&config, tls.as_ref(), &tasks).await?;
            let server = Server::start(raft.clone(), server_config(settings), stop);
            for (listener, tls) in rpc.into_iter().zip(&tls) {
                let (server, tls, nodes) = (server.clone(), tls.clone(), nodes.clone());
                let port = Port::new(server, tls, nodes, tasks.clone());
                tasks.spawn("rpc", listen::serve(port, listener, tasks.stop_token()));
            }
            (Some(raft), Some(server))
        }
        None => (None, None),
    };
    let (node, client) = match &config.client {
        Some(settings) => {
            let upstream = upstream(settings, server.as_ref(), tls.as_ref(), &tasks)?;
            let (node, running) = start_client(&config, settings, upstream, stop).await?;
            (Some(node), Some(running))
        }
        None => (None, None),
    };
    let node_id: Option<NodeId> = node.as_ref().map(|node| node.node().id.clone());
    let local = local(node, &config, (server.as_ref(), tls.as_ref()), nodes, &tasks);
    let watch = raft.as_ref().map(|raft| raft.watch().clone());
    let http_address = format!("http://{}", config.http_advertise);
    let cgroup_parent = config.client.as_ref().map(cgroup_parent);
    let ephemeral = config.ephemeral;
    let facts = Arc::new(AgentFacts { config, raft: raft.clone(), node: node_id });
    let cx = Context { server: server.clone(), watch, local, facts };
    let listener = serve(cx, listeners, &tasks, stop);
    if let Some(server) = &server
        && !server.wait_until_leading(LEAD).await
    {
        tracing::warn!("this server does not lead its cluster yet");
    }
    Ok(Built { http_address, listener, tasks, server, client, raft, ephemeral, cgroup_parent })
}

/// How the client reaches the servers.
fn upstream(
    settings: &config::ClientConfig,
    server: Option<&Server>,
    tls: Option<&Tls>,
    tasks: &Tasks,
) -> anyhow::Result<Arc<dyn Upstream>> {
    if let Some(server) = server {
        return Ok(Arc::new(OwnServer::new(server.clone())));
    }
    if settings.servers.is_empty() {
        bail!(
            "a client without a server of its own needs `client {{ servers = [\"host:4647\"] }}`"
        );
    }
    let Some(tls) = tls else {
        bail!(
            "a client without a server of its own needs certificates: `tls {{ rpc = true }}` with ca_file, cert_file and key_file"
        );
    };
    Ok(Arc::new(Servers::new(addresses(settings), tls.clone(), tasks.clone())))
}

/// The servers, each with a port.
fn addresses(settings: &config::ClientConfig) -> Vec<String> {
    let with_port = |address: &String| {
        let has_port = address.rsplit_once(':').is_some_and(|(host, port)| {
            port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
        });
        if has_port { address.clone() } else { format!("{address}:4647") }
    };
    settings.servers.iter().map(with_port).collect()
}

async fn start_client(
    config: &Config,
    settings: &config::ClientConfig,
    upstream: Arc<dyn Upstream>,
    stop: &Stop,
) -> anyhow::Result<(client::Local, Running)> {
    let parts = parts(config, settings)?;
    let own =
        ClientConfig { network: network(config, settings)?, ..client_config(config, settings)? };
    Ok(client::Local::start(own, parts, upstream, stop).await?)
}

/// Nodes, as the API asks them: on a server any that is connected, on a client its own.
fn local(
    node: Option<client::Local>,
    config: &Config,
    (server, tls): (Option<&Server>, Option<&Tls>),
    nodes: Nodes,
    tasks: &Tasks,
) -> Option<Arc<dyn Local>> {
    let own = node.map(|node| {
        let told = node.node();
        let local: Arc<dyn Local> = Arc::new(OwnNode::new(node, tasks.clone()));
        (told, local)
    });
    match (server, own) {
        (Some(server), own) if tls.is_some() => {
            let own = own.map(|(node, local)| (node.id.clone(), local));
            let (server, tasks) = (server.clone(), tasks.clone());
            Some(Arc::new(AnyNode { own, server, nodes, tasks }))
        }
        (Some(_), own) => own.map(|(_, local)| local),
        (None, Some((node, local))) => {
            let proof = Proof { node: node.id.clone(), secret: node.secret_id.clone() };
            if let (Some(tls), Some(settings)) = (tls, &config.client) {
                let (tls, local) = (tls.clone(), Arc::clone(&local));
                Asked::new(tls, proof, local, tasks.clone()).by(&addresses(settings));
            }
            Some(local)
        }
        (None, None) => None,
    }
}

fn serve(cx: Context, listeners: Vec<TcpListener>, tasks: &Tasks, stop: &Stop) -> Stop {
    let listening = stop.child_token();
    let router = http::router(cx);
    for listener in listeners {
        let serving =
            http::serve(listener, router.clone(), listening.clone(), Duration::from_secs(2));
        tasks.spawn("http", serving);
    }
    listening
}

async fn listen(ips: &[IpAddr], port: u16) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for ip in ips {
        let address = SocketAddr::new(*ip, port);
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                let who = holder::find(Protocol::Tcp, *ip, port);
                bail!("listen on {address}: the port is taken by {who}");
            }
            Err(error) => return Err(error).with_context(|| format!("listen on {address}")),
        };
        listeners.push(listener);
    }
    Ok(listeners)
}

fn make_dir(dir: &Path, mode: u32) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(dir)
        .with_context(|| format!("make the directory {}", dir.display()))
}

async fn open_raft(
    config: &Config,
    tls: Option<&Tls>,
    tasks: &Tasks,
) -> anyhow::Result<RaftHandle> {
    let storage = if config.ephemeral {
        Storage::Memory
    } else {
        Storage::Directory(config.data_dir.join("server"))
    };
    let member = Member {
        name: config.name.clone(),
        address: config.rpc_advertise.clone(),
        http_address: config.http_advertise.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut settings =
        RaftConfig { storage, member, bootstrap: Bootstrap::Alone, ..RaftConfig::in_memory() };
    if let Some(tls) = tls {
        settings.transport = Arc::new(Peers::new(tls.clone(), tasks.clone()));
    }
    Ok(raft::open(settings).await?)
}

fn server_config(settings: &config::ServerConfig) -> ServerConfig {
    let mut config = ServerConfig::default();
    config.workers = settings.num_schedulers.unwrap_or(config.workers);
    config.pace.min_ttl = settings.min_heartbeat_ttl;
    config.pace.grace = settings.heartbeat_grace;
    config.pace.failover_ttl = settings.failover_heartbeat_ttl;
    config.keep.eval = settings.eval_gc_threshold;
    config.keep.batch_eval = settings.batch_eval_gc_threshold;
    config.keep.job = settings.job_gc_threshold;
    config.keep.node = settings.node_gc_threshold;
    config.keep.deployment = settings.deployment_gc_threshold;
    config
}

fn client_config(config: &Config, settings: &config::ClientConfig) -> anyhow::Result<ClientConfig> {
    let reserved = &settings.reserved;
    Ok(ClientConfig {
        name: config.name.clone(),
        region: config.region.clone(),
        datacenter: config.datacenter.clone(),
        node_class: settings.node_class.clone(),
        node_pool: settings.node_pool.clone(),
        meta: settings.meta.clone(),
        http_addr: config.http_advertise.clone(),
        network_interface: settings.network_interface.clone().unwrap_or_default(),
        overrides: Overrides {
            cpu_total_compute: settings.cpu_total_compute.unwrap_or(0),
            memory_total_mb: settings.memory_total_mb.unwrap_or(0),
            disk_total_mb: settings.disk_total_mb.unwrap_or(0),
            disk_free_mb: 0,
        },
        reserved: Reserved {
            cpu: reserved.cpu,
            cores: cores(&reserved.cores)?,
            memory: reserved.memory_mb,
            disk: reserved.disk_mb,
            ports: reserved.ports.clone(),
        },
        min_dynamic_port: settings.min_dynamic_port,
        max_dynamic_port: settings.max_dynamic_port,
        max_kill_timeout: settings.max_kill_timeout,
        cgroup_parent: cgroup_parent(settings),
        host_env: host_env(),
        version: NOMAD_VERSION.to_owned(),
        ..ClientConfig::new(settings.state_dir.clone(), settings.alloc_dir.clone())
    })
}

/// As an absolute path below the hierarchy's root.
fn cgroup_parent(settings: &config::ClientConfig) -> String {
    format!("/{}", settings.cgroup_parent.trim_start_matches('/'))
}

/// The agent's own environment; text that is no UTF-8 is left out.
fn host_env() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
        .collect()
}

/// `0-1,3` as numbers.
fn cores(text: &str) -> anyhow::Result<Vec<u16>> {
    let mut cores = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let bounds = first.trim().parse::<u16>().ok().zip(last.trim().parse::<u16>().ok());
        let Some((first, last)) = bounds.filter(|(first, last)| first <= last && *last < 4096)
        else {
            bail!("client.reserved.cores: `{part}` is no core or range of cores, such as 0-1,3");
        };
        cores.extend(first..=last);
    }
    Ok(cores)
}

fn parts(config: &Config, settings: &config::ClientConfig) -> anyhow::Result<Parts> {
    let registry = RegistryConfig {
        insecure: settings.insecure_registries.clone(),
        docker_config: docker_config(settings),
        ..RegistryConfig::default()
    };
    let store = StoreConfig { registry, ..StoreConfig::default() };
    let images = Store::open(&config.data_dir.join("images"), store)?;
    Ok(Parts { drivers: Drivers::new(driver_settings(settings)), images: Some(images) })
}

/// The docker `config.json` with the credentials of registries. Nomad: `auth { config = "…" }` of the docker plugin.
fn docker_config(settings: &config::ClientConfig) -> Option<PathBuf> {
    let mut plugins = ["docker", "container"].iter().filter_map(|name| settings.plugins.get(*name));
    let path = plugins.find_map(|config| config.get("auth")?.get("config")?.as_str())?;
    Some(PathBuf::from(path))
}

/// The bridge and its subnets; none without root.
fn network(
    config: &Config,
    settings: &config::ClientConfig,
) -> anyhow::Result<Option<NetworkConfig>> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    make_dir(&settings.state_dir, 0o700)?;
    let identity = Identity::load(&settings.state_dir)?;
    let seed = identity.id.as_str().replace('-', "");
    let seed = u64::from_str_radix(seed.get(..16).unwrap_or_default(), 16).unwrap_or(1);
    let mut network = NetworkConfig::new(runtime_dir(&config.data_dir), seed);
    network.bridge.clone_from(&settings.bridge_name);
    network.settings.subnet_v4 = settings
        .bridge_subnet
        .parse()
        .with_context(|| format!("client.bridge_network_subnet: `{}`", settings.bridge_subnet))?;
    Ok(Some(network))
}

/// Where things that must not outlive a boot are kept. Of an agent with a data directory of its own choice a
/// place of its own, so that two agents on one machine leave each other alone.
fn runtime_dir(data_dir: &Path) -> PathBuf {
    if data_dir == Path::new("/var/lib/stead") {
        return PathBuf::from("/run/stead");
    }
    let mut hasher = DefaultHasher::new();
    data_dir.hash(&mut hasher);
    PathBuf::from(format!("/run/stead-{:08x}", hasher.finish() & 0xffff_ffff))
}

fn driver_settings(settings: &config::ClientConfig) -> Settings {
    let plugin =
        |name: &str, key: &str| settings.plugins.get(name).and_then(|config| config.get(key));
    let flag = |name: &str, key: &str| plugin(name, key).and_then(Value::as_bool).unwrap_or(false);
    let container = |key: &str| plugin("docker", key).or_else(|| plugin("container", key));
    let legacy = settings
        .options
        .get("driver.raw_exec.enable")
        .is_some_and(|text| text == "1" || text == "true");
    let caps = container("allow_caps").and_then(Value::as_array);
    Settings {
        program: PathBuf::from("/proc/self/exe"),
        raw_exec: flag("raw_exec", "enabled") || legacy,
        mock: flag("mock_driver", "enabled"),
        allow_privileged: container("allow_privileged").and_then(Value::as_bool).unwrap_or(false),
        volumes: container("volumes").is_some_and(|volumes| volumes["enabled"] == true),
        allow_caps: caps
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        pids_limit: container("pids_limit").and_then(Value::as_u64),
    }
}
