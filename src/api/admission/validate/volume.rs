//! ◆ Rules of volumes and where they are mounted.

use crate::api::admission::Errors;
use crate::model::volume::{VolumeMount, VolumeRequest};
use crate::model::{Job, JobType, TaskGroup};

/// All that is wrong with what a group asks of a volume.
pub(super) fn request(request: &VolumeRequest, job: &Job, group: &TaskGroup) -> Errors {
    let mut errors = Errors::default();
    errors.check(!request.source.is_empty(), || "volume has an empty source".to_owned());
    if request.per_alloc {
        errors.check(matches!(job.kind, JobType::Service | JobType::Batch), || {
            "volume cannot be per_alloc for system or sysbatch jobs".to_owned()
        });
        errors.check(group.update.as_ref().is_none_or(|update| update.canary == 0), || {
            "volume cannot be per_alloc when canaries are in use".to_owned()
        });
        errors.check(!request.sticky, || {
            "volume cannot be per_alloc and sticky at the same time".to_owned()
        });
    }
    if request.kind == "host" {
        host(request, &mut errors);
    } else {
        csi(request, group.count, &mut errors);
    }
    errors
}

fn host(request: &VolumeRequest, errors: &mut Errors) {
    const MODES: [&str; 5] = [
        "",
        "single-node-reader-only",
        "single-node-writer",
        "single-node-single-writer",
        "single-node-multi-writer",
    ];
    errors.check(request.mount_options.is_none(), || {
        "host volumes cannot have mount options".to_owned()
    });
    errors.check(MODES.contains(&request.access_mode.as_str()), || {
        format!("host volumes cannot be mounted with {} access mode", request.access_mode)
    });
    errors.check(request.access_mode != "single-node-reader-only" || request.read_only, || {
        format!("{} volumes must be read-only", request.access_mode)
    });
}

fn csi(request: &VolumeRequest, count: i64, errors: &mut Errors) {
    let (access, attachment) = (request.access_mode.as_str(), request.attachment_mode.as_str());
    match attachment {
        "" => errors.push("CSI volumes must have an attachment mode"),
        "file-system" => {}
        "block-device" => errors.check(request.mount_options.is_none(), || {
            "block devices cannot have mount options".to_owned()
        }),
        _ => errors.push(format!("CSI volumes have no attachment mode \"{attachment}\"")),
    }
    match access {
        "" => errors.push("CSI volumes must have an access mode"),
        "single-node-reader-only" => {
            errors.check(request.read_only, || format!("{access} volumes must be read-only"));
            errors.check(count <= 1 || request.per_alloc, || {
                format!("volume with {access} access mode allows only one reader")
            });
        }
        "single-node-writer" => errors.check(count <= 1 || request.per_alloc, || {
            format!("volume with {access} access mode allows only one reader or writer")
        }),
        "multi-node-reader-only" => {
            errors.check(request.read_only, || format!("{access} volumes must be read-only"));
        }
        "multi-node-single-writer" | "multi-node-multi-writer" => {}
        _ => errors.push(format!("CSI volumes cannot be mounted with {access} access mode")),
    }
}

/// All that is wrong with where a task sees volumes.
pub(super) fn mounts(mounts: &[VolumeMount], group: &TaskGroup, errors: &mut Errors) {
    for (at, mount) in mounts.iter().enumerate() {
        let found = self::mount(mount);
        errors.check(found.is_empty(), || {
            format!("Volume Mount ({at}) is invalid: \"{}\"", found.text())
        });
        errors.check(group.volumes.contains_key(&mount.volume), || {
            format!("Volume Mount ({at}) references undefined volume {}", mount.volume)
        });
    }
}

fn mount(mount: &VolumeMount) -> Errors {
    let mut errors = Errors::default();
    let propagation = mount.propagation_mode.as_str();
    errors.check(["", "private", "host-to-task", "bidirectional"].contains(&propagation), || {
        format!("volume mount has an invalid propagation mode: \"{propagation}\"")
    });
    errors.check(["", "z", "Z"].contains(&mount.selinux_label.as_str()), || {
        format!("volume mount has an invalid SELinux label: \"{}\"", mount.selinux_label)
    });
    errors
}
