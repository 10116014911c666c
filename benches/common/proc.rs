//! Processes and cgroups of peers, found where the kernel shows them.

use std::path::Path;

/// Every process whose network namespace is that process's.
pub(crate) fn sharing_network(of: u32) -> Vec<u32> {
    let namespace = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let Some(wanted) = namespace(of) else { return Vec::new() };
    all().into_iter().filter(|pid| namespace(*pid).as_ref() == Some(&wanted)).collect()
}

/// Every process there is.
pub(crate) fn all() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Removes that cgroup of the root in every hierarchy, with the empty ones below it.
pub(crate) fn remove_cgroups(name: &str) {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = std::fs::read_dir(root).into_iter().flatten().flatten();
    for dir in hierarchies.map(|entry| entry.path()).chain([root.to_owned()]) {
        remove_below(&dir.join(name));
    }
}

fn remove_below(dir: &Path) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_below(&entry.path());
    }
    drop(std::fs::remove_dir(dir));
}
