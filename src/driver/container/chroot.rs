//! ◆ The `config` block of `exec` tasks: a program of the host in a root made of read-only host directories.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::caps::{self, Wish};
use super::plan::{ContainerPlan, Root, Trait};
use crate::driver::config::{Keys, Schema};
use crate::driver::plan::{Plan, Work};
use crate::driver::{DriverError, Settings};

const DRIVER: &str = "exec";

const SCHEMA: Schema = Schema {
    driver: DRIVER,
    known: &["command", "args", "pid_mode", "ipc_mode", "cap_add", "cap_drop", "work_dir"],
    unsupported: &[],
};

/// The host's directories a task sees. Nomad copies `/etc` and so on for each task; here nothing is copied.
pub(super) const HOST_DIRS: [&str; 9] =
    ["/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/run/resolvconf", "/sbin", "/usr"];

pub(in crate::driver) fn plan(
    config: &Map<String, Value>,
    settings: &Settings,
) -> Result<Plan, DriverError> {
    let keys = Keys::check(&SCHEMA, config)?;
    let work_dir = keys.text("work_dir")?.filter(|dir| !dir.is_empty());
    if work_dir.as_ref().is_some_and(|dir| !dir.starts_with('/')) {
        return Err(keys.invalid("work_dir", "must be an absolute path"));
    }
    let mut traits = BTreeSet::new();
    for (key, switch) in [("pid_mode", Trait::HostPid), ("ipc_mode", Trait::HostIpc)] {
        match keys.text(key)?.as_deref() {
            None | Some("" | "private") => {}
            // Nomad: the job decides.
            Some("host") => drop(traits.insert(switch)),
            Some(other) => {
                return Err(keys.invalid(key, format!("`{other}` is none of private, host")));
            }
        }
    }
    let (add, drop) = (keys.texts("cap_add")?, keys.texts("cap_drop")?);
    let wish = Wish { driver: DRIVER, add: &add, drop: &drop, allowed: &settings.allow_caps };
    let container = ContainerPlan {
        command: Some(keys.required("command")?),
        args: keys.texts("args")?,
        work_dir,
        traits,
        capabilities: caps::resolve(wish)?,
        ..ContainerPlan::bare(Root::Host)
    };
    Ok(Plan::of(Work::Container(Box::new(container))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_command_is_required_and_the_keys_are_checked() {
        let of = |config: &Value| plan(config.as_object().unwrap(), &Settings::default());
        assert!(of(&json!({"command": "/bin/date", "args": ["-u"], "pid_mode": "host"})).is_ok());
        assert!(of(&json!({})).unwrap_err().to_string().contains("config needs `command`"));
        assert!(of(&json!({"command": "x", "image": "y"})).is_err());
        assert!(of(&json!({"command": "x", "pid_mode": "task:y"})).is_err());
    }
}
