//! ◇ `container` (also `docker`) and `exec`: tasks with a root filesystem, namespaces and a posture of their own.
//!
//! ```text
//! config.rs ◆, chroot.rs ◆   config map → ContainerPlan            (agent)
//! rootfs.rs ◇                a private mount namespace, the root and the binds in it   (shim)
//! spec.rs ◆                  plan, context, user → OCI spec; caps.rs ◆, seccomp.rs ◆
//! runtime.rs ◇               libcontainer: create, start, exec     (shim)
//! ```
//!
//! Everything is mounted in the shim's own mount namespace: the host never sees a container's mounts, and they
//! are gone with the last process of shim and task, however those end. The image's layers are overlaid, never
//! copied; what the task writes goes to `upper` in its state directory and is removed with it.
//!
//! Posture: Docker's capabilities, seccomp profile, masked and read-only paths, and `no_new_privileges`, which
//! Docker leaves off (`security_opt = ["no-new-privileges=false"]` does too). Devices are allowed by list: on
//! cgroup v1 by its controller, on v2 by a BPF program. Where the kernel has no such programs, a container has no
//! `CAP_MKNOD` and its root is mounted `nodev`, so the nodes it is given are all it has.

mod caps;
pub(super) mod chroot;
pub(super) mod config;
mod etc;
mod executor;
pub(super) mod mounts;
pub(super) mod plan;
mod rootfs;
pub(super) mod runtime;
mod seccomp;
pub(super) mod setup;
mod spec;

use std::collections::BTreeMap;

use super::Fingerprint;
use super::cgroup::Layout;

/// What both isolated drivers need of the node.
pub(super) fn fingerprint(name: &str) -> Fingerprint {
    let missing = missing();
    let mut attributes = BTreeMap::new();
    if missing.is_none() {
        attributes.insert(format!("driver.{name}"), "1".to_owned());
        if name == "docker" {
            attributes
                .insert("driver.docker.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        }
    }
    Fingerprint {
        attributes,
        detected: missing.is_none(),
        healthy: missing.is_none(),
        description: missing.unwrap_or_else(|| "Healthy".to_owned()),
    }
}

/// The first thing that keeps containers from running here.
fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("the agent does not run as root".to_owned());
    }
    for namespace in ["pid", "mnt", "ipc", "uts", "net"] {
        if !std::path::Path::new("/proc/self/ns").join(namespace).exists() {
            return Some(format!("the kernel has no {namespace} namespaces"));
        }
    }
    let release = nix::sys::utsname::uname().ok().map(|name| name.release().to_owned());
    if release
        .and_then(|release| version_of(release.to_str()?))
        .is_none_or(|version| version < (5, 12))
    {
        return Some("containers need Linux 5.12 or newer".to_owned());
    }
    if let Err(error) = rootfs::probe_overlay() {
        return Some(format!("the kernel has no overlayfs: {error}"));
    }
    Layout::detect().err().map(|error| error.to_string())
}

/// The first two numbers of a kernel release.
fn version_of(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn releases_compare_by_number() {
        assert_eq!(super::version_of("6.1.0-9-amd64"), Some((6, 1)));
        assert_eq!(super::version_of("5.9-rc1"), Some((5, 9)));
        assert_eq!(super::version_of("x"), None);
    }
}
