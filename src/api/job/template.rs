//! ◆ Templates and artifacts as clients send them.

use serde::{Deserialize, Serialize};

use super::{Dict, List};
use crate::model::{Nanos, task};

/// A file rendered for a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Template {
    pub source_path: Option<String>,
    pub dest_path: Option<String>,
    pub embedded_tmpl: Option<String>,
    pub change_mode: Option<String>,
    pub change_script: Option<ChangeScript>,
    pub change_signal: Option<String>,
    pub once: Option<bool>,
    pub splay: Option<i64>,
    pub perms: Option<String>,
    pub uid: Option<i64>,
    pub gid: Option<i64>,
    pub left_delim: Option<String>,
    pub right_delim: Option<String>,
    pub envvars: Option<bool>,
    pub vault_grace: Option<i64>,
    pub wait: Option<WaitConfig>,
    pub err_missing_key: Option<bool>,
}

/// The script that is run when a template changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ChangeScript {
    pub command: Option<String>,
    pub args: List<String>,
    pub timeout: Option<i64>,
    pub fail_on_error: Option<bool>,
    pub run_on_first_render: Option<bool>,
}

/// How long changes are gathered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WaitConfig {
    pub min: Option<i64>,
    pub max: Option<i64>,
}

/// What is downloaded before a task starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskArtifact {
    pub getter_source: Option<String>,
    pub getter_options: Dict<String>,
    pub getter_headers: Dict<String>,
    pub getter_mode: Option<String>,
    pub getter_insecure: Option<bool>,
    pub relative_dest: Option<String>,
    pub chown: bool,
}

impl Template {
    pub(super) fn canonical(self) -> task::Template {
        let text = |given: Option<String>, default: &str| given.unwrap_or_else(|| default.into());
        let mode = text(self.change_mode, "restart");
        let signal = if mode == "signal" { "SIGHUP" } else { "" };
        task::Template {
            source_path: text(self.source_path, ""),
            dest_path: text(self.dest_path, ""),
            embedded_tmpl: text(self.embedded_tmpl, ""),
            change_signal: text(self.change_signal, signal).to_uppercase(),
            change_mode: mode,
            change_script: self.change_script.map(ChangeScript::canonical),
            once: self.once.unwrap_or_default(),
            splay: Nanos(self.splay.unwrap_or(5_000_000_000)),
            perms: text(self.perms, "0644"),
            uid: self.uid,
            gid: self.gid,
            left_delim: text(self.left_delim, "{{"),
            right_delim: text(self.right_delim, "}}"),
            envvars: self.envvars.unwrap_or_default(),
            vault_grace: Nanos(self.vault_grace.unwrap_or_default()),
            wait: self.wait.map(|wait| task::WaitConfig {
                min: wait.min.map(Nanos),
                max: wait.max.map(Nanos),
            }),
            err_missing_key: self.err_missing_key.unwrap_or_default(),
        }
    }
}

impl ChangeScript {
    fn canonical(self) -> task::ChangeScript {
        task::ChangeScript {
            command: self.command.unwrap_or_default(),
            args: self.args.unwrap_or_default(),
            timeout: Nanos(self.timeout.unwrap_or(5_000_000_000)),
            fail_on_error: self.fail_on_error.unwrap_or_default(),
            run_on_first_render: self.run_on_first_render.unwrap_or_default(),
        }
    }
}

impl TaskArtifact {
    pub(super) fn canonical(self) -> task::TaskArtifact {
        let source = self.getter_source.unwrap_or_default();
        let mode = self.getter_mode.unwrap_or_else(|| "any".to_owned());
        let destination = self.relative_dest.unwrap_or_else(|| {
            let name = source.rsplit('/').next().unwrap_or_default();
            if mode == "file" { format!("local/{name}") } else { "local/".to_owned() }
        });
        task::TaskArtifact {
            getter_source: source,
            getter_options: self.getter_options.unwrap_or_default(),
            getter_headers: self.getter_headers.unwrap_or_default(),
            getter_mode: mode,
            getter_insecure: self.getter_insecure.unwrap_or_default(),
            relative_dest: destination,
            chown: self.chown,
        }
    }
}
