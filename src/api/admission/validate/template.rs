//! ◆ Rules of templates, artifacts and dispatch payloads: what is written into a task's directory.

use std::collections::HashMap;

use crate::api::admission::Errors;
use crate::api::{duration, number};
use crate::model::task::{TaskArtifact, Template};

const ESCAPES: &str = "destination escapes allocation directory";

/// How far below the allocation's directory a task's directory begins.
const TASK_DEPTH: i64 = 2;

/// Whether a path relative to a directory `depth` levels below the allocation's parent leads out of the
/// allocation. Nomad: interpolations count as one level.
pub(super) fn escapes(path: &str, depth: i64) -> bool {
    let mut level = depth;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => level -= 1,
            _ => level += 1,
        }
        if level < 1 {
            return true;
        }
    }
    false
}

/// All that is wrong with templates.
pub(super) fn templates(templates: &[Template], errors: &mut Errors) {
    let mut destinations: HashMap<&str, usize> = HashMap::new();
    for (at, template) in templates.iter().enumerate() {
        let number = at + 1;
        errors.nest(&format!("Template {number} validation failed"), &one(template));
        let destination = template.dest_path.as_str();
        if destination.is_empty() {
            continue;
        }
        if let Some(first) = destinations.insert(destination, number) {
            errors.push(format!("Template {number} has same destination as {first}"));
        }
    }
}

fn one(template: &Template) -> Errors {
    let mut errors = Errors::default();
    errors.check(!template.source_path.is_empty() || !template.embedded_tmpl.is_empty(), || {
        "Must specify a source path or have an embedded template".to_owned()
    });
    if template.dest_path.is_empty() {
        errors.push("Must specify a destination for the template");
    } else {
        errors.check(!escapes(&template.dest_path, TASK_DEPTH), || ESCAPES.to_owned());
    }
    match template.change_mode.as_str() {
        "noop" | "restart" => {}
        "signal" => {
            errors.check(!template.change_signal.is_empty(), || {
                "Must specify signal value when change mode is signal".to_owned()
            });
            errors.check(!template.envvars, || {
                "cannot use signals with env var templates".to_owned()
            });
        }
        "script" => match &template.change_script {
            None => {
                errors.push(
                    "must specify change script configuration value when change mode is script",
                );
            }
            Some(script) => errors.check(!script.command.is_empty(), || {
                "must specify change script command value when change mode is script".to_owned()
            }),
        },
        _ => errors.push(
            "Invalid change mode. Must be one of the following: noop, signal, script, restart",
        ),
    }
    errors.check(template.splay.0 >= 0, || "Must specify positive splay value".to_owned());
    if !template.perms.is_empty()
        && let Err(error) = number::parse_mode(&template.perms)
    {
        errors.push(format!("Failed to parse \"{}\" as octal: {error}", template.perms));
    }
    if let Some((min, max)) = template.wait.as_ref().and_then(|wait| Some((wait.min?, wait.max?))) {
        errors.check(min <= max, || {
            format!(
                "wait min {} is greater than max {}",
                duration::format(min),
                duration::format(max)
            )
        });
    }
    errors
}

/// All that is wrong with artifacts.
pub(super) fn artifacts(artifacts: &[TaskArtifact], errors: &mut Errors) {
    for (at, artifact) in artifacts.iter().enumerate() {
        errors.nest(&format!("Artifact {} validation failed", at + 1), &self::artifact(artifact));
    }
}

fn artifact(artifact: &TaskArtifact) -> Errors {
    let mut errors = Errors::default();
    errors.check(!artifact.getter_source.is_empty(), || "source must be specified".to_owned());
    let mode = artifact.getter_mode.as_str();
    errors.check(["", "any", "file", "dir"].contains(&mode), || {
        format!("invalid artifact mode \"{mode}\"; must be one of: any, file, dir")
    });
    errors.check(!escapes(&artifact.relative_dest, TASK_DEPTH), || ESCAPES.to_owned());
    if let Some(checksum) = artifact.getter_options.get("checksum")
        && let Err(why) = self::checksum(checksum)
    {
        errors.push(why);
    }
    errors
}

fn checksum(checksum: &str) -> Result<(), String> {
    if checksum.contains("${") {
        return Ok(());
    }
    let Some((kind, value)) = checksum.trim().split_once(':') else {
        return Err("checksum must be given as \"type:value\" in hexadecimal".to_owned());
    };
    let bytes = match kind {
        "md5" => 16,
        "sha1" => 20,
        "sha256" => 32,
        "sha512" => 64,
        _ => return Err(format!("unsupported checksum type: {kind}")),
    };
    if let Some(bad) = value.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(format!("invalid checksum: encoding/hex: invalid byte: {bad:?}"));
    }
    if !value.len().is_multiple_of(2) {
        return Err("invalid checksum: encoding/hex: odd length hex string".to_owned());
    }
    if value.len() / 2 != bytes {
        return Err(format!("invalid {kind} checksum: {value}"));
    }
    Ok(())
}
