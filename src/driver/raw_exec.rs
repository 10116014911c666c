//! ◆ `raw_exec`: a process of the host, in a session, a cgroup and, if the group has one, a network namespace
//! of its own. No other isolation: off unless the node's owner enables it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::config::{Keys, Schema};
use super::plan::{Plan, ProcessPlan, Work};
use super::{DriverError, Fingerprint};

const SCHEMA: Schema = Schema {
    driver: "raw_exec",
    known: &["command", "args", "work_dir", "oom_score_adj", "denied_envvars"],
    unsupported: &[
        ("cgroup_v1_override", "a task's cgroup is made and removed with it"),
        ("cgroup_v2_override", "a task's cgroup is made and removed with it"),
    ],
};

pub(super) fn plan(config: &Map<String, Value>) -> Result<Plan, DriverError> {
    let keys = Keys::check(&SCHEMA, config)?;
    let work_dir = keys.text("work_dir")?;
    if work_dir.as_ref().is_some_and(|dir| !dir.starts_with('/')) {
        return Err(keys.invalid("work_dir", "must be an absolute path"));
    }
    let oom_score_adj = keys.integer("oom_score_adj")?;
    if oom_score_adj.is_some_and(|score| !(0..=1000).contains(&score)) {
        return Err(keys.invalid("oom_score_adj", "must be between 0 and 1000"));
    }
    let work = ProcessPlan {
        command: keys.required("command")?,
        args: keys.texts("args")?,
        work_dir,
        oom_score_adj,
        denied_env: keys.texts("denied_envvars")?,
    };
    Ok(Plan::of(Work::Process(work)))
}

pub(super) fn fingerprint() -> Fingerprint {
    Fingerprint {
        attributes: BTreeMap::from([("driver.raw_exec".to_owned(), "1".to_owned())]),
        detected: true,
        healthy: true,
        description: "Healthy".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan_of(config: &Value) -> Result<Plan, DriverError> {
        plan(config.as_object().unwrap())
    }

    #[test]
    fn a_command_is_all_it_needs() {
        let plan = plan_of(&json!({"command": "/bin/date", "args": ["-u"]})).unwrap();
        let Work::Process(work) = plan.work else { panic!("not a process") };
        assert_eq!(
            (work.command.as_str(), work.args.as_slice()),
            ("/bin/date", &["-u".to_owned()][..])
        );
        assert!(plan_of(&json!({})).unwrap_err().to_string().contains("needs `command`"));
    }

    #[test]
    fn a_relative_work_dir_is_refused() {
        let error = plan_of(&json!({"command": "x", "work_dir": "a"})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "driver `raw_exec`: config key `work_dir`: must be an absolute path"
        );
    }
}
