//! ◆ `volumes` and `mount` of the docker config: whose content may be shown where.

use std::path::{Component, Path, PathBuf};

use super::plan::{PlannedMount, Source};
use crate::driver::DriverError;
use crate::driver::config::{Keys, Schema};

const DRIVER: &str = "docker";

const MOUNT: Schema = Schema {
    driver: DRIVER,
    known: &["type", "target", "source", "readonly", "bind_options", "tmpfs_options"],
    unsupported: &[("volume_options", "there are no Docker volumes; use a host volume")],
};
const BIND: Schema = Schema { driver: DRIVER, known: &["propagation"], unsupported: &[] };
const TMPFS: Schema = Schema { driver: DRIVER, known: &["size", "mode"], unsupported: &[] };

const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

/// All mounts of a config. `host_paths` is whether the node's owner allows paths outside the allocation.
pub(super) fn planned(
    keys: &Keys<'_>,
    host_paths: HostPaths,
) -> Result<Vec<PlannedMount>, DriverError> {
    let mut mounts = Vec::new();
    for volume in keys.texts("volumes")? {
        mounts.push(volume_of(keys, &volume, host_paths)?);
    }
    for key in ["mount", "mounts"] {
        for block in keys.blocks(key, &MOUNT)? {
            mounts.push(mount_of(&block, host_paths)?);
        }
    }
    Ok(mounts)
}

/// Whether a container may be shown paths outside its allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostPaths {
    Allowed,
    Refused,
}

/// `source:target[:option,…]`
fn volume_of(keys: &Keys<'_>, volume: &str, host: HostPaths) -> Result<PlannedMount, DriverError> {
    let bad = |why: &str| keys.invalid("volumes", format!("`{volume}`: {why}"));
    let mut parts = volume.splitn(3, ':');
    let (Some(source), Some(target)) = (parts.next(), parts.next()) else {
        return Err(bad("must be source:target[:ro]"));
    };
    let mut mount = PlannedMount {
        source: source_of(source, host).map_err(|why| why.into_error(keys, "volumes", source))?,
        target: target_of(target).ok_or_else(|| bad("the target must be an absolute path"))?,
        read_only: false,
        propagation: None,
        make_source: true,
    };
    for option in parts.next().unwrap_or_default().split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => mount.read_only = true,
            // z, Z: labels of SELinux; nocopy: of Docker volumes. Without them there is nothing to do.
            "rw" | "z" | "Z" | "nocopy" | "delegated" | "cached" | "consistent" => {}
            other if PROPAGATIONS.contains(&other) => mount.propagation = Some(other.to_owned()),
            other => return Err(bad(&format!("unknown option `{other}`"))),
        }
    }
    Ok(mount)
}

fn mount_of(block: &Keys<'_>, host: HostPaths) -> Result<PlannedMount, DriverError> {
    let target = block.required("target")?;
    let target =
        target_of(&target).ok_or_else(|| block.invalid("target", "must be an absolute path"))?;
    let read_only = block.flag("readonly")?;
    let mut mount = PlannedMount {
        source: Source::Tmpfs { size: None, mode: None },
        target,
        read_only,
        propagation: None,
        make_source: false,
    };
    // Nomad: a mount without a type is a Docker volume.
    match block.text("type")?.as_deref() {
        Some("bind") => {
            let source = block.required("source")?;
            mount.source =
                source_of(&source, host).map_err(|why| why.into_error(block, "source", &source))?;
            for options in block.blocks("bind_options", &BIND)? {
                mount.propagation = propagation_of(&options)?;
            }
        }
        Some("tmpfs") => {
            for options in block.blocks("tmpfs_options", &TMPFS)? {
                let mode = options.natural("mode")?.and_then(|mode| u32::try_from(mode).ok());
                mount.source = Source::Tmpfs { size: options.natural("size")?, mode };
            }
        }
        Some("volume") | None => {
            return Err(DriverError::Unsupported {
                driver: DRIVER,
                key: "mount.type".to_owned(),
                why: "there are no Docker volumes; use a host volume, or type `bind` or `tmpfs`",
            });
        }
        Some(other) => {
            return Err(block.invalid("type", format!("`{other}` is none of bind, tmpfs")));
        }
    }
    Ok(mount)
}

fn propagation_of(options: &Keys<'_>) -> Result<Option<String>, DriverError> {
    match options.text("propagation")? {
        Some(name) if PROPAGATIONS.contains(&name.as_str()) => Ok(Some(name)),
        Some(name) if name.is_empty() => Ok(None),
        Some(_) => {
            Err(options
                .invalid("propagation", format!("must be one of {}", PROPAGATIONS.join(", "))))
        }
        None => Ok(None),
    }
}

enum Refused {
    NotAllowed,
    LeadsOut,
}

impl Refused {
    fn into_error(self, keys: &Keys<'_>, key: &str, source: &str) -> DriverError {
        match self {
            Self::NotAllowed => DriverError::NotAllowed {
                driver: DRIVER,
                what: format!("mount of host path {source}"),
                setting: "volumes { enabled = true }",
            },
            Self::LeadsOut => keys.invalid(key, format!("`{source}` leads out of the allocation")),
        }
    }
}

/// Nomad: a relative source is below the task's directory, and may go over to the shared one.
fn source_of(text: &str, host: HostPaths) -> Result<Source, Refused> {
    let path = Path::new(text);
    if path.is_absolute() {
        return match host {
            HostPaths::Allowed => Ok(Source::Host(path.to_path_buf())),
            HostPaths::Refused => Err(Refused::NotAllowed),
        };
    }
    let mut clean = PathBuf::new();
    let mut above = 0;
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir if clean.pop() => {}
            Component::ParentDir => above += 1,
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    match (above, clean.strip_prefix("alloc")) {
        (0, _) => Ok(Source::Task(clean)),
        (1, Ok(shared)) => Ok(Source::Shared(shared.to_path_buf())),
        _ => Err(Refused::LeadsOut),
    }
}

/// Absolute and without `..`.
fn target_of(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let plain = path.components().all(|part| !matches!(part, Component::ParentDir));
    (path.is_absolute() && plain && path.parent().is_some()).then(|| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const SCHEMA: Schema =
        Schema { driver: DRIVER, known: &["volumes", "mount", "mounts"], unsupported: &[] };

    fn plan(config: &Value, host: HostPaths) -> Result<Vec<PlannedMount>, DriverError> {
        planned(&Keys::check(&SCHEMA, config.as_object().unwrap()).unwrap(), host)
    }

    #[test]
    fn relative_sources_stay_in_the_allocation() {
        let config = json!({"volumes": ["local/www:/www:ro", "../alloc/data:/data", "a/../b:/b"]});
        let mounts = plan(&config, HostPaths::Refused).unwrap();
        assert_eq!(mounts[0].source, Source::Task("local/www".into()));
        assert!(mounts[0].read_only && mounts[0].make_source);
        assert_eq!(mounts[1].source, Source::Shared("data".into()));
        assert_eq!(mounts[2].source, Source::Task("b".into()));
        for outside in ["../x:/x", "../../alloc:/x", "a/../../b:/x"] {
            let error = plan(&json!({"volumes": [outside]}), HostPaths::Allowed).unwrap_err();
            assert!(error.to_string().contains("leads out of the allocation"), "{error}");
        }
    }

    #[test]
    fn host_paths_need_the_owners_consent() {
        let config = json!({"volumes": ["/srv:/srv"]});
        let error = plan(&config, HostPaths::Refused).unwrap_err().to_string();
        assert!(error.contains("`volumes { enabled = true }`"), "{error}");
        assert_eq!(
            plan(&config, HostPaths::Allowed).unwrap()[0].source,
            Source::Host("/srv".into())
        );
    }

    #[test]
    fn mount_blocks_bind_or_make_a_tmpfs() {
        let config = json!({"mount": [
            {"type": "bind", "source": "local", "target": "/l", "readonly": true,
             "bind_options": [{"propagation": "rslave"}]},
            {"type": "tmpfs", "target": "/t", "tmpfs_options": [{"size": 1000, "mode": 448}]},
        ]});
        let mounts = plan(&config, HostPaths::Refused).unwrap();
        assert_eq!(mounts[0].propagation.as_deref(), Some("rslave"));
        assert_eq!(mounts[1].source, Source::Tmpfs { size: Some(1000), mode: Some(448) });
        let volume = json!({"mount": [{"type": "volume", "target": "/v", "source": "x"}]});
        let error = plan(&volume, HostPaths::Allowed).unwrap_err().to_string();
        assert!(error.contains("use a host volume"), "{error}");
    }

    #[test]
    fn a_target_is_absolute_and_not_the_root() {
        for bad in ["x:rel", "x:/", "x:/a/../b", "x"] {
            assert!(plan(&json!({"volumes": [bad]}), HostPaths::Refused).is_err(), "{bad}");
        }
    }
}
