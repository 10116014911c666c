//! ◇ Kernel, distribution, memory, disk.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;

/// Bytes of memory.
pub(super) fn memory_bytes(root: &Path) -> i64 {
    let info = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    info.lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|kib| kib.trim().parse::<i64>().ok())
        .map_or(0, |kib| kib * 1024)
}

pub(super) fn attributes(root: &Path) -> Vec<(&'static str, String)> {
    let uname = nix::sys::utsname::uname().ok();
    let of = |part: Option<&std::ffi::OsStr>| {
        part.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let release = fs::read_to_string(root.join("etc/os-release")).unwrap_or_default();
    let machine_id = fs::read_to_string(root.join("etc/machine-id")).unwrap_or_default();
    vec![
        ("kernel.name", "linux".to_owned()),
        ("kernel.version", of(uname.as_ref().map(nix::sys::utsname::UtsName::release))),
        ("kernel.arch", of(uname.as_ref().map(nix::sys::utsname::UtsName::machine))),
        ("unique.hostname", of(uname.as_ref().map(nix::sys::utsname::UtsName::nodename))),
        ("unique.host_id", machine_id.trim().to_owned()),
        ("os.name", os_release(&release, "ID")),
        ("os.version", os_release(&release, "VERSION_ID")),
        ("os.signals", signals()),
        ("os.cgroups.version", cgroups_version(root).to_owned()),
    ]
}

/// A field of os-release(5).
fn os_release(text: &str, key: &str) -> String {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .map(|value| value.trim().trim_matches(['"', '\'']).to_owned())
        .unwrap_or_default()
}

fn signals() -> String {
    let names: Vec<&str> = Signal::iterator().map(Signal::as_str).collect();
    names.join(",")
}

/// Nomad: `2` only where nothing of version 1 is mounted.
fn cgroups_version(root: &Path) -> &'static str {
    if root.join("sys/fs/cgroup/cgroup.controllers").exists() { "2" } else { "1" }
}

/// The file system allocations are kept on.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub device: String,
    pub total: i64,
    pub free: i64,
}

pub(super) fn disk(dir: &Path) -> Disk {
    // The directory may not exist yet; the one it will be made in does.
    let Some(dir) = dir.ancestors().find(|dir| dir.exists()) else { return Disk::default() };
    let Ok(stat) = nix::sys::statvfs::statvfs(dir) else { return Disk::default() };
    let bytes = |blocks: u64| {
        i64::try_from(blocks.saturating_mul(stat.fragment_size())).unwrap_or(i64::MAX)
    };
    Disk {
        device: device(dir).unwrap_or_default(),
        total: bytes(stat.blocks()),
        free: bytes(stat.blocks_available()),
    }
}

/// What is mounted where `dir` is.
fn device(dir: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let id = fs::metadata(dir).ok()?.dev();
    let (major, minor) = (nix::sys::stat::major(id), nix::sys::stat::minor(id));
    let wanted = format!("{major}:{minor}");
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = table.lines().find(|line| line.split(' ').nth(2) == Some(wanted.as_str()))?;
    line.split_once(" - ")?.1.split(' ').nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_read_with_and_without_quotes() {
        let text = "NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"12\"\n";
        assert_eq!(os_release(text, "ID"), "debian");
        assert_eq!(os_release(text, "VERSION_ID"), "12");
        assert_eq!(os_release(text, "NOPE"), "");
    }

    #[test]
    fn the_usual_signals_are_offered() {
        let list = signals();
        assert!(list.split(',').any(|name| name == "SIGTERM") && list.contains("SIGUSR1"));
    }
}
