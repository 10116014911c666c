//! ◆ Volumes as clients send them.

use serde::{Deserialize, Serialize};

use super::List;
use crate::model::volume;

/// A volume a group asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "Nomad's request has these flags")]
pub struct VolumeRequest {
    pub name: String,
    #[serde(rename = "Type")]
    pub kind: String,
    pub source: String,
    pub read_only: bool,
    pub sticky: bool,
    pub access_mode: String,
    pub attachment_mode: String,
    pub mount_options: Option<MountOptions>,
    pub per_alloc: bool,
}

/// How a CSI volume is mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountOptions {
    #[serde(rename = "FSType")]
    pub fs_type: String,
    pub mount_flags: List<String>,
}

/// Where a task sees a volume of its group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeMount {
    pub volume: Option<String>,
    pub destination: Option<String>,
    pub read_only: Option<bool>,
    pub propagation_mode: Option<String>,
    #[serde(rename = "SELinuxLabel")]
    pub selinux_label: Option<String>,
}

impl VolumeRequest {
    pub(super) fn canonical(self) -> volume::VolumeRequest {
        volume::VolumeRequest {
            name: self.name,
            kind: self.kind,
            source: self.source,
            read_only: self.read_only,
            sticky: self.sticky,
            access_mode: self.access_mode,
            attachment_mode: self.attachment_mode,
            mount_options: self.mount_options.map(|options| volume::MountOptions {
                fs_type: options.fs_type,
                mount_flags: options.mount_flags.unwrap_or_default(),
            }),
            per_alloc: self.per_alloc,
        }
    }
}

impl VolumeMount {
    pub(super) fn canonical(self) -> volume::VolumeMount {
        volume::VolumeMount {
            volume: self.volume.unwrap_or_default(),
            destination: self.destination.unwrap_or_default(),
            read_only: self.read_only.unwrap_or_default(),
            propagation_mode: self.propagation_mode.unwrap_or_else(|| "private".to_owned()),
            selinux_label: self.selinux_label.unwrap_or_default(),
        }
    }
}
