//! ◇ What the API tells of the agent itself.

use serde_json::{Value, json};

use super::config::Config;
use crate::http::Facts;
use crate::model::NodeId;
use crate::raft::{Leadership, RaftHandle, Role};

/// The version of Nomad whose manners these are; clients look at it.
pub(super) const NOMAD_VERSION: &str = "2.0.6";

/// Facts of a running agent.
#[derive(Debug)]
pub(super) struct AgentFacts {
    pub(super) config: Config,
    pub(super) raft: Option<RaftHandle>,
    pub(super) node: Option<NodeId>,
}

impl AgentFacts {
    fn host_port(address: &str) -> (String, u64) {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "0"));
        (host.trim_matches(['[', ']']).to_owned(), port.parse().unwrap_or(0))
    }

    fn member(&self, id: u64, name: &str, address: &str) -> Value {
        let (host, port) = Self::host_port(address);
        json!({
            "Name": format!("{name}.{}", self.config.region),
            "Addr": host,
            "Port": port,
            "Status": "alive",
            "ProtocolMin": 1,
            "ProtocolMax": 5,
            "ProtocolCur": 2,
            "DelegateMin": 2,
            "DelegateMax": 5,
            "DelegateCur": 4,
            "Tags": {
                "role": "nomad",
                "region": self.config.region,
                "dc": self.config.datacenter,
                "build": NOMAD_VERSION,
                "vsn": "1",
                "raft_vsn": "3",
                "id": id.to_string(),
                "rpc_addr": host,
                "port": port.to_string(),
                "expect": self.config.server.as_ref().map_or(0, |s| s.bootstrap_expect).to_string(),
                "bootstrap": "1",
                "revision": env!("CARGO_PKG_VERSION"),
            },
        })
    }

    fn members_list(&self) -> Vec<Value> {
        let Some(raft) = &self.raft else { return Vec::new() };
        raft.members()
            .iter()
            .map(|m| self.member(m.id, &m.member.name, &m.member.address))
            .collect()
    }
}

impl Facts for AgentFacts {
    fn is_client(&self) -> bool {
        self.node.is_some()
    }

    fn agent_self(&self) -> Value {
        let c = &self.config;
        let (http, http_port) = Self::host_port(&c.http_advertise);
        let member = self
            .members_list()
            .into_iter()
            .next()
            .unwrap_or_else(|| json!({ "Name": c.name, "Tags": {} }));
        let mut stats = json!({
            "stead": { "version": env!("CARGO_PKG_VERSION") },
            "nomad": {
                "server": c.server.is_some().to_string(),
                "leader": (!self.leader().is_empty()).to_string(),
                "bootstrap": "true",
            },
        });
        if let Some(node) = &self.node {
            stats["client"] = json!({ "node_id": node });
        }
        json!({
            "config": {
                "Region": c.region,
                "Datacenter": c.datacenter,
                "NodeName": c.name,
                "DataDir": c.data_dir,
                "BindAddr": c.rpc_bind.to_string(),
                "DevMode": c.ephemeral,
                "LogLevel": c.log_level.to_uppercase(),
                "LogJson": c.log_json,
                "EnableDebug": false,
                "Ports": { "HTTP": http_port, "RPC": c.rpc_port, "Serf": 0 },
                "Addresses": { "HTTP": http, "RPC": c.rpc_bind.to_string(), "Serf": "" },
                "AdvertiseAddrs": { "HTTP": c.http_advertise, "RPC": c.rpc_advertise, "Serf": "" },
                "Server": { "Enabled": c.server.is_some() },
                "Client": { "Enabled": c.client.is_some() },
                "ACL": { "Enabled": false },
                "UI": { "Enabled": false, "ShowCLIHints": false },
                "Version": { "Version": NOMAD_VERSION, "Revision": "", "VersionPrerelease": "", "VersionMetadata": "" },
            },
            "member": member,
            "stats": stats,
        })
    }

    fn members(&self) -> Value {
        json!({
            "ServerName": self.config.name,
            "ServerRegion": self.config.region,
            "ServerDC": self.config.datacenter,
            "Members": self.members_list(),
        })
    }

    fn leader(&self) -> String {
        let Some(raft) = &self.raft else { return String::new() };
        let leadership = raft.leadership().borrow().clone();
        match leadership {
            Leadership::Leader { .. } => self.config.rpc_advertise.clone(),
            Leadership::Follower { leader } => {
                leader.map(|peer| peer.member.address).unwrap_or_default()
            }
        }
    }

    fn peers(&self) -> Vec<String> {
        let Some(raft) = &self.raft else { return Vec::new() };
        raft.members()
            .into_iter()
            .filter(|m| m.role == Role::Voter)
            .map(|m| m.member.address)
            .collect()
    }

    fn raft_configuration(&self) -> Value {
        let members = self.raft.as_ref().map(RaftHandle::members).unwrap_or_default();
        let servers: Vec<Value> = members
            .iter()
            .map(|m| {
                json!({
                    "ID": m.id.to_string(),
                    "Node": format!("{}.{}", m.member.name, self.config.region),
                    "Address": m.member.address,
                    "Leader": m.is_leader,
                    "Voter": m.role == Role::Voter,
                    "RaftProtocol": "3",
                })
            })
            .collect();
        json!({ "Index": 0, "Servers": servers })
    }

    fn region(&self) -> String {
        self.config.region.clone()
    }
}
