//! ◇ The cgroup of one task: made, limited, joined, killed and removed, on cgroup v1, on the hybrid layout
//! (counted as v1: the controllers are there) and on v2.
//!
//! The task's cgroup is `<parent>/<alloc id>.<task>` in each hierarchy. libcontainer only joins what is made
//! here, so a container and a raw process are limited by the same few lines.

mod bpf;
pub(super) mod devices;
mod kill;
pub(super) mod limits;
pub(super) mod stats;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use nix::poll::{PollTimeout, poll};

use self::limits::{Limits, Setting, Version};

/// v1 controllers a task is put into. Others (blkio, devices, …) libcontainer joins by itself.
const CONTROLLERS: [&str; 6] = ["cpu", "cpuacct", "cpuset", "freezer", "memory", "pids"];

/// Where the cgroup filesystems are mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// Each mount with its controllers.
    V1(Vec<(Vec<String>, PathBuf)>),
    V2(PathBuf),
}

impl Layout {
    pub(super) fn detect() -> io::Result<Self> {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo")?;
        Self::parse(&mountinfo)
            .ok_or_else(|| io::Error::other("no cgroup filesystem is mounted below /sys/fs/cgroup"))
    }

    /// From the text of proc(5) mountinfo. A machine with any of the v1 controllers is v1.
    fn parse(mountinfo: &str) -> Option<Self> {
        let mut v1: Vec<(Vec<String>, PathBuf)> = Vec::new();
        let mut v2 = None;
        for line in mountinfo.lines() {
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let Some(point) = before.split(' ').nth(4) else { continue };
            let mut after = after.split(' ');
            let (kind, options) = (after.next(), after.nth(1).unwrap_or_default());
            match kind {
                Some("cgroup2") if v2.is_none() => v2 = Some(PathBuf::from(point)),
                Some("cgroup") => {
                    let controllers: Vec<String> = options
                        .split(',')
                        .filter(|option| CONTROLLERS.contains(option))
                        .map(str::to_owned)
                        .collect();
                    let known = v1.iter().any(|(have, _)| *have == controllers);
                    if !controllers.is_empty() && !known {
                        v1.push((controllers, PathBuf::from(point)));
                    }
                }
                Some(_) | None => {}
            }
        }
        if v1.is_empty() { v2.map(Self::V2) } else { Some(Self::V1(v1)) }
    }

    pub(super) fn version(&self) -> Version {
        match self {
            Self::V1(_) => Version::V1,
            Self::V2(_) => Version::V2,
        }
    }

    fn mounts(&self) -> Vec<&Path> {
        match self {
            Self::V1(mounts) => mounts.iter().map(|(_, mount)| mount.as_path()).collect(),
            Self::V2(mount) => vec![mount],
        }
    }

    fn mount_of(&self, controller: &str) -> Option<&Path> {
        match self {
            Self::V1(mounts) => mounts
                .iter()
                .find(|(controllers, _)| controllers.iter().any(|name| name == controller))
                .map(|(_, mount)| mount.as_path()),
            Self::V2(mount) => Some(mount),
        }
    }
}

/// One task's cgroup. It need not exist.
#[derive(Debug, Clone)]
pub(super) struct Cgroup {
    layout: Layout,
    /// Below each mount, without a leading slash.
    path: PathBuf,
}

impl Cgroup {
    pub(super) fn of(parent: &str, alloc_id: &str, task: &str) -> io::Result<Self> {
        Ok(Self { layout: Layout::detect()?, path: path_of(parent, alloc_id, task) })
    }

    /// As the OCI spec wants it.
    pub(super) fn absolute(&self) -> PathBuf {
        Path::new("/").join(&self.path)
    }

    pub(super) fn version(&self) -> Version {
        self.layout.version()
    }

    /// The directory of one controller, whether or not it exists.
    fn dir(&self, controller: &str) -> Option<PathBuf> {
        self.layout.mount_of(controller).map(|mount| mount.join(&self.path))
    }

    fn dirs(&self) -> Vec<PathBuf> {
        self.layout.mounts().into_iter().map(|mount| mount.join(&self.path)).collect()
    }

    /// Makes the cgroup and sets the limits. An existing one is used as it is and limited again.
    pub(super) fn create(&self, limits: &Limits) -> io::Result<()> {
        if let Layout::V2(mount) = &self.layout {
            delegate(mount, &self.path)?;
        }
        for dir in self.dirs() {
            fs::create_dir_all(&dir)?;
        }
        if let (Version::V1, Some(dir)) = (self.version(), self.dir("cpuset")) {
            inherit_cpuset(&dir)?;
        }
        for setting in limits::settings(self.version(), limits) {
            let Some(dir) = self.dir(setting.controller) else { continue };
            let written = write_value(&dir.join(setting.file), &setting.value);
            match written {
                Err(source) if setting.required => return Err(refused(&dir, &setting, &source)),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Keeps every device but the listed ones from the processes in it. On v1 libcontainer does that, with rules
    /// of the same meaning. Fails on a v2 kernel without `CGROUP_BPF`.
    pub(super) fn guard_devices(&self, rules: &[devices::Rule]) -> io::Result<()> {
        match &self.layout {
            Layout::V1(_) => Ok(()),
            Layout::V2(mount) => {
                let dir = File::open(mount.join(&self.path))?;
                bpf::attach(dir.as_fd(), &devices::program(rules))
            }
        }
    }

    /// The open `cgroup.procs` files: a process that writes `0` into each has joined.
    pub(super) fn entrances(&self) -> io::Result<Vec<File>> {
        let open = |dir: PathBuf| OpenOptions::new().write(true).open(dir.join("cgroup.procs"));
        self.dirs().into_iter().map(open).collect()
    }

    /// Every process in it and below it.
    pub(super) fn pids(&self) -> Vec<i32> {
        // The pids and the freezer controllers see the same processes; memory is there even where they are not.
        let dir = ["pids", "freezer", "memory", "cpu"].iter().find_map(|name| self.dir(name));
        let mut pids = Vec::new();
        if let Some(dir) = dir {
            collect_pids(&dir, &mut pids);
        }
        pids
    }

    /// Kills every process in it, also those that fork while this runs, and waits until they are gone.
    pub(super) fn kill(&self) -> io::Result<()> {
        kill::kill(self)
    }

    /// How many processes the kernel killed in it for want of memory.
    pub(super) fn oom_kills(&self) -> u64 {
        let Some(dir) = self.dir("memory") else { return 0 };
        let file = match self.version() {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        fs::read_to_string(dir.join(file))
            .ok()
            .and_then(|text| stats::field(&text, "oom_kill"))
            .unwrap_or(0)
    }

    /// Removes it in every hierarchy, also those that libcontainer joined. Nothing there is no error.
    pub(super) fn remove(&self) -> io::Result<()> {
        let mut dirs = self.dirs();
        if let Layout::V1(_) = self.layout {
            // Every mounted hierarchy, named or not: what is not there is skipped.
            for entry in fs::read_dir("/sys/fs/cgroup")?.flatten() {
                dirs.push(entry.path().join(&self.path));
            }
        }
        for dir in dirs {
            remove_tree(&dir)?;
        }
        Ok(())
    }
}

fn refused(dir: &Path, setting: &Setting, source: &io::Error) -> io::Error {
    let Setting { controller, file, value, .. } = setting;
    let what = if source.kind() == io::ErrorKind::NotFound {
        format!("the {controller} controller is not available in {}", dir.display())
    } else {
        format!("set {file} to {value}: {source}")
    };
    io::Error::new(source.kind(), what)
}

/// `<parent>/<alloc id>.<task>`; bytes that could mean something to a path are written as `%xx`.
fn path_of(parent: &str, alloc_id: &str, task: &str) -> PathBuf {
    let mut leaf = String::new();
    for byte in format!("{alloc_id}.{task}").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => leaf.push(byte.into()),
            _ => leaf.extend(format!("%{byte:02x}").chars()),
        }
    }
    PathBuf::from(parent.trim_matches('/')).join(leaf)
}

/// Removes the parent of all tasks' cgroups if none is left in it. For the end of the agent's life.
pub(super) fn remove_parent(parent: &str) {
    let parent = parent.trim_matches('/');
    if parent.is_empty() {
        return;
    }
    let root = Path::new("/sys/fs/cgroup");
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        drop(fs::remove_dir(entry.path().join(parent)));
    }
    drop(fs::remove_dir(root.join(parent)));
}

fn write_value(path: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}

/// v2: a controller works in a cgroup when each of its ancestors passes it on.
fn delegate(mount: &Path, path: &Path) -> io::Result<()> {
    let mut dir = mount.to_path_buf();
    let below: Vec<_> = path.components().collect();
    for (depth, part) in below.iter().enumerate() {
        let available = fs::read_to_string(dir.join("cgroup.controllers"))?;
        for controller in available.split_whitespace() {
            if ["cpu", "cpuset", "memory", "pids", "io"].contains(&controller) {
                let control = dir.join("cgroup.subtree_control");
                // One by one: a controller that cannot be passed on must not keep the others back.
                drop(write_value(&control, &format!("+{controller}")));
            }
        }
        dir.push(part);
        if depth + 1 < below.len() {
            fs::create_dir_all(&dir)?;
        }
    }
    Ok(())
}

/// v1: a new cpuset is empty and nothing can join it until it has cores and memory nodes.
fn inherit_cpuset(dir: &Path) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if !fs::read_to_string(dir.join(file))?.trim().is_empty() {
            continue;
        }
        let Some(parent) = dir.parent() else { continue };
        if fs::read_to_string(parent.join(file))?.trim().is_empty() {
            inherit_cpuset(parent)?;
        }
        write_value(&dir.join(file), fs::read_to_string(parent.join(file))?.trim())?;
    }
    Ok(())
}

fn collect_pids(dir: &Path, pids: &mut Vec<i32>) {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_pids(&entry.path(), pids);
        }
    }
}

/// Removes a cgroup directory with what a task made below it. A dying process keeps it busy for a moment.
fn remove_tree(dir: &Path) -> io::Result<()> {
    for attempt in 0..200 {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove_tree(&entry.path())?;
            }
        }
        match fs::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(()),
            Err(error) if error.raw_os_error() != Some(libc::EBUSY) || attempt == 199 => {
                return Err(error);
            }
            Err(_) => pause(10),
        }
    }
    Ok(())
}

/// Waits without doing anything: the kernel has no event for the last breath of a v1 cgroup.
fn pause(millis: u16) {
    let _ = poll(&mut [], PollTimeout::from(millis));
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";

    #[test]
    fn a_hybrid_machine_counts_as_v1() {
        let Some(Layout::V1(mounts)) = Layout::parse(HYBRID) else { panic!("not v1") };
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[0].0, ["cpu", "cpuacct"]);
        assert_eq!(mounts[1].1, Path::new("/sys/fs/cgroup/memory"));
    }

    #[test]
    fn a_unified_machine_is_v2() {
        let text = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(Layout::parse(text), Some(Layout::V2("/sys/fs/cgroup".into())));
        assert_eq!(Layout::parse("1 1 8:1 / / rw - ext4 /dev/sda1 rw\n"), None);
    }

    #[test]
    fn a_task_name_cannot_leave_its_parent() {
        assert_eq!(
            path_of("/stead.slice", "1f", "../../x y"),
            Path::new("stead.slice/1f...%2f..%2fx%20y")
        );
    }
}
