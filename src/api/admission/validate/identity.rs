//! ◆ Rules of identities, Vault and secrets.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::api::admission::Errors;
use crate::model::Task;
use crate::model::task::WorkloadIdentity;

/// All that is wrong with a task's identities.
pub(super) fn identities(task: &Task, errors: &mut Errors) {
    for identity in task.identity.iter().chain(&task.identities) {
        errors.nest(&format!("Identity \"{}\" is invalid", identity.name), &one(identity));
    }
}

/// All that is wrong with an identity.
pub(super) fn one(identity: &WorkloadIdentity) -> Errors {
    let mut errors = Errors::default();
    let name = identity.name.as_str();
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let valid = (1..=128).contains(&name.len()) && name.chars().all(known);
    errors.check(valid || !identity.service_name.is_empty(), || {
        format!("invalid name \"{name}\". Must match regex ^[a-zA-Z0-9-_]{{1,128}}$")
    });
    errors.check(identity.audience.iter().all(|audience| !audience.is_empty()), || {
        "an empty string is an invalid audience".to_owned()
    });
    match identity.change_mode.as_str() {
        "" | "noop" | "restart" => {}
        "signal" => errors.check(!identity.change_signal.is_empty(), || {
            "change_signal must be specified when using change_mode=\"signal\"".to_owned()
        }),
        other => errors.push(format!("invalid change_mode \"{other}\"")),
    }
    errors.check(identity.change_mode == "signal" || identity.change_signal.is_empty(), || {
        "can only use change_signal=\"\" with change_mode=\"signal\"".to_owned()
    });
    errors.check(identity.file || identity.filepath.is_empty(), || {
        "file parameter must be true in order to specify filepath".to_owned()
    });
    errors.check(identity.ttl.0 >= 0, || format!("ttl must be >= 0 but found {}", identity.ttl.0));
    errors.check(name != "default" || identity.ttl.0 == 0, || {
        "ttl for default identity not yet supported".to_owned()
    });
    errors
}

/// All that is wrong with how a task asks for a Vault token.
pub(super) fn vault(task: &Task, errors: &mut Errors) {
    let Some(vault) = &task.vault else { return };
    let mut found = Errors::default();
    let text = |key: &str| vault[key].as_str().unwrap_or_default();
    match text("ChangeMode") {
        "noop" | "restart" => {}
        "signal" => found.check(!text("ChangeSignal").is_empty(), || {
            "Signal must be specified when using change mode \"signal\"".to_owned()
        }),
        other => found.push(format!("Unknown change mode \"{other}\"")),
    }
    errors.nest("Vault validation failed", &found);
}

/// All that is wrong with a task's secrets.
pub(super) fn secrets(task: &Task, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for secret in &task.secrets {
        let text = |key: &str| secret[key].as_str().unwrap_or_default();
        let name = text("Name");
        errors.check(seen.insert(name), || format!("Duplicate secret \"{name}\" found"));
        errors.check(text("Provider") != "vault" || task.vault.is_some(), || {
            format!("Secret \"{name}\" has provider \"vault\" but no vault block")
        });
        errors.nest(&format!("Secret \"{name}\" is invalid"), &self::secret(secret));
    }
}

fn secret(secret: &Value) -> Errors {
    let mut errors = Errors::default();
    let text = |key: &str| secret[key].as_str().unwrap_or_default();
    let filled = |key: &str| secret[key].as_object().is_some_and(|map| !map.is_empty());
    let name = text("Name");
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_';
    errors.check((1..=128).contains(&name.len()) && name.chars().all(known), || {
        "secret name must match regex ^[a-zA-Z0-9_]{1,128}$".to_owned()
    });
    errors.check(!text("Provider").is_empty(), || "secret provider cannot be empty".to_owned());
    errors.check(!text("Path").is_empty(), || "secret path cannot be empty".to_owned());
    match text("Provider") {
        "" => {}
        provider @ ("nomad" | "vault") => {
            errors
                .check(!filled("Env"), || format!("{provider} provider cannot use the env block"));
        }
        plugin => errors.check(!filled("Config"), || {
            format!("custom plugin provider {plugin} cannot use the config block")
        }),
    }
    errors
}
