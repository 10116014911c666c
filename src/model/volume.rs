//! ◆ Volumes that a group asks for and where its tasks see them.

use serde::{Deserialize, Serialize};

use super::go;

/// A volume a group asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "Nomad's request has these flags")]
pub struct VolumeRequest {
    /// Its name in the group.
    pub name: String,
    /// `host` or `csi`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The volume.
    pub source: String,
    /// Whether it is not written.
    pub read_only: bool,
    /// Whether the allocation stays with the volume it got.
    pub sticky: bool,
    /// How many may read and write it.
    pub access_mode: String,
    /// File system or block device.
    pub attachment_mode: String,
    /// How it is mounted.
    pub mount_options: Option<MountOptions>,
    /// Whether each allocation has its own, by index.
    pub per_alloc: bool,
}

/// How a CSI volume is mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountOptions {
    /// The file system.
    #[serde(rename = "FSType")]
    pub fs_type: String,
    /// Mount flags.
    #[serde(with = "go")]
    pub mount_flags: Vec<String>,
}

/// Where a task sees a volume of its group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeMount {
    /// The volume's name in the group.
    pub volume: String,
    /// Where.
    pub destination: String,
    /// Whether it is not written.
    pub read_only: bool,
    /// `private`, `host-to-task` or `bidirectional`.
    pub propagation_mode: String,
    /// `SELinux` label.
    #[serde(rename = "SELinuxLabel")]
    pub selinux_label: String,
}
