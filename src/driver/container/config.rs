//! ◆ The `config` block of `docker` and `container` tasks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::caps::{self, Wish};
use super::mounts::{self, HostPaths};
use super::plan::{Bounds, ContainerPlan, Dns, Network, Root, Trait, Ulimit};
use crate::driver::config::{Keys, Schema};
use crate::driver::context::Device;
use crate::driver::plan::{ImageNeed, NetworkNeed, Plan, RegistryAuth, Work};
use crate::driver::{DriverError, Settings};

const DRIVER: &str = "docker";

const NETWORK: &str = "addresses are the group's: use the `network` block";

const SCHEMA: Schema = Schema {
    driver: DRIVER,
    known: &[
        "image",
        "command",
        "args",
        "entrypoint",
        "ports",
        "volumes",
        "mount",
        "mounts",
        "work_dir",
        "hostname",
        "cap_add",
        "cap_drop",
        "privileged",
        "readonly_rootfs",
        "labels",
        "extra_hosts",
        "auth",
        "auth_soft_fail",
        "force_pull",
        "image_pull_timeout",
        "load",
        "tty",
        "interactive",
        "init",
        "pids_limit",
        "shm_size",
        "sysctl",
        "ulimit",
        "security_opt",
        "devices",
        "group_add",
        "network_mode",
        "pid_mode",
        "ipc_mode",
        "uts_mode",
        "dns_servers",
        "dns_search_domains",
        "dns_options",
        "cpu_hard_limit",
        "cpu_cfs_period",
        "cpuset_cpus",
        "memory_hard_limit",
        "oom_score_adj",
        "runtime",
        "healthchecks",
        "container_exists_attempts",
        "platform",
    ],
    unsupported: &[
        ("advertise_ipv6_address", NETWORK),
        ("cgroupns", "a container always has a cgroup namespace of its own"),
        ("ipv4_address", NETWORK),
        ("ipv6_address", NETWORK),
        ("isolation", "it is for Windows"),
        ("logging", "the agent collects the output; see the task's `logs` block"),
        ("mac_address", NETWORK),
        ("network_aliases", "names of tasks are services; use the `service` block"),
        ("port_map", "it was removed; use `ports` and the group's `network` block"),
        ("storage_opt", "the size of a container's own files cannot be limited yet"),
        ("userns_mode", "user namespaces are not supported yet"),
        ("volume_driver", "there are no Docker volumes; use a host volume or a CSI volume"),
    ],
};

const AUTH: Schema =
    Schema { driver: DRIVER, known: &["username", "password", "server_address"], unsupported: &[] };
const DEVICE: Schema = Schema {
    driver: DRIVER,
    known: &["host_path", "container_path", "cgroup_permissions"],
    unsupported: &[],
};
/// Docker's own checks of an image have no effect here: Nomad's are the job's.
const HEALTHCHECKS: Schema = Schema { driver: DRIVER, known: &["disable"], unsupported: &[] };

pub(in crate::driver) fn plan(
    config: &Map<String, Value>,
    settings: &Settings,
) -> Result<Plan, DriverError> {
    let keys = Keys::check(&SCHEMA, config)?;
    keys.blocks("healthchecks", &HEALTHCHECKS)?;
    keys.natural("container_exists_attempts")?;
    if let Some(runtime) = keys.text("runtime")?.filter(|name| !name.is_empty() && name != "runc") {
        return Err(
            keys.invalid("runtime", format!("`{runtime}` is not available, only the built-in one"))
        );
    }
    let entrypoint = keys.texts("entrypoint")?;
    let container = ContainerPlan {
        root: Root::Image,
        entrypoint: (!entrypoint.is_empty()).then_some(entrypoint),
        command: keys.text("command")?.filter(|command| !command.is_empty()),
        args: keys.texts("args")?,
        work_dir: absolute(&keys, "work_dir")?,
        hostname: keys.text("hostname")?.filter(|name| !name.is_empty()),
        network: network(&keys)?,
        traits: traits(&keys, settings)?,
        capabilities: capabilities(&keys, settings)?,
        bounds: bounds(&keys, settings)?,
        mounts: mounts::planned(
            &keys,
            if settings.volumes { HostPaths::Allowed } else { HostPaths::Refused },
        )?,
        devices: devices(&keys)?,
        group_add: keys.texts("group_add")?,
        extra_hosts: extra_hosts(&keys)?,
        dns: Dns {
            servers: keys.texts("dns_servers")?,
            search: keys.texts("dns_search_domains")?,
            options: keys.texts("dns_options")?,
        },
        sysctl: sysctl(&keys)?,
        labels: keys.pairs("labels")?,
    };
    Ok(Plan {
        image: Some(image(&keys)?),
        network: match container.network {
            Network::Group => NetworkNeed::Own,
            Network::Host => NetworkNeed::Host,
            Network::Nothing => NetworkNeed::Nothing,
        },
        ports: keys.texts("ports")?,
        work: Work::Container(Box::new(container)),
    })
}

fn image(keys: &Keys<'_>) -> Result<ImageNeed, DriverError> {
    let mut auth = None;
    for block in keys.blocks("auth", &AUTH)? {
        let username = block.text("username")?.unwrap_or_default();
        if !username.is_empty() {
            auth = Some(RegistryAuth {
                username,
                password: block.text("password")?.unwrap_or_default(),
                server_address: block.text("server_address")?.filter(|address| !address.is_empty()),
            });
        }
    }
    Ok(ImageNeed {
        reference: keys.required("image")?,
        auth,
        auth_soft_fail: keys.flag("auth_soft_fail")?,
        force_pull: keys.flag("force_pull")?,
        platform: keys.text("platform")?.filter(|platform| !platform.is_empty()),
        pull_timeout: keys.duration_ms("image_pull_timeout")?.map(|ms| ms / 1000),
        load: keys.text("load")?.filter(|path| !path.is_empty()),
    })
}

fn absolute(keys: &Keys<'_>, key: &str) -> Result<Option<String>, DriverError> {
    let path = keys.text(key)?.filter(|path| !path.is_empty());
    match path {
        Some(path) if !path.starts_with('/') => Err(keys.invalid(key, "must be an absolute path")),
        path => Ok(path),
    }
}

fn network(keys: &Keys<'_>) -> Result<Network, DriverError> {
    match keys.text("network_mode")?.as_deref() {
        None | Some("" | "default" | "bridge") => Ok(Network::Group),
        Some("host") => Ok(Network::Host),
        Some("none") => Ok(Network::Nothing),
        Some(other) => {
            Err(keys.invalid("network_mode", format!("`{other}` is none of bridge, host, none")))
        }
    }
}

fn traits(keys: &Keys<'_>, settings: &Settings) -> Result<BTreeSet<Trait>, DriverError> {
    let mut traits = BTreeSet::new();
    for (key, switch) in [
        ("privileged", Trait::Privileged),
        ("readonly_rootfs", Trait::ReadonlyRootfs),
        ("tty", Trait::Tty),
        ("interactive", Trait::Interactive),
        ("init", Trait::Init),
        ("cpu_hard_limit", Trait::CpuHardLimit),
    ] {
        if keys.flag(key)? {
            traits.insert(switch);
        }
    }
    let namespaces =
        [("pid_mode", Trait::HostPid), ("ipc_mode", Trait::HostIpc), ("uts_mode", Trait::HostUts)];
    for (key, switch) in namespaces {
        match keys.text(key)?.as_deref() {
            None | Some("" | "private" | "shareable") => {}
            Some("host") => drop(traits.insert(switch)),
            Some(other) => {
                return Err(keys.invalid(key, format!("`{other}` is none of private, host")));
            }
        }
    }
    for option in keys.texts("security_opt")? {
        traits.extend(security_option(keys, &option)?);
    }
    // Each of them opens the host, whatever the capabilities.
    let asked = traits.iter().find_map(|switch| match switch {
        Trait::Privileged => Some("privileged"),
        Trait::HostPid => Some("pid_mode = \"host\""),
        Trait::HostIpc => Some("ipc_mode = \"host\""),
        Trait::HostUts => Some("uts_mode = \"host\""),
        Trait::Unconfined => Some("security_opt = [\"seccomp=unconfined\"]"),
        Trait::ReadonlyRootfs | Trait::NewPrivileges | Trait::Tty => None,
        Trait::Interactive | Trait::Init | Trait::CpuHardLimit => None,
    });
    match asked.filter(|_| !settings.allow_privileged) {
        Some(what) => Err(DriverError::NotAllowed {
            driver: DRIVER,
            what: what.to_owned(),
            setting: "allow_privileged",
        }),
        None => Ok(traits),
    }
}

fn security_option(keys: &Keys<'_>, option: &str) -> Result<Option<Trait>, DriverError> {
    let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
    match (name, value) {
        ("no-new-privileges", "" | "true") => Ok(None),
        ("no-new-privileges", "false") => Ok(Some(Trait::NewPrivileges)),
        ("seccomp", "unconfined") => Ok(Some(Trait::Unconfined)),
        ("seccomp", "builtin" | "default") => Ok(None),
        // Without SELinux and AppArmor there is nothing to switch off.
        ("label", "disable") | ("apparmor", "unconfined") => Ok(None),
        _ => Err(keys.invalid("security_opt", format!("`{option}` is not supported"))),
    }
}

fn capabilities(keys: &Keys<'_>, settings: &Settings) -> Result<Vec<String>, DriverError> {
    if keys.flag("privileged")? && settings.allow_privileged {
        return Ok(caps::all());
    }
    let (add, drop) = (keys.texts("cap_add")?, keys.texts("cap_drop")?);
    caps::resolve(Wish { driver: DRIVER, add: &add, drop: &drop, allowed: &settings.allow_caps })
}

fn bounds(keys: &Keys<'_>, settings: &Settings) -> Result<Bounds, DriverError> {
    const DEFAULT_PIDS: u64 = 4096;
    let ceiling = settings.pids_limit.unwrap_or(DEFAULT_PIDS);
    let pids = match keys.integer("pids_limit")? {
        None | Some(0) => ceiling,
        // Docker: -1 is no limit.
        Some(-1) if settings.pids_limit.is_none() => u64::MAX,
        Some(wanted) => match u64::try_from(wanted) {
            Ok(wanted) if settings.pids_limit.is_none_or(|ceiling| wanted <= ceiling) => wanted,
            _ => return Err(keys.invalid("pids_limit", format!("must be at most {ceiling}"))),
        },
    };
    Ok(Bounds {
        pids: (pids != u64::MAX).then_some(pids),
        memory: keys.natural("memory_hard_limit")?.filter(|mb| *mb > 0).map(|mb| mb << 20),
        cpu_period: keys.natural("cpu_cfs_period")?.filter(|period| *period > 0),
        cores: keys.text("cpuset_cpus")?.filter(|cores| !cores.is_empty()),
        shm_size: keys.natural("shm_size")?.filter(|size| *size > 0),
        oom_score_adj: keys.integer("oom_score_adj")?,
        ulimits: ulimits(keys)?,
    })
}

/// `nofile = "1024:2048"` or one number for both.
fn ulimits(keys: &Keys<'_>) -> Result<Vec<Ulimit>, DriverError> {
    const NAMES: [&str; 16] = [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    let parse = |name: &str, text: &str| {
        let number = |text: &str| match text.trim() {
            "-1" | "unlimited" => Some(u64::MAX),
            text => text.parse().ok(),
        };
        let (soft, hard) = text.split_once(':').unwrap_or((text, text));
        let (soft, hard) = (number(soft)?, number(hard)?);
        let known = NAMES.contains(&name) && soft <= hard;
        known.then(|| Ulimit { name: format!("RLIMIT_{}", name.to_ascii_uppercase()), soft, hard })
    };
    keys.pairs("ulimit")?
        .iter()
        .map(|(name, text)| {
            parse(name, text)
                .ok_or_else(|| keys.invalid("ulimit", format!("`{name} = {text}` is not a limit")))
        })
        .collect()
}

fn devices(keys: &Keys<'_>) -> Result<Vec<Device>, DriverError> {
    let mut devices = Vec::new();
    for block in keys.blocks("devices", &DEVICE)? {
        let host_path = block.required("host_path")?;
        if !host_path.starts_with("/dev/") || host_path.contains("..") {
            return Err(block.invalid("host_path", "must be a path in /dev"));
        }
        let container_path =
            absolute(&block, "container_path")?.unwrap_or_else(|| host_path.clone());
        let permissions = block.text("cgroup_permissions")?.filter(|text| !text.is_empty());
        let permissions = permissions.unwrap_or_else(|| "rwm".to_owned());
        if permissions.chars().any(|c| !"rwm".contains(c)) {
            return Err(block.invalid("cgroup_permissions", "must be made of r, w and m"));
        }
        devices.push(Device {
            host_path: host_path.into(),
            container_path: container_path.into(),
            permissions,
        });
    }
    Ok(devices)
}

/// `name:address` or `name=address`; `host-gateway` is resolved by the client.
fn extra_hosts(keys: &Keys<'_>) -> Result<Vec<(String, String)>, DriverError> {
    keys.texts("extra_hosts")?
        .iter()
        .map(|entry| {
            let (name, address) = entry.split_once([':', '=']).unwrap_or((entry, ""));
            let address = address.trim_start_matches('[').trim_end_matches(']');
            let valid = !name.is_empty()
                && !name.contains(char::is_whitespace)
                && address.parse::<std::net::IpAddr>().is_ok();
            valid.then(|| (name.to_owned(), address.to_owned())).ok_or_else(|| {
                keys.invalid("extra_hosts", format!("`{entry}` is not name:address"))
            })
        })
        .collect()
}

/// Only what a namespace of the container's own holds.
fn sysctl(keys: &Keys<'_>) -> Result<BTreeMap<String, String>, DriverError> {
    let own = |name: &str| {
        ["net.", "fs.mqueue.", "kernel.shm", "kernel.msg"]
            .iter()
            .any(|start| name.starts_with(start))
            || name == "kernel.sem"
    };
    let pairs = keys.pairs("sysctl")?;
    match pairs.keys().find(|name| !own(name) || name.contains('/') || name.contains("..")) {
        Some(name) => {
            Err(keys.invalid("sysctl", format!("`{name}` is the host's, not the container's")))
        }
        None => Ok(pairs),
    }
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
