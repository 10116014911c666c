//! ◆ The environment of a task.
//!
//! Later wins: what Nomad computes, the metadata, the agent's own environment (drivers without a root of their
//! own, only what is missing), the job's `env`.

use std::collections::BTreeMap;
use std::path::Path;

use super::interpolate::Names;
use crate::model::allocation::AllocNetworkStatus;
use crate::model::{Allocation, Job, Node, Task, TaskGroup};

/// Everything the environment is made of.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The allocation.
    pub alloc: &'a Allocation,
    /// Its job.
    pub job: &'a Job,
    /// Its group.
    pub group: &'a TaskGroup,
    /// The task.
    pub task: &'a Task,
    /// The node.
    pub node: &'a Node,
    /// The node's region.
    pub region: &'a str,
    /// The allocation's addresses, once it has them.
    pub network: Option<&'a AllocNetworkStatus>,
    /// Where the task sees its directories.
    pub dirs: Dirs<'a>,
    /// The agent's own environment, for tasks that share the host's root.
    pub host: &'a BTreeMap<String, String>,
}

/// Where a task sees its directories.
#[derive(Debug, Clone, Copy)]
pub struct Dirs<'a> {
    /// Shared by the group.
    pub alloc: &'a Path,
    /// The task's own.
    pub local: &'a Path,
    /// The task's secrets.
    pub secrets: &'a Path,
}

impl Dirs<'static> {
    /// As a task with a root of its own sees them.
    pub fn isolated() -> Self {
        Self {
            alloc: Path::new("/alloc"),
            local: Path::new("/local"),
            secrets: Path::new("/secrets"),
        }
    }
}

/// Variables of the agent that are nobody else's business (Nomad's default `env.denylist`, and our own).
pub fn is_denied(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "CONSUL_TOKEN",
        "CONSUL_HTTP_TOKEN",
        "CONSUL_HTTP_TOKEN_FILE",
        "NOMAD_TOKEN",
        "VAULT_TOKEN",
        "NOMAD_LICENSE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "NOTIFY_SOCKET",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
    ];
    NAMES.contains(&name) || name.starts_with("STEAD_")
}

/// The environment.
pub fn environment(scene: &Scene<'_>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    who(scene, &mut env);
    what(scene, &mut env);
    ports(scene, &mut env);
    metadata(scene, &mut env);
    for (name, value) in scene.host {
        if !env.contains_key(name) && !is_denied(name) {
            env.insert(name.clone(), value.clone());
        }
    }
    let names = Names { node: scene.node, region: scene.region, env: &env };
    let own: Vec<(String, String)> =
        scene.task.env.iter().map(|(name, value)| (names.fill(name), names.fill(value))).collect();
    env.extend(own);
    env.into_iter().map(|(name, value)| (cleaned(name), value)).collect()
}

fn who(scene: &Scene<'_>, env: &mut BTreeMap<String, String>) {
    let Scene { alloc, job, task, node, .. } = scene;
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            env.insert(name.to_owned(), value.to_owned());
        }
    };
    put("NOMAD_ALLOC_ID", alloc.id.as_str());
    put("NOMAD_SHORT_ALLOC_ID", alloc.id.short());
    put("NOMAD_ALLOC_NAME", &alloc.name);
    put("NOMAD_TASK_NAME", &task.name);
    put("NOMAD_GROUP_NAME", &alloc.task_group);
    put("NOMAD_JOB_ID", &job.id);
    put("NOMAD_JOB_NAME", &job.name);
    put("NOMAD_JOB_PARENT_ID", &job.parent_id);
    put("NOMAD_DC", &node.datacenter);
    put("NOMAD_REGION", scene.region);
    put("NOMAD_NAMESPACE", &alloc.namespace);
    put("NOMAD_PARENT_CGROUP", &node.cgroup_parent);
    if let Some(index) = alloc.index() {
        put("NOMAD_ALLOC_INDEX", &index.to_string());
    }
}

fn what(scene: &Scene<'_>, env: &mut BTreeMap<String, String>) {
    let mut put = |name: &str, value: String| {
        env.insert(name.to_owned(), value);
    };
    put("NOMAD_ALLOC_DIR", scene.dirs.alloc.display().to_string());
    put("NOMAD_TASK_DIR", scene.dirs.local.display().to_string());
    put("NOMAD_SECRETS_DIR", scene.dirs.secrets.display().to_string());
    let Some(resources) = scene.alloc.allocated_resources.tasks.get(&scene.task.name) else {
        return;
    };
    if resources.memory.memory_mb > 0 {
        put("NOMAD_MEMORY_LIMIT", resources.memory.memory_mb.to_string());
    }
    if resources.memory.memory_max_mb > 0 {
        put("NOMAD_MEMORY_MAX_LIMIT", resources.memory.memory_max_mb.to_string());
    }
    if resources.cpu.cpu_shares > 0 {
        put("NOMAD_CPU_LIMIT", resources.cpu.cpu_shares.to_string());
    }
    if !resources.cpu.reserved_cores.is_empty() {
        put("NOMAD_CPU_CORES", cpuset(&resources.cpu.reserved_cores));
    }
}

/// `0-2,5`.
pub fn cpuset(cores: &[u16]) -> String {
    let mut sorted = cores.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for core in sorted {
        match ranges.last_mut() {
            Some((_, last)) if core == last.saturating_add(1) => *last = core,
            Some(_) | None => ranges.push((core, core)),
        }
    }
    let text = |(first, last): &(u16, u16)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

fn ports(scene: &Scene<'_>, env: &mut BTreeMap<String, String>) {
    for port in &scene.alloc.allocated_resources.shared.ports {
        let label = &port.label;
        let host_port = port.value.to_string();
        let inside = if port.to > 0 { port.to.to_string() } else { host_port.clone() };
        let address = address(&port.host_ip, &host_port);
        let mut put = |prefix: &str, value: &str| {
            env.insert(format!("NOMAD_{prefix}_{label}"), value.to_owned());
        };
        put("ADDR", &address);
        put("HOST_ADDR", &address);
        put("IP", &port.host_ip);
        put("HOST_IP", &port.host_ip);
        put("PORT", &inside);
        put("ALLOC_PORT", &inside);
        put("HOST_PORT", &host_port);
        if let Some(network) = scene.network.filter(|network| !network.address.is_empty()) {
            put("ALLOC_INTERFACE", &network.interface_name);
            put("ALLOC_IP", &network.address);
            put("ALLOC_ADDR", &self::address(&network.address, &inside));
        }
    }
}

fn address(ip: &str, port: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

fn metadata(scene: &Scene<'_>, env: &mut BTreeMap<String, String>) {
    let mut meta: BTreeMap<&str, &str> = BTreeMap::new();
    if let Some(parameterized) =
        scene.job.parameterized_job.as_ref().filter(|_| scene.job.dispatched)
    {
        meta.extend(parameterized.meta_optional.iter().map(|key| (key.as_str(), "")));
    }
    for level in [&scene.job.meta, &scene.group.meta, &scene.task.meta] {
        meta.extend(level.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    }
    let names = Names { node: scene.node, region: scene.region, env };
    let filled: Vec<(String, String)> =
        meta.into_iter().map(|(key, value)| (key.to_owned(), names.fill(value))).collect();
    for (key, value) in filled {
        env.insert(format!("NOMAD_META_{}", key.to_uppercase()), value.clone());
        env.insert(format!("NOMAD_META_{key}"), value);
    }
}

/// Nomad: in names that are made of labels and keys, what a shell cannot read becomes `_`.
fn cleaned(name: String) -> String {
    const MADE: &[&str] = &["ADDR_", "IP_", "PORT_", "HOST_PORT_", "META_"];
    let made = name
        .strip_prefix("NOMAD_")
        .is_some_and(|rest| MADE.iter().any(|prefix| rest.starts_with(prefix)));
    if !made {
        return name;
    }
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.') { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::resources::{AllocatedPort, AllocatedTaskResources};

    fn build(host: &[(&str, &str)]) -> BTreeMap<String, String> {
        let node = Node { datacenter: "dc1".to_owned(), ..Node::default() };
        let mut alloc = Allocation {
            id: "32734d69-a3a0-4c9b-d8a0-8acb8ec34fb9".into(),
            name: "web.app[3]".to_owned(),
            namespace: "default".to_owned(),
            task_group: "app".to_owned(),
            ..Allocation::default()
        };
        let mut resources = AllocatedTaskResources::default();
        resources.cpu.cpu_shares = 100;
        resources.cpu.reserved_cores = vec![5, 0, 1, 2];
        resources.memory.memory_mb = 64;
        alloc.allocated_resources.tasks.insert("main".to_owned(), resources);
        alloc.allocated_resources.shared.ports.push(AllocatedPort {
            label: "http-alt".to_owned(),
            value: 20123,
            to: 80,
            host_ip: "10.0.0.7".to_owned(),
            ignore_collision: false,
        });
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let job = Job {
            id: "web".to_owned(),
            meta: map(&[("a-b", "job"), ("only", "${node.datacenter}")]),
            ..Job::default()
        };
        let group = TaskGroup { meta: map(&[("a-b", "group")]), ..TaskGroup::default() };
        let task = Task {
            name: "main".to_owned(),
            env: map(&[("URL", "http://${NOMAD_ADDR_http-alt}"), ("PATH", "/job")]),
            ..Task::default()
        };
        let network = AllocNetworkStatus {
            interface_name: "eth0".to_owned(),
            address: "172.26.64.9".to_owned(),
            ..AllocNetworkStatus::default()
        };
        environment(&Scene {
            alloc: &alloc,
            job: &job,
            group: &group,
            task: &task,
            node: &node,
            region: "global",
            network: Some(&network),
            dirs: Dirs::isolated(),
            host: &map(host),
        })
    }

    #[test]
    fn a_task_is_told_who_and_where_it_is() {
        let env = build(&[]);
        let expected = [
            ("NOMAD_ALLOC_DIR", "/alloc"),
            ("NOMAD_ALLOC_INDEX", "3"),
            ("NOMAD_SHORT_ALLOC_ID", "32734d69"),
            ("NOMAD_CPU_CORES", "0-2,5"),
            ("NOMAD_CPU_LIMIT", "100"),
            ("NOMAD_MEMORY_LIMIT", "64"),
            ("NOMAD_PORT_http_alt", "80"),
            ("NOMAD_HOST_PORT_http_alt", "20123"),
            ("NOMAD_ADDR_http_alt", "10.0.0.7:20123"),
            ("NOMAD_ALLOC_ADDR_http-alt", "172.26.64.9:80"),
            ("NOMAD_META_A_B", "group"),
            ("NOMAD_META_a_b", "group"),
            ("NOMAD_META_ONLY", "dc1"),
            ("URL", "http://10.0.0.7:20123"),
        ];
        for (name, value) in expected {
            assert_eq!(env.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!env.contains_key("NOMAD_JOB_PARENT_ID"));
    }

    #[test]
    fn the_agents_environment_gives_way_and_keeps_its_secrets() {
        let env = build(&[
            ("PATH", "/agent"),
            ("HOME", "/root"),
            ("NOMAD_TOKEN", "x"),
            ("STEAD_TOKEN", "x"),
        ]);
        assert_eq!(env["PATH"], "/job");
        assert_eq!(env["HOME"], "/root");
        assert!(!env.contains_key("NOMAD_TOKEN") && !env.contains_key("STEAD_TOKEN"));
    }
}
