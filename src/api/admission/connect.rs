//! ◆ Consul Connect: the tasks and ports that a sidecar needs.
//!
//! There is no Consul here, so no node will ever fit such a group; the job is let in and shown as Nomad
//! shows it, so that a file that is shared with a Nomad cluster can be registered and planned.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::errors::Errors;
use crate::model::policy::RestartPolicy;
use crate::model::task::{Lifecycle, LogConfig, WorkloadIdentity};
use crate::model::volume::VolumeMount;
use crate::model::{
    Constraint, Job, Nanos, NetworkResource, Port, Resources, Service, Task, TaskGroup,
};

/// Adds what sidecars need, or says why they cannot be.
pub(super) fn mutate(job: &mut Job, errors: &mut Errors) {
    for group in &mut job.task_groups {
        expose_checks(group);
        for at in 0..group.services.len() {
            let service = group.services[at].clone();
            let Some(connect) = &service.connect else { continue };
            if !connect["SidecarService"].is_null() {
                if !has_own_network(group) {
                    let mode = group.networks.first().map_or("host", |n| n.mode.as_str());
                    let mode = if mode.is_empty() { "host" } else { mode };
                    errors.push(format!(
                        "connect sidecar: invalid network mode for Consul Connect: group \"{}\" uses \
                         network mode \"{mode}\"; must be \"bridge\" or \"cni/*\"",
                        group.name
                    ));
                    continue;
                }
                sidecar(group, &service, connect);
                transparent_proxy_ports(group, connect, errors);
            } else if connect["Native"] == true {
                let kind = format!("connect-native:{}", service.name);
                for task in group.tasks.iter_mut().filter(|t| t.name == service.task_name) {
                    task.kind.clone_from(&kind);
                }
            } else if ["Ingress", "Terminating", "Mesh"]
                .iter()
                .any(|kind| !connect["Gateway"][kind].is_null())
            {
                errors.push(format!(
                    "group \"{}\": service \"{}\": a Connect gateway needs Consul, and there is none here",
                    group.name, service.name
                ));
            }
        }
    }
}

fn has_own_network(group: &TaskGroup) -> bool {
    group.networks.first().is_some_and(|n| n.mode == "bridge" || n.mode.starts_with("cni/"))
}

fn sidecar(group: &mut TaskGroup, service: &Service, connect: &Value) {
    let kind = format!("connect-proxy:{}", service.name);
    if !group.tasks.iter().any(|task| task.kind == kind) {
        let mut task = sidecar_task(&service.name, kind, &group.restart_policy);
        if let Some(given) = connect["SidecarTask"].as_object() {
            merge(&mut task, given);
        }
        group.tasks.push(task);
    }
    if connect["SidecarService"]["Port"] == "" {
        let label = format!("connect-proxy-{}", service.name);
        if let Some(network) = group.networks.first_mut() {
            add_port(network, label);
        }
    }
}

fn add_port(network: &mut NetworkResource, label: String) {
    if network.ports().all(|port| port.label != label) {
        network.dynamic_ports.push(Port {
            label,
            to: -1,
            host_network: "default".to_owned(),
            ..Port::default()
        });
    }
}

fn sidecar_task(service: &str, kind: String, restart: &RestartPolicy) -> Task {
    let constraint = |left: &str, operator: &str, right: &str| Constraint {
        left: left.to_owned(),
        right: right.to_owned(),
        operator: operator.to_owned(),
    };
    let config = json!({
        "image": "${meta.connect.sidecar_image}",
        "args": [
            "-c",
            "${NOMAD_SECRETS_DIR}/envoy_bootstrap.json",
            "-l",
            "${meta.connect.log_level}",
            "--concurrency",
            "${meta.connect.proxy_concurrency}",
            "--disable-hot-restart",
        ],
    });
    Task {
        name: format!("connect-proxy-{service}"),
        kind,
        driver: "docker".to_owned(),
        config: config.as_object().cloned(),
        constraints: vec![
            constraint("${attr.consul.version}", "semver", ">= 1.8.0"),
            constraint("${attr.consul.grpc}", ">", "0"),
        ],
        lifecycle: Some(Lifecycle { hook: "prestart".to_owned(), sidecar: true }),
        resources: Resources { cpu: 250, memory_mb: 128, ..Resources::default() },
        log_config: LogConfig { max_files: 2, max_file_size_mb: 2, disabled: false },
        kill_timeout: Nanos::from_secs(5),
        shutdown_delay: Nanos::from_secs(5),
        restart_policy: restart.clone(),
        ..Task::default()
    }
}

/// Lays what the job says of the sidecar's task over the usual one.
fn merge(task: &mut Task, given: &Map<String, Value>) {
    let text = |key: &str| given.get(key).and_then(Value::as_str).filter(|t| !t.is_empty());
    if let Some(name) = text("Name") {
        name.clone_into(&mut task.name);
    }
    if let Some(user) = text("User") {
        user.clone_into(&mut task.user);
    }
    if let Some(signal) = text("KillSignal") {
        signal.clone_into(&mut task.kill_signal);
    }
    if let Some(driver) = text("Driver").filter(|driver| *driver != task.driver) {
        driver.clone_into(&mut task.driver);
        task.config = None;
    }
    if let Some(config) = given.get("Config").and_then(Value::as_object) {
        task.config.get_or_insert_default().extend(config.clone());
    }
    task.env.extend(read::<BTreeMap<String, String>>(given, "Env"));
    task.meta.extend(read::<BTreeMap<String, String>>(given, "Meta"));
    if let Some(resources) = given.get("Resources").filter(|value| !value.is_null()) {
        let over: Resources = serde_json::from_value(resources.clone()).unwrap_or_default();
        merge_resources(&mut task.resources, over);
    }
    if let Some(log) = given.get("LogConfig").filter(|value| !value.is_null()) {
        // Nomad: the sizes are taken, and that logs are off is not.
        let over: LogConfig = serde_json::from_value(log.clone()).unwrap_or_default();
        task.log_config = LogConfig { disabled: task.log_config.disabled, ..over };
    }
    let nanos = |key: &str| given.get(key).and_then(Value::as_i64).map(Nanos);
    task.kill_timeout = nanos("KillTimeout").unwrap_or(task.kill_timeout);
    task.shutdown_delay = nanos("ShutdownDelay").unwrap_or(task.shutdown_delay);
    task.volume_mounts.extend(read::<Vec<VolumeMount>>(given, "VolumeMounts"));
    task.identities.extend(read::<Vec<WorkloadIdentity>>(given, "Identities"));
}

fn read<T: serde::de::DeserializeOwned + Default>(given: &Map<String, Value>, key: &str) -> T {
    given.get(key).and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or_default()
}

fn merge_resources(base: &mut Resources, over: Resources) {
    let or = |over: i64, base: i64| if over == 0 { base } else { over };
    base.cpu = or(over.cpu, base.cpu);
    base.cores = or(over.cores, base.cores);
    base.memory_mb = or(over.memory_mb, base.memory_mb);
    base.memory_max_mb = or(over.memory_max_mb, base.memory_max_mb);
    base.secrets_mb = or(over.secrets_mb, base.secrets_mb);
    if !over.networks.is_empty() {
        base.networks = over.networks;
    }
    if !over.devices.is_empty() {
        base.devices = over.devices;
    }
}

/// A check that asks to be exposed gets a path through the sidecar.
fn expose_checks(group: &mut TaskGroup) {
    for service in &mut group.services {
        let Some(connect) = service.connect.as_mut() else { continue };
        if connect["SidecarService"].is_null() {
            continue;
        }
        let local: i64 = service.port_label.parse().unwrap_or_default();
        for check in service.checks.iter().filter(|check| check.expose) {
            let path = json!({
                "Path": check.path,
                "Protocol": check.protocol,
                "LocalPathPort": local,
                "ListenerPort": check.port_label,
            });
            expose(connect, path);
        }
    }
}

fn expose(connect: &mut Value, path: Value) {
    let proxy = &mut connect["SidecarService"]["Proxy"];
    if proxy.is_null() {
        *proxy = json!({
            "LocalServiceAddress": "",
            "LocalServicePort": 0,
            "Upstreams": null,
            "Expose": null,
            "TransparentProxy": null,
            "Config": null,
        });
    }
    let paths = &mut proxy["Expose"]["Paths"];
    match paths.as_array_mut() {
        Some(paths) => {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        None => *paths = json!([path]),
    }
}

fn transparent_proxy_ports(group: &TaskGroup, connect: &Value, errors: &mut Errors) {
    let ports = connect.pointer("/SidecarService/Proxy/TransparentProxy/ExcludeInboundPorts");
    for port in ports.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        let mut reserved = group.networks.iter().flat_map(|network| &network.reserved_ports);
        let label = reserved.any(|p| p.label == port);
        if port.parse::<u16>().is_err() && !label {
            errors.push(format!(
                "Consul Connect transparent proxy port \"{port}\" must be numeric or one of network.port labels"
            ));
        }
    }
}
