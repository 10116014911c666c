//! ◆ What the parser does to a job after reading it: tasks without a group, inheritance, ports, defaults that the
//! command line already fills in.

use serde_json::Value;

use super::schema::Object;

/// The job as it leaves the parser. `label` is the ID and name unless the job sets them.
pub(super) fn job(job: &mut Object, label: &str) {
    for field in ["ID", "Name"] {
        if is_null(job, field) {
            job.insert(field.to_owned(), Value::from(label));
        }
    }
    if let Some(periodic) = child(job, "Periodic")
        && !(is_null(periodic, "Spec") && is_null(periodic, "Specs"))
    {
        periodic.insert("SpecType".to_owned(), Value::from("cron"));
    }
    let mut vault = job.shift_remove("@Vault").unwrap_or(Value::Null);
    default_vault(&mut vault);
    let secrets = job.shift_remove("@Secrets").unwrap_or(Value::Null);
    own_groups(job);
    for group in children(job, "TaskGroups") {
        normalize_group(group, &vault, &secrets);
    }
}

/// Tasks directly under the job come first, each in a group of its own.
fn own_groups(job: &mut Object) {
    let Some(Value::Array(tasks)) = job.shift_remove("@Tasks") else { return };
    let mut groups: Vec<Value> = tasks
        .into_iter()
        .map(|task| {
            let mut group = super::decode::defaults(&super::schema::GROUP);
            let name = task.get("Name").cloned().unwrap_or(Value::Null);
            group.insert("Name".to_owned(), name);
            group.insert("Tasks".to_owned(), Value::Array(vec![task]));
            Value::Object(group)
        })
        .collect();
    if let Some(Value::Array(declared)) = job.get_mut("TaskGroups") {
        groups.append(declared);
    }
    job.insert("TaskGroups".to_owned(), Value::Array(groups));
}

fn normalize_group(group: &mut Object, job_vault: &Value, job_secrets: &Value) {
    let mut vault = group.shift_remove("@Vault").unwrap_or(Value::Null);
    default_vault(&mut vault);
    let secrets = group.shift_remove("@Secrets").unwrap_or(Value::Null);
    ports(group);
    for task in children(group, "Tasks") {
        if let Some(resources) = child(task, "Resources") {
            ports(resources);
        }
        for template in children(task, "Templates") {
            default_template(template);
        }
        if let Some(own) = task.get_mut("Vault") {
            default_vault(own);
        }
        for inherited in [&vault, job_vault] {
            if is_null(task, "Vault") {
                task.insert("Vault".to_owned(), inherited.clone());
            }
        }
        // Nomad doubles a task's own secrets when its group has some, and then refuses the job; the group's are
        // added here.
        for inherited in [&secrets, job_secrets] {
            if let Value::Array(more) = inherited {
                match task.get_mut("Secrets") {
                    Some(Value::Array(own)) => own.extend(more.iter().cloned()),
                    _ => {
                        task.insert("Secrets".to_owned(), inherited.clone());
                    }
                }
            }
        }
        default_identity(task);
    }
}

/// Ports with a number are reserved, the others are found when the job is placed. Nomad: what was written as reserved is
/// lost when there are ports.
fn ports(parent: &mut Object) {
    for network in children(parent, "Networks") {
        let Some(Value::Array(all)) = network.get_mut("DynamicPorts").map(Value::take) else {
            continue;
        };
        let fixed = |port: &Value| port.get("Value").and_then(Value::as_i64).unwrap_or(0) > 0;
        let (reserved, dynamic): (Vec<Value>, Vec<Value>) = all.into_iter().partition(fixed);
        network.insert("DynamicPorts".to_owned(), list_or_null(dynamic));
        network.insert("ReservedPorts".to_owned(), list_or_null(reserved));
    }
}

fn list_or_null(list: Vec<Value>) -> Value {
    if list.is_empty() { Value::Null } else { Value::Array(list) }
}

fn default_vault(vault: &mut Value) {
    if let Value::Object(vault) = vault {
        default(vault, "Env", true);
        default(vault, "DisableFile", false);
        default(vault, "ChangeMode", "restart");
    }
}

fn default_template(template: &mut Object) {
    const FIVE_SECONDS: i64 = 5_000_000_000;
    default(template, "ChangeMode", "restart");
    default(template, "Perms", "0644");
    default(template, "Splay", FIVE_SECONDS);
    default(template, "ErrMissingKey", false);
    if let Some(script) = child(template, "ChangeScript") {
        default(script, "Args", Vec::<String>::new());
        default(script, "Timeout", FIVE_SECONDS);
        default(script, "FailOnError", false);
    }
}

/// The identity without a name stands apart, because agents before 1.7 know only that one.
fn default_identity(task: &mut Object) {
    let Some(Value::Array(identities)) = task.get_mut("Identities") else { return };
    let unnamed = |identity: &Value| {
        matches!(identity.get("Name").and_then(Value::as_str), Some("" | "default"))
    };
    if let Some(index) = identities.iter().position(unnamed) {
        let identity = identities.remove(index);
        task.insert("Identity".to_owned(), identity);
    }
}

fn default(object: &mut Object, field: &str, value: impl Into<Value>) {
    if is_null(object, field) {
        object.insert(field.to_owned(), value.into());
    }
}

fn is_null(object: &Object, field: &str) -> bool {
    object.get(field).is_none_or(Value::is_null)
}

fn child<'o>(object: &'o mut Object, field: &str) -> Option<&'o mut Object> {
    object.get_mut(field).and_then(Value::as_object_mut)
}

fn children<'o>(object: &'o mut Object, field: &str) -> impl Iterator<Item = &'o mut Object> {
    object
        .get_mut(field)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
}
