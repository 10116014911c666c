//! ◆ Rules of services and checks.

use std::collections::{BTreeMap, BTreeSet};

use super::identity;
use crate::api::admission::Errors;
use crate::api::{duration, number};
use crate::model::{Nanos, NetworkResource, Service, ServiceCheck, Task, TaskGroup};

/// All that is wrong with a group's services, and with those of its tasks taken together.
pub(super) fn of_group(group: &TaskGroup) -> Errors {
    let mut errors = Errors::default();
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    let mut providers = BTreeSet::new();
    for (at, service) in group.services.iter().enumerate() {
        errors.nest(&format!("Service[{at}] {} validation failed", service.name), &one(service));
        errors.check(service.address_mode != "driver", || {
            format!(
                "service \"{}\" cannot use address_mode=\"driver\", only services defined in a \"task\" block can use this mode",
                service.name
            )
        });
    }
    let of_tasks = group.tasks.iter().flat_map(|t| t.services.iter().map(|s| (t.name.as_str(), s)));
    for (owner, service) in group.services.iter().map(|s| ("group", s)).chain(of_tasks) {
        providers.insert(service.provider.as_str());
        if !seen.insert((owner, service.name.as_str(), service.port_label.as_str())) {
            let port = &service.port_label;
            let port = if port.is_empty() { String::new() } else { format!(":{port}") };
            twice.insert(format!("{owner}->{}{port}", service.name));
        }
    }
    errors.check(twice.is_empty(), || {
        let twice: Vec<&str> = twice.iter().map(String::as_str).collect();
        format!("Services are not unique: [{}]", twice.join(" "))
    });
    let known = providers.iter().filter(|p| **p == "consul" || **p == "nomad").count();
    errors.check(known <= 1, || {
        "Multiple service providers used: task group services must use the same provider".to_owned()
    });
    errors
}

/// A script runs in a task: a group's service must say in which.
pub(super) fn script_checks(group: &TaskGroup) -> Errors {
    let mut errors = Errors::default();
    for service in &group.services {
        for check in service.checks.iter().filter(|check| check.kind == "script") {
            errors.check(!service.task_name.is_empty() || !check.task_name.is_empty(), || {
                format!(
                    "Service [{}]->{} or Check {} must specify task parameter",
                    group.name, service.name, check.name
                )
            });
        }
    }
    errors
}

/// All that is wrong with a task's services.
pub(super) fn of_task(task: &Task, group: &TaskGroup) -> Errors {
    let mut errors = Errors::default();
    let mut ports = Ports::default();
    let mut known = BTreeSet::new();
    for (at, service) in task.services.iter().enumerate() {
        let name = service.name.as_str();
        errors.nest(&format!("service[{at}] \"{name}\" validation failed"), &one(service));
        let mode = service.address_mode.as_str();
        errors.check(mode != "alloc" && mode != "alloc_ipv6", || {
            format!(
                "service \"{name}\" cannot use address_mode=\"{mode}\", only services defined in a \"group\" block can use this mode"
            )
        });
        errors.check(known.insert((name, service.port_label.as_str())), || {
            format!("service \"{name}\" is duplicate")
        });
        if !(service.port_label.is_empty() || mode == "driver" && is_number(&service.port_label)) {
            ports.refer(&service.port_label, name);
        }
        errors.check(service.connect.is_none(), || {
            format!(
                "service \"{name}\" cannot have \"connect\" block, only services defined in a \"group\" block can"
            )
        });
        checks_of_task(service, &mut ports, &mut errors);
    }
    ports.unknown(task, group, &mut errors);
    errors
}

fn checks_of_task<'a>(service: &'a Service, ports: &mut Ports<'a>, errors: &mut Errors) {
    let mut known = BTreeSet::new();
    for check in &service.checks {
        let name = number::quote(&check.name);
        errors.check(known.insert(&check.name), || format!("check {name} is duplicate"));
        if !requires_port(check) {
            continue;
        }
        let port =
            if check.port_label.is_empty() { &service.port_label } else { &check.port_label };
        if port.is_empty() {
            errors.push(format!("check {name} is missing a port"));
        } else if !is_number(port) {
            ports.refer(port, &service.name);
        } else if check.address_mode != "driver" {
            errors.push(format!(
                "check {name} cannot use a numeric port {port} without setting address_mode=\"driver\""
            ));
        }
    }
}

/// Port labels that services refer to, with the services.
#[derive(Default)]
struct Ports<'a>(BTreeMap<&'a str, BTreeSet<&'a str>>);

impl<'a> Ports<'a> {
    fn refer(&mut self, label: &'a str, service: &'a str) {
        self.0.entry(label).or_default().insert(service);
    }

    fn unknown(&self, task: &Task, group: &TaskGroup, errors: &mut Errors) {
        let labels: BTreeSet<&str> = group
            .networks
            .iter()
            .chain(&task.resources.networks)
            .flat_map(NetworkResource::ports)
            .map(|port| port.label.as_str())
            .collect();
        for (label, services) in self.0.iter().filter(|(label, _)| !labels.contains(*label)) {
            let services: Vec<&str> = services.iter().copied().collect();
            errors.push(format!(
                "port label \"{label}\" referenced by services {} does not exist",
                services.join(", ")
            ));
        }
    }
}

fn is_number(port: &str) -> bool {
    port.parse::<u16>().is_ok()
}

fn requires_port(check: &ServiceCheck) -> bool {
    ["grpc", "http", "tcp"].contains(&check.kind.as_str())
}

fn one(service: &Service) -> Errors {
    const KINDS: [&str; 7] = [
        "",
        "api-gateway",
        "ingress-gateway",
        "mesh-gateway",
        "terminating-gateway",
        "connect-proxy",
        "consul",
    ];
    let mut errors = Errors::default();
    name(&service.name, &mut errors);
    let mode = service.address_mode.as_str();
    errors.check(["", "auto", "host", "driver", "alloc", "alloc_ipv6"].contains(&mode), || {
        format!("Service address_mode must be \"auto\", \"host\", or \"driver\"; not \"{mode}\"")
    });
    errors.check(service.address.is_empty() || mode == "auto", || {
        "Service address_mode must be \"auto\" if address is set".to_owned()
    });
    let on_update = service.on_update.as_str();
    errors.check(["require_healthy", "ignore_warnings", "ignore"].contains(&on_update), || {
        format!("Service on_update must be \"require_healthy\", \"ignore_warnings\", or \"ignore\"; not \"{on_update}\"")
    });
    match service.provider.as_str() {
        "consul" => {
            errors.check(KINDS.contains(&service.kind.as_str()), || {
                format!("Service {} kind must be one of consul service kind or empty", service.name)
            });
            of_consul(service, &mut errors);
        }
        "nomad" => of_nomad(service, &mut errors),
        other => errors
            .push(format!("Service provider must be \"consul\", or \"nomad\"; not \"{other}\"")),
    }
    if let Some(identity) = &service.identity {
        errors.check(!identity.audience.is_empty(), || {
            format!(
                "Service identity \"{}\" must provide at least one target aud value",
                identity.name
            )
        });
        errors.nest("Service identity is invalid", &identity::one(identity));
    }
    errors
}

/// A label of RFC 1123, once interpolations are taken out.
fn name(name: &str, errors: &mut Errors) {
    let mut rest = name;
    let mut plain = String::new();
    while let Some((before, after)) = rest.split_once("${") {
        plain.push_str(before);
        plain.push_str("ENV");
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let valid = (1..=63).contains(&plain.len())
        && plain.chars().all(known)
        && !plain.starts_with('-')
        && !plain.ends_with('-');
    errors.check(valid, || {
        format!(
            "Service name must be valid per RFC 1123 and can contain only alphanumeric characters or \
             dashes and must be no longer than 63 characters: \"{name}\""
        )
    });
}

fn missing_port(service: &Service, check: &ServiceCheck) -> Option<String> {
    let without =
        requires_port(check) && service.port_label.is_empty() && check.port_label.is_empty();
    without.then(|| {
        format!(
            "Check {} invalid: check requires a port but neither check nor service \"{}\" have a port",
            check.name, service.name
        )
    })
}

fn of_consul(service: &Service, errors: &mut Errors) {
    let sidecar = service.connect.as_ref().is_some_and(|c| !c["SidecarService"].is_null());
    for check in &service.checks {
        if let Some(text) = missing_port(service, check) {
            errors.push(text);
            continue;
        }
        if check.kind == "tcp" && sidecar {
            errors.push(format!(
                "Check {} invalid: tcp checks are not valid for Connect enabled services",
                check.name
            ));
        }
        if let Some(why) = common(check, &["grpc", "tcp", "http", "script"]) {
            errors.push(format!("Check {} invalid: {why}", check.name));
        }
        let found = check_restart(check);
        errors.nest(&format!("Check {} invalid", check.name), &found);
    }
    if let Some(connect) = &service.connect {
        let set = |key: &str| usize::from(!connect[key].is_null());
        let ways = usize::from(connect["Native"] == true) + set("SidecarService") + set("Gateway");
        errors.check(ways == 1, || {
            "Consul Connect must be exclusively native, make use of a sidecar, or represent a Gateway"
                .to_owned()
        });
        let gateway = &connect["Gateway"];
        let kinds = ["Ingress", "Terminating", "Mesh"];
        errors
            .check(gateway.is_null() || kinds.iter().any(|kind| !gateway[kind].is_null()), || {
                "One Consul Gateway Configuration must be set".to_owned()
            });
        errors.check(connect["Native"] != true || !service.task_name.is_empty(), || {
            format!("Service {} is Connect Native and requires setting the task", service.name)
        });
    }
}

fn of_nomad(service: &Service, errors: &mut Errors) {
    for check in &service.checks {
        if let Some(text) = missing_port(service, check) {
            errors.push(text);
            continue;
        }
        if let Some(why) = common(check, &["tcp", "http"]) {
            errors.push(why);
        }
        let consul_only = [
            (check.success_before_passing != 0, "success_before_passing"),
            (check.failures_before_critical != 0, "failures_before_critical"),
            (check.failures_before_warning != 0, "failures_before_warning"),
            (check.expose, "expose"),
            (!check.grpc_service.is_empty(), "grpc_service"),
            (check.grpc_use_tls, "grpc_use_tls"),
            (!check.tls_server_name.is_empty(), "tls_server_name"),
            (!check.notes.is_empty(), "notes"),
            (!check.command.is_empty(), "command"),
        ];
        for (_, field) in consul_only.iter().filter(|(used, _)| *used) {
            errors.push(format!("{field} may only be set for Consul service checks"));
        }
        errors.check(check.address_mode != "driver", || {
            format!("check \"{}\" cannot use address_mode=\"driver\"", check.name)
        });
        errors.check(check.on_update != "ignore_warnings", || {
            "on_update may only be set to ignore_warnings for Consul service checks".to_owned()
        });
        errors.append(check_restart(check));
        errors.check(
            check.check_restart.as_ref().is_none_or(|restart| !restart.ignore_warnings),
            || {
                "ignore_warnings on check_restart only supported for Consul service checks"
                    .to_owned()
            },
        );
    }
    errors.check(service.connect.is_none(), || {
        "Service with provider nomad cannot include Connect blocks".to_owned()
    });
}

/// What is wrong with a check first of all.
fn common(check: &ServiceCheck, kinds: &[&str]) -> Option<String> {
    const SHORTEST: Nanos = Nanos::from_secs(1);
    let kind = check.kind.as_str();
    if !kinds.contains(&kind) {
        return Some(format!(
            "invalid check type (\"{kind}\"), must be one of {}",
            kinds.join(", ")
        ));
    }
    match kind {
        "http" if check.path.is_empty() => return Some("http type must have http path".to_owned()),
        "http" if !is_relative(&check.path) => {
            return Some("http type must have relative http path".to_owned());
        }
        "script" if check.command.is_empty() => {
            return Some("script type must have a valid script path".to_owned());
        }
        _ => {}
    }
    for (name, title, value) in
        [("interval", "Interval", check.interval), ("timeout", "Timeout", check.timeout)]
    {
        if value == Nanos::ZERO {
            return Some(format!("missing required value {name}. {title} cannot be less than 1s"));
        }
        if value < SHORTEST {
            let value = duration::format(value);
            return Some(format!("{name} ({value}) cannot be lower than 1s"));
        }
    }
    if !["", "passing", "warning", "critical"].contains(&check.initial_status.as_str()) {
        return Some(format!(
            "invalid initial check state ({}), must be one of \"passing\", \"warning\", \"critical\" or empty",
            check.initial_status
        ));
    }
    let mode = check.address_mode.as_str();
    if !["", "host", "driver", "alloc", "alloc_ipv6"].contains(&mode) {
        return Some(format!("invalid address_mode \"{mode}\""));
    }
    if check.notes.len() > 255 {
        return Some("notes must not be longer than 255 characters".to_owned());
    }
    if check.on_update == "ignore" && check.check_restart.is_some() {
        return Some("on_update value \"ignore\" is not compatible with check_restart".to_owned());
    }
    None
}

/// A path with a query, not a whole URL.
fn is_relative(path: &str) -> bool {
    let scheme = path.split(['/', '?', '#']).next().unwrap_or_default();
    !scheme.contains(':') && !path.starts_with("//")
}

fn check_restart(check: &ServiceCheck) -> Errors {
    let mut errors = Errors::default();
    let Some(restart) = &check.check_restart else { return errors };
    errors.check(restart.limit >= 0, || {
        format!("limit must be greater than or equal to 0 but found {}", restart.limit)
    });
    errors.check(restart.grace.0 >= 0, || {
        format!("grace period must be greater than or equal to 0 but found {}", restart.grace.0)
    });
    errors
}
