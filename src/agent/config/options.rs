//! ◆ What was said on the command line; it wins over the files.

use std::path::PathBuf;

/// Flags of `stead agent`, as they were given.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag that Nomad has")]
pub struct Options {
    /// Files and directories of configuration.
    pub config: Vec<PathBuf>,
    /// Keep nothing, log more.
    pub dev: bool,
    /// Be a server.
    pub server: bool,
    /// Be a client.
    pub client: bool,
    /// Where data is kept.
    pub data_dir: Option<PathBuf>,
    /// Where allocations are kept.
    pub alloc_dir: Option<PathBuf>,
    /// Where the client's own files are kept.
    pub state_dir: Option<PathBuf>,
    /// Address to listen on.
    pub bind: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The node's name.
    pub node: Option<String>,
    /// The data centre.
    pub datacenter: Option<String>,
    /// The node's class.
    pub node_class: Option<String>,
    /// The node's pool.
    pub node_pool: Option<String>,
    /// The node's metadata, each `key=value`.
    pub meta: Vec<String>,
    /// The interface whose address is published.
    pub network_interface: Option<String>,
    /// Servers a client joins.
    pub servers: Vec<String>,
    /// How many servers elect the first leader.
    pub bootstrap_expect: Option<u64>,
    /// Refuse requests without a token.
    pub acl_enabled: bool,
    /// The least severe messages that are logged.
    pub log_level: Option<String>,
    /// Log as JSON.
    pub log_json: bool,
}
