//! ◆ From a plan, its context and what was found in the root to the OCI runtime specification of the container.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::plan::{ContainerPlan, Network, Root, Source, Trait};
use super::seccomp;
use crate::driver::cgroup::devices::Kind;
use crate::driver::cgroup::limits::Version;
use crate::driver::context::{ImageRoot, TaskContext};
use crate::driver::users::Identity;

/// Everything the spec is made of. Paths are as the shim sees them.
#[derive(Debug)]
pub(super) struct Input<'a> {
    pub plan: &'a ContainerPlan,
    pub context: &'a TaskContext,
    pub identity: &'a Identity,
    /// Where the root is mounted.
    pub rootfs: &'a Path,
    /// Binds whose sources have been opened safely and stand ready, in the order of mounting.
    pub binds: &'a [Bind],
    pub devices: &'a [DeviceNode],
    pub cgroup: &'a Path,
    pub version: Version,
    pub guard: Guard,
    pub hostname: &'a str,
}

/// Whether something keeps the container from devices that are not on its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// The cgroup: its device controller, or a BPF program.
    Cgroup,
    /// Only that it cannot make nodes.
    NoNodes,
}

/// A prepared source and its place inside. Whether it is read-only is set on the source already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bind {
    pub source: PathBuf,
    pub target: PathBuf,
    pub propagation: Option<String>,
}

/// A device of the host, looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeviceNode {
    pub path: PathBuf,
    pub kind: Kind,
    pub major: u32,
    pub minor: u32,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub permissions: String,
}

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const DEFAULT_SHM_SIZE: u64 = 64 << 20;

const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// `config.json`. Fails when there is nothing to run.
pub(super) fn spec(input: &Input<'_>) -> Result<Value, String> {
    Ok(json!({
        "ociVersion": "1.0.2",
        "root": { "path": input.rootfs, "readonly": input.plan.is(Trait::ReadonlyRootfs) },
        "hostname": input.hostname,
        "process": process(input)?,
        "mounts": mounts(input),
        "linux": linux(input),
    }))
}

fn process(input: &Input<'_>) -> Result<Value, String> {
    let (plan, identity) = (input.plan, input.identity);
    let image = input.context.image.as_ref();
    let caps = capabilities(input);
    let rlimits: Vec<Value> = plan
        .bounds
        .ulimits
        .iter()
        .map(|limit| json!({ "type": limit.name, "soft": limit.soft, "hard": limit.hard }))
        .collect();
    let mut process = json!({
        "terminal": plan.is(Trait::Tty),
        "user": { "uid": identity.uid, "gid": identity.gid, "additionalGids": identity.groups },
        "args": command_line(plan, image)?,
        "env": environment(input),
        "cwd": work_dir(plan, image),
        "capabilities": { "bounding": caps, "effective": caps, "permitted": caps },
        "rlimits": rlimits,
        "noNewPrivileges": !plan.is(Trait::NewPrivileges) && !plan.is(Trait::Privileged),
    });
    // Not the agent's, which is protected.
    process["oomScoreAdj"] = json!(plan.bounds.oom_score_adj.unwrap_or(0));
    Ok(process)
}

/// Without a list nothing but this keeps a container from the devices it would make itself.
fn capabilities(input: &Input<'_>) -> Vec<String> {
    let can_mknod = input.guard == Guard::Cgroup || input.plan.is(Trait::Privileged);
    let caps = input.plan.capabilities.iter();
    caps.filter(|cap| can_mknod || *cap != "CAP_MKNOD").cloned().collect()
}

/// Docker: an entrypoint of the job's drops the image's arguments; a command or arguments of the job's
/// replace them.
fn command_line(plan: &ContainerPlan, image: Option<&ImageRoot>) -> Result<Vec<String>, String> {
    let own: Vec<String> = plan.command.iter().chain(&plan.args).cloned().collect();
    let from_image =
        |part: fn(&ImageRoot) -> &Vec<String>| image.map(part).cloned().unwrap_or_default();
    let (mut words, arguments) = match &plan.entrypoint {
        Some(entrypoint) => (entrypoint.clone(), own),
        None if own.is_empty() => {
            (from_image(|image| &image.entrypoint), from_image(|image| &image.cmd))
        }
        None => (from_image(|image| &image.entrypoint), own),
    };
    words.extend(arguments);
    if words.first().is_none_or(String::is_empty) {
        return Err("no command: neither the job nor the image names one".to_owned());
    }
    Ok(words)
}

pub(super) fn work_dir(plan: &ContainerPlan, image: Option<&ImageRoot>) -> String {
    let of_image = image.map(|image| image.work_dir.clone()).filter(|dir| dir.starts_with('/'));
    plan.work_dir.clone().or(of_image).unwrap_or_else(|| "/".to_owned())
}

/// The image's variables, those every container has, and over them the task's.
fn environment(input: &Input<'_>) -> Vec<String> {
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    env.insert("PATH".into(), DEFAULT_PATH.into());
    env.insert("HOME".into(), input.identity.home.clone());
    env.insert("HOSTNAME".into(), input.hostname.into());
    if input.plan.is(Trait::Tty) {
        env.insert("TERM".into(), "xterm".into());
    }
    if let Some(image) = &input.context.image {
        env.extend(image.env.iter().filter_map(|entry| {
            entry.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        }));
    }
    env.extend(input.context.env.clone());
    // A program without a PATH is not found, and an empty HOME is looked up with the container's own libraries.
    if env.get("PATH").is_none_or(String::is_empty) {
        env.insert("PATH".into(), DEFAULT_PATH.into());
    }
    if env.get("HOME").is_none_or(String::is_empty) {
        env.insert("HOME".into(), "/".into());
    }
    let valid =
        |name: &str, value: &str| !name.is_empty() && !name.contains('\0') && !value.contains('\0');
    env.into_iter()
        .filter(|(name, value)| valid(name, value))
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn mount(target: &str, kind: &str, options: &[&str]) -> Value {
    json!({ "destination": target, "type": kind, "source": kind, "options": options })
}

fn mounts(input: &Input<'_>) -> Vec<Value> {
    let plan = input.plan;
    let shm = format!("size={}", plan.bounds.shm_size.unwrap_or(DEFAULT_SHM_SIZE));
    let sys_mode = if plan.is(Trait::Privileged) { "rw" } else { "ro" };
    let mut mounts = vec![
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", &shm]),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", sys_mode]),
    ];
    // libcontainer 0.7 mounts the v1 hierarchies writable whatever is asked, and a container could raise its own
    // limits there.
    if input.version == Version::V2 {
        mounts.push(mount(
            "/sys/fs/cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "relatime", "ro"],
        ));
    }
    for planned in &plan.mounts {
        if let Source::Tmpfs { size, mode } = planned.source {
            let size = size.map(|size| format!("size={size}"));
            let mode = format!("mode={:o}", mode.unwrap_or(0o1777));
            let mut options = vec!["nosuid", "nodev", "noexec", mode.as_str()];
            options.extend(size.as_deref());
            options.extend(planned.read_only.then_some("ro"));
            mounts.push(mount(&planned.target.to_string_lossy(), "tmpfs", &options));
        }
    }
    mounts.extend(input.binds.iter().map(|bind| {
        let propagation = bind.propagation.as_deref().unwrap_or("rprivate");
        json!({
            "destination": bind.target, "type": "bind", "source": bind.source, "options": ["rbind", propagation],
        })
    }));
    mounts
}

fn linux(input: &Input<'_>) -> Value {
    let plan = input.plan;
    let privileged = plan.is(Trait::Privileged);
    let nodes: Vec<Value> = input
        .devices
        .iter()
        .map(|device| {
            json!({
                "path": device.path, "type": letter(device.kind), "major": device.major, "minor": device.minor,
                "fileMode": device.mode, "uid": device.uid, "gid": device.gid,
            })
        })
        .collect();
    let mut linux = json!({
        "cgroupsPath": input.cgroup,
        "namespaces": namespaces(input),
        "devices": nodes,
        "resources": { "devices": device_rules(input) },
        "sysctl": sysctl(input),
        "rootfsPropagation": "private",
    });
    if !privileged {
        linux["maskedPaths"] = json!(MASKED);
        linux["readonlyPaths"] = json!(READ_ONLY);
    }
    if !privileged && !plan.is(Trait::Unconfined) {
        linux["seccomp"] = seccomp::profile(&capabilities(input));
    }
    linux
}

/// The path of the network namespace to join, if the container does not share the host's.
fn network_namespace(input: &Input<'_>) -> Option<Value> {
    match (input.plan.network, &input.context.netns) {
        (Network::Nothing, _) => Some(json!({ "type": "network" })),
        (Network::Group, Some(path)) => Some(json!({ "type": "network", "path": path })),
        (Network::Group, None) | (Network::Host, _) => None,
    }
}

fn namespaces(input: &Input<'_>) -> Vec<Value> {
    let mut namespaces = vec![json!({ "type": "mount" }), json!({ "type": "cgroup" })];
    for (kind, shared) in
        [("pid", Trait::HostPid), ("ipc", Trait::HostIpc), ("uts", Trait::HostUts)]
    {
        if !input.plan.is(shared) {
            namespaces.push(json!({ "type": kind }));
        }
    }
    namespaces.extend(network_namespace(input));
    namespaces
}

fn device_rules(input: &Input<'_>) -> Vec<Value> {
    if input.plan.is(Trait::Privileged) {
        return vec![json!({ "allow": true, "access": "rwm" })];
    }
    // libcontainer adds the standard ones (null, zero, full, random, urandom, tty, console, ptmx, pts).
    let mut rules = vec![json!({ "allow": false, "access": "rwm" })];
    rules.extend(input.devices.iter().map(|device| {
        json!({
            "allow": true, "type": letter(device.kind), "major": device.major, "minor": device.minor,
            "access": device.permissions,
        })
    }));
    rules
}

fn letter(kind: Kind) -> &'static str {
    match kind {
        Kind::Block => "b",
        Kind::Char => "c",
    }
}

/// Docker: in a network namespace of its own a container may ping and open low ports without capabilities.
fn sysctl(input: &Input<'_>) -> BTreeMap<String, String> {
    let mut sysctl = BTreeMap::new();
    if network_namespace(input).is_some() && input.plan.root == Root::Image {
        sysctl.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
        sysctl.insert("net.ipv4.ping_group_range".to_owned(), "0 2147483647".to_owned());
    }
    sysctl.extend(input.plan.sysctl.clone());
    sysctl
}

#[cfg(test)]
#[path = "spec/tests.rs"]
mod tests;
