//! ◆ Rules of what a task asks for.

use super::constraint;
use crate::api::admission::Errors;
use crate::model::resources::{RequestedDevice, Resources};

/// All that is wrong with what a task asks for.
pub(super) fn resources(resources: &Resources) -> Errors {
    let mut errors = Errors::default();
    errors.check(resources.cores == 0 || resources.cpu == 0, || {
        "Task can only ask for 'cpu' or 'cores' resource, not both.".to_owned()
    });
    errors.nest_bare(&minima(resources));
    for (at, device) in resources.devices.iter().enumerate() {
        errors.nest(&format!("device {} failed validation", at + 1), &self::device(device));
    }
    if let Some(numa) = &resources.numa {
        errors.check(["none", "prefer", "require"].contains(&numa.affinity.as_str()), || {
            "numa affinity must be one of none, prefer, or require".to_owned()
        });
        for name in &numa.devices {
            errors.check(resources.devices.iter().any(|device| device.name == *name), || {
                format!("numa device \"{name}\" not requested as task resource")
            });
        }
    }
    errors.check(resources.cores >= 0, || {
        format!("cores value ({}) cannot be negative", resources.cores)
    });
    let (memory, max) = (resources.memory_mb, resources.memory_max_mb);
    errors.check(max == 0 || max == -1 || max >= memory, || {
        format!("MemoryMaxMB value ({max}) should be larger than MemoryMB value ({memory})")
    });
    errors.check(resources.secrets_mb <= memory, || {
        format!(
            "SecretsMB value ({}) cannot be larger than MemoryMB value ({memory})",
            resources.secrets_mb
        )
    });
    errors.check(resources.secrets_mb >= 0, || {
        format!("SecretsMB value ({}) cannot be negative", resources.secrets_mb)
    });
    errors
}

fn minima(resources: &Resources) -> Errors {
    let mut errors = Errors::default();
    errors.check(resources.cores != 0 || resources.cpu >= 1, || {
        format!("minimum CPU value is 1; got {}", resources.cpu)
    });
    errors.check(resources.memory_mb >= 10, || {
        format!("minimum MemoryMB value is 10; got {}", resources.memory_mb)
    });
    errors
}

fn device(device: &RequestedDevice) -> Errors {
    let mut errors = Errors::default();
    errors.check(!device.name.is_empty(), || "device name must be given".to_owned());
    for (at, one) in device.constraints.iter().enumerate() {
        if one.operator == "distinct_hosts" || one.operator == "distinct_property" {
            errors.push(format!(
                "Constraint {} validation failed: using unsupported operand \"{}\"",
                at + 1,
                one.operator
            ));
        } else {
            errors.nest(&format!("Constraint {} validation failed", at + 1), &constraint::one(one));
        }
    }
    constraint::affinities(&device.affinities, false, &mut errors);
    errors
}
