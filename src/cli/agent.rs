//! ◇ `agent`: run an agent.

use std::path::PathBuf;

use super::connection::Connection;
use super::exit::{Failure, Outcome};
use crate::agent;

/// Run an agent: server and client in one unless told otherwise
///
/// Without any configuration it listens on loopback and keeps its data in /var/lib/stead.
#[derive(Debug, Default, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag that Nomad has")]
pub(super) struct Args {
    /// A configuration file, or a directory of them; may be given several times, later ones win
    #[arg(long, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// Keep nothing, log more: for trying things
    #[arg(long)]
    dev: bool,
    /// Be a server
    #[arg(long)]
    server: bool,
    /// Be a client
    #[arg(long)]
    client: bool,
    /// Where data is kept
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where allocations are kept; `alloc` below the data directory when not given
    #[arg(long, value_name = "DIR")]
    alloc_dir: Option<PathBuf>,
    /// Where the client keeps its own data; `client` below the data directory when not given
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, value_name = "ADDR")]
    bind: Option<String>,
    /// Name of the node
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Data centre of the node
    #[arg(long, value_name = "NAME")]
    dc: Option<String>,
    /// Class of the node
    #[arg(long, value_name = "NAME")]
    node_class: Option<String>,
    /// Pool of the node
    #[arg(long, value_name = "NAME")]
    node_pool: Option<String>,
    /// Metadata of the node
    #[arg(long, value_name = "KEY=VALUE")]
    meta: Vec<String>,
    /// Interface whose address is published
    #[arg(long, value_name = "NAME")]
    network_interface: Option<String>,
    /// Servers that a client joins
    #[arg(long, value_name = "ADDR,…")]
    servers: Vec<String>,
    /// How many servers elect the first leader
    #[arg(long, value_name = "COUNT")]
    bootstrap_expect: Option<u64>,
    /// Refuse requests without a token
    #[arg(long)]
    acl_enabled: bool,
    /// trace, debug, info, warn or error
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Log as JSON
    #[arg(long)]
    log_json: bool,
    /// Print the version and end
    #[arg(long)]
    version: bool,
}

pub(super) fn run(args: Args, connection: &Connection) -> Outcome {
    if args.version {
        super::print_version();
        return Ok(0);
    }
    let options = agent::Options {
        config: args.config,
        dev: args.dev,
        server: args.server,
        client: args.client,
        data_dir: args.data_dir,
        alloc_dir: args.alloc_dir,
        state_dir: args.state_dir,
        bind: args.bind,
        region: connection.region(),
        node: args.node,
        datacenter: args.dc,
        node_class: args.node_class,
        node_pool: args.node_pool,
        meta: args.meta,
        network_interface: args.network_interface,
        servers: args.servers.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect(),
        bootstrap_expect: args.bootstrap_expect,
        acl_enabled: args.acl_enabled,
        log_level: args.log_level,
        log_json: args.log_json,
    };
    agent::run(&options).map_err(|error| Failure::new(format!("{error:#}")))?;
    Ok(0)
}
