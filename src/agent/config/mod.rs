//! ◆ An agent's configuration: files and flags to settled values. [`read`] (◇) reads the files.
//!
//! Nomad's blocks, in HCL or JSON by content; later files win setting by setting; an unknown setting is refused
//! with its place, one that has no effect yet is named in a warning.

pub mod error;
pub mod options;
pub mod read;
mod schema;
mod settings;
mod syntax;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::{Map, Value};

pub use error::ConfigError;
pub use options::Options;
pub use syntax::Place;

use crate::model::Nanos;
use settings::Settings;

/// What an agent is to be.
#[derive(Debug, Clone)]
pub struct Config {
    /// The region.
    pub region: String,
    /// The data centre.
    pub datacenter: String,
    /// The node's name.
    pub name: String,
    /// Where data is kept.
    pub data_dir: PathBuf,
    /// Whether nothing is kept: the data directory is a temporary one and is removed at the end.
    pub ephemeral: bool,
    /// Where the HTTP API listens.
    pub http_bind: Vec<IpAddr>,
    /// Its port; 0 for any.
    pub http_port: u16,
    /// Where other agents reach the HTTP API.
    pub http_advertise: String,
    /// Where other agents reach the RPC.
    pub rpc_advertise: String,
    /// Where the RPC listens.
    pub rpc_bind: IpAddr,
    /// The RPC's port.
    pub rpc_port: u16,
    /// The certificates agents show each other; without them the agent speaks to no other.
    pub tls: Option<TlsFiles>,
    /// trace, debug, info, warn or error.
    pub log_level: String,
    /// Whether the log is JSON.
    pub log_json: bool,
    /// Set when this agent is a server.
    pub server: Option<ServerConfig>,
    /// Set when this agent is a client.
    pub client: Option<ClientConfig>,
    /// What to tell the one who starts it.
    pub warnings: Vec<String>,
}

/// Files in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The cluster's authority.
    pub ca: PathBuf,
    /// This agent's certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// What a server is to be.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// How many servers elect the first leader.
    pub bootstrap_expect: u64,
    /// How many schedulers work at once; none for one a core.
    pub num_schedulers: Option<usize>,
    /// Added to a heartbeat's time.
    pub heartbeat_grace: Nanos,
    /// The least time between heartbeats.
    pub min_heartbeat_ttl: Nanos,
    /// How long a new leader waits for heartbeats.
    pub failover_heartbeat_ttl: Nanos,
    /// Nodes that are down for so long are forgotten.
    pub node_gc_threshold: Nanos,
    /// Jobs that are dead for so long are forgotten.
    pub job_gc_threshold: Nanos,
    /// Evaluations that ended so long ago are forgotten.
    pub eval_gc_threshold: Nanos,
    /// Evaluations of batch jobs that ended so long ago are forgotten.
    pub batch_eval_gc_threshold: Nanos,
    /// Deployments that ended so long ago are forgotten.
    pub deployment_gc_threshold: Nanos,
}

/// What a client is to be.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Its own files.
    pub state_dir: PathBuf,
    /// Directories of allocations.
    pub alloc_dir: PathBuf,
    /// Servers it joins, as host:port of their RPC; none when it is one itself.
    pub servers: Vec<String>,
    /// Its pool.
    pub node_pool: String,
    /// Its class.
    pub node_class: String,
    /// Its metadata.
    pub meta: BTreeMap<String, String>,
    /// Nomad's older options.
    pub options: BTreeMap<String, String>,
    /// The interface whose address is published.
    pub network_interface: Option<String>,
    /// MHz, instead of what is found.
    pub cpu_total_compute: Option<i64>,
    /// MiB, instead of what is found.
    pub memory_total_mb: Option<i64>,
    /// MiB, instead of what is found.
    pub disk_total_mb: Option<i64>,
    /// What is kept from tasks.
    pub reserved: Reserved,
    /// Dynamic ports are chosen from here …
    pub min_dynamic_port: u16,
    /// … to here.
    pub max_dynamic_port: u16,
    /// No task may take longer to stop.
    pub max_kill_timeout: Nanos,
    /// The cgroup above all tasks.
    pub cgroup_parent: String,
    /// The bridge.
    pub bridge_name: String,
    /// Its IPv4 network.
    pub bridge_subnet: String,
    /// Its IPv6 network.
    pub bridge_subnet_ipv6: Option<String>,
    /// Registries that are asked over plain HTTP.
    pub insecure_registries: Vec<String>,
    /// What `plugin "<name>" { config { … } }` says, by driver.
    pub plugins: BTreeMap<String, Map<String, Value>>,
}

/// What is kept from tasks.
#[derive(Debug, Clone, Default)]
pub struct Reserved {
    /// MHz.
    pub cpu: i64,
    /// MiB.
    pub memory_mb: i64,
    /// MiB.
    pub disk_mb: i64,
    /// `22,80,8000-9000`.
    pub ports: String,
    /// `0-1,3`.
    pub cores: String,
}

/// Facts about the machine that defaults depend on.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its name.
    pub hostname: String,
    /// A directory for data that is not kept.
    pub temporary: PathBuf,
}

/// Settles what the files and flags say.
pub fn settle(
    files: &[(String, String)],
    options: &Options,
    machine: &Machine,
) -> Result<Config, ConfigError> {
    let mut settings = Settings::default();
    for (file, text) in files {
        settings.merge(syntax::parse(file, text)?)?;
    }
    Settler { settings, options, machine }.config()
}

/// What a server that speaks to nobody cannot do.
fn lonely(
    server: &ServerConfig,
    client: Option<&ClientConfig>,
    tls: Option<&TlsFiles>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if server.bootstrap_expect > 1 {
        warnings.push(format!(
            "`server.bootstrap_expect` = {}: servers do not find each other yet, so this one is a cluster of its own",
            server.bootstrap_expect
        ));
    }
    if client.is_none() && tls.is_none() {
        let text = "a server without a client of its own and without `tls { rpc = true }` runs nothing: no client can join it";
        warnings.push(text.to_owned());
    }
    warnings
}

struct Settler<'a> {
    settings: Settings,
    options: &'a Options,
    machine: &'a Machine,
}

impl Settler<'_> {
    fn config(self) -> Result<Config, ConfigError> {
        let s = &self.settings;
        let o = self.options;
        let or = |flag: &Option<String>, path: &str, default: &str| {
            flag.clone().or_else(|| s.text(path)).unwrap_or_else(|| default.to_owned())
        };
        let kept = o.data_dir.clone().or_else(|| s.text("data_dir").map(PathBuf::from));
        let ephemeral = o.dev && kept.is_none();
        let data_dir = match kept {
            Some(dir) => dir,
            None if o.dev => self.machine.temporary.clone(),
            None => PathBuf::from("/var/lib/stead"),
        };
        if !data_dir.is_absolute() {
            return Err(s.refuse("data_dir", "it must be an absolute path"));
        }
        let bind = or(&o.bind, "bind_addr", "127.0.0.1");
        let http_bind = self.addresses("addresses.http", &bind)?;
        let rpc_bind = self.addresses("addresses.rpc", &bind)?[0];
        let http_port = s.number("ports.http")?.unwrap_or(4646);
        let rpc_port = s.number("ports.rpc")?.unwrap_or(4647);
        let (server, client) = self.roles();
        let datacenter = or(&o.datacenter, "datacenter", "dc1");
        if datacenter.is_empty() || datacenter.contains(['*', '\0']) {
            return Err(s.refuse("datacenter", "it must be a name without `*`"));
        }
        let mut warnings = s.warnings.clone();
        self.check_binds(&http_bind, &mut warnings)?;
        let tls = self.tls()?;
        let server = server.then(|| self.server()).transpose()?;
        let client = client.then(|| self.client(&data_dir)).transpose()?;
        if let Some(server) = &server {
            warnings.extend(lonely(server, client.as_ref(), tls.as_ref()));
        }
        Ok(Config {
            region: or(&o.region, "region", "global"),
            datacenter,
            name: or(&o.node, "name", &self.machine.hostname),
            ephemeral,
            http_advertise: self.advertise("advertise.http", http_bind[0], http_port),
            rpc_advertise: self.advertise("advertise.rpc", rpc_bind, rpc_port),
            http_bind,
            http_port,
            rpc_bind,
            rpc_port,
            log_level: or(&o.log_level, "log_level", if o.dev { "debug" } else { "info" })
                .to_lowercase(),
            log_json: o.log_json || s.flag("log_json").unwrap_or(false),
            server,
            client,
            tls,
            data_dir,
            warnings,
        })
    }

    /// What agents show each other. Nomad: `tls { rpc = true }` and three files.
    fn tls(&self) -> Result<Option<TlsFiles>, ConfigError> {
        let s = &self.settings;
        if s.flag("tls.rpc") != Some(true) {
            return Ok(None);
        }
        let file = |path: &str| {
            s.text(path)
                .map(PathBuf::from)
                .ok_or_else(|| s.refuse("tls.rpc", &format!("it needs `{path}`")))
        };
        let (ca, cert) = (file("tls.ca_file")?, file("tls.cert_file")?);
        Ok(Some(TlsFiles { ca, cert, key: file("tls.key_file")? }))
    }

    /// Whether this agent is a server and a client. Nothing said means both: one box is the normal case.
    fn roles(&self) -> (bool, bool) {
        let (s, o) = (&self.settings, self.options);
        let server = s.flag("server.enabled").or_else(|| o.server.then_some(true));
        let client = s.flag("client.enabled").or_else(|| o.client.then_some(true));
        match (server, client) {
            (None, None) => (true, true),
            _ if o.dev => (server.unwrap_or(true), client.unwrap_or(true)),
            (server, client) => (server.unwrap_or(false), client.unwrap_or(false)),
        }
    }

    /// Without ACLs, nothing but loopback: who reaches the API is root on the box.
    fn check_binds(&self, binds: &[IpAddr], warnings: &mut Vec<String>) -> Result<(), ConfigError> {
        let Some(wide) = binds.iter().find(|ip| !ip.is_loopback()) else { return Ok(()) };
        let allowed =
            self.settings.text("client.options.allow_open_http").as_deref() == Some("true");
        if self.options.dev || allowed {
            warnings.push(format!(
                "the HTTP API listens on {wide} without access control: whoever reaches it is root on this machine"
            ));
            return Ok(());
        }
        Err(ConfigError::Settled(format!(
            "bind {wide}: the HTTP API has no access control yet, so it listens on loopback only. Keep \
             `bind_addr` for the RPC and add\n  addresses {{ http = \"127.0.0.1\" }}\nor, in a network you trust wholly,\n  \
             client {{ options {{ allow_open_http = \"true\" }} }}"
        )))
    }

    fn addresses(&self, path: &str, default: &str) -> Result<Vec<IpAddr>, ConfigError> {
        let text = self.settings.text(path).unwrap_or_else(|| default.to_owned());
        let parsed: Result<Vec<IpAddr>, _> = text.split_whitespace().map(str::parse).collect();
        match parsed {
            Ok(list) if !list.is_empty() => Ok(list),
            Ok(_) | Err(_) => {
                let path = if self.settings.text(path).is_some() { path } else { "bind_addr" };
                Err(self.settings.refuse(path, &format!("`{text}` is not an IP address")))
            }
        }
    }

    fn advertise(&self, path: &str, bind: IpAddr, port: u16) -> String {
        match self.settings.text(path) {
            Some(text) if text.parse::<std::net::SocketAddr>().is_ok() => text,
            Some(host) if host.contains(':') => {
                format!("[{}]:{port}", host.trim_matches(['[', ']']))
            }
            Some(host) => format!("{host}:{port}"),
            None => std::net::SocketAddr::new(bind, port).to_string(),
        }
    }

    fn server(&self) -> Result<ServerConfig, ConfigError> {
        let s = &self.settings;
        let duration = |path: &str, default: i64| {
            s.duration(path).map(|found| found.unwrap_or_else(|| Nanos::from_secs(default)))
        };
        let expect = match self.options.bootstrap_expect {
            Some(expect) => expect,
            None => s.number::<u64>("server.bootstrap_expect")?.unwrap_or(1),
        };
        if expect == 0 {
            return Err(s.refuse("server.bootstrap_expect", "it must be 1 or 3; 1 is the default"));
        }
        Ok(ServerConfig {
            bootstrap_expect: expect,
            num_schedulers: s.number("server.num_schedulers")?,
            heartbeat_grace: duration("server.heartbeat_grace", 10)?,
            min_heartbeat_ttl: duration("server.min_heartbeat_ttl", 10)?,
            failover_heartbeat_ttl: duration("server.failover_heartbeat_ttl", 300)?,
            node_gc_threshold: duration("server.node_gc_threshold", 86_400)?,
            job_gc_threshold: duration("server.job_gc_threshold", 4 * 3_600)?,
            eval_gc_threshold: duration("server.eval_gc_threshold", 3_600)?,
            batch_eval_gc_threshold: duration("server.batch_eval_gc_threshold", 86_400)?,
            deployment_gc_threshold: duration("server.deployment_gc_threshold", 3_600)?,
        })
    }

    /// Where the servers' RPC is.
    fn servers(&self) -> Result<Vec<String>, ConfigError> {
        let s = &self.settings;
        let mut servers = Vec::new();
        for path in
            ["client.servers", "client.server_join.retry_join", "client.server_join.start_join"]
        {
            for server in s.list(path) {
                if server.is_empty() || server.contains([' ', '=', '/']) {
                    let text = format!(
                        "`{server}` must be an address or a name, and perhaps a port: `10.0.0.1:4647`"
                    );
                    return Err(s.refuse(path, &text));
                }
                servers.push(server);
            }
        }
        servers.extend(self.options.servers.iter().cloned());
        Ok(servers)
    }

    fn client(&self, data_dir: &std::path::Path) -> Result<ClientConfig, ConfigError> {
        let (s, o) = (&self.settings, self.options);
        let or = |flag: &Option<String>, path: &str, default: &str| {
            flag.clone().or_else(|| s.text(path)).unwrap_or_else(|| default.to_owned())
        };
        let dir = |flag: &Option<PathBuf>, path: &str, name: &str| {
            flag.clone()
                .or_else(|| s.text(path).map(PathBuf::from))
                .unwrap_or_else(|| data_dir.join(name))
        };
        let (min, max) =
            (s.number("client.min_dynamic_port")?, s.number("client.max_dynamic_port")?);
        let (min, max) = (min.unwrap_or(20_000), max.unwrap_or(32_000));
        if min == 0 || min > max {
            return Err(
                s.refuse("client.min_dynamic_port", "it must be from 1 to max_dynamic_port")
            );
        }
        let node_pool = or(&o.node_pool, "client.node_pool", "default");
        if node_pool == "all" {
            return Err(
                s.refuse("client.node_pool", "`all` stands for every pool; a node is in one")
            );
        }
        Ok(ClientConfig {
            state_dir: dir(&o.state_dir, "client.state_dir", "client"),
            alloc_dir: dir(&o.alloc_dir, "client.alloc_dir", "alloc"),
            servers: self.servers()?,
            node_pool,
            node_class: or(&o.node_class, "client.node_class", ""),
            meta: self.meta()?,
            options: s.texts_below("client.options"),
            network_interface: o
                .network_interface
                .clone()
                .or_else(|| s.text("client.network_interface")),
            cpu_total_compute: s.number("client.cpu_total_compute")?,
            memory_total_mb: s.number("client.memory_total_mb")?,
            disk_total_mb: s.number("client.disk_total_mb")?,
            reserved: Reserved {
                cpu: s.number("client.reserved.cpu")?.unwrap_or(0),
                memory_mb: s.number("client.reserved.memory")?.unwrap_or(0),
                disk_mb: s.number("client.reserved.disk")?.unwrap_or(0),
                ports: s.text("client.reserved.reserved_ports").unwrap_or_default(),
                cores: s.text("client.reserved.cores").unwrap_or_default(),
            },
            min_dynamic_port: min,
            max_dynamic_port: max,
            max_kill_timeout: s
                .duration("client.max_kill_timeout")?
                .unwrap_or(Nanos::from_secs(30)),
            cgroup_parent: s
                .text("client.cgroup_parent")
                .unwrap_or_else(|| "stead.slice".to_owned()),
            bridge_name: s
                .text("client.bridge_network_name")
                .unwrap_or_else(|| "stead0".to_owned()),
            bridge_subnet: s
                .text("client.bridge_network_subnet")
                .unwrap_or_else(|| "172.26.64.0/20".to_owned()),
            bridge_subnet_ipv6: s.text("client.bridge_network_subnet_ipv6"),
            insecure_registries: s.list("client.insecure_registries"),
            plugins: self.plugins(),
        })
    }

    fn meta(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut meta = self.settings.texts_below("client.meta");
        for pair in &self.options.meta {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(ConfigError::Settled(format!("-meta {pair}: it must be key=value")));
            };
            meta.insert(key.to_owned(), value.to_owned());
        }
        Ok(meta)
    }

    /// Nomad: an agent that is only for trying things has `raw_exec` and container volumes on.
    fn plugins(&self) -> BTreeMap<String, Map<String, Value>> {
        let mut plugins = self.settings.plugins();
        if self.options.dev {
            let raw_exec = plugins.entry("raw_exec".to_owned()).or_default();
            raw_exec.entry("enabled").or_insert(Value::Bool(true));
            let docker = plugins.entry("docker".to_owned()).or_default();
            docker.entry("volumes").or_insert_with(|| serde_json::json!({ "enabled": true }));
        }
        plugins
    }
}
