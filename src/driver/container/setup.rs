//! ◇ From a plan to a bundle that libcontainer can start: the root, the binds, the user, config.json.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::mount::MsFlags;
use nix::sys::stat::{Mode, major, minor};

use super::chroot::HOST_DIRS;
use super::plan::{ContainerPlan, Network, Root, Source};
use super::rootfs::{self, Access, Resolve};
use super::spec::{self, Bind, DeviceNode, Guard, Input};
use super::{etc, runtime};
use crate::driver::cgroup::Cgroup;
use crate::driver::cgroup::devices::{Kind, Rule, STANDARD};
use crate::driver::cgroup::limits::Limits;
use crate::driver::container::plan::Trait;
use crate::driver::context::{Device, TaskContext};
use crate::driver::users::{self, Identity};

/// A container ready to be created.
#[derive(Debug)]
pub(in crate::driver) struct Bundle {
    /// The state directory, with config.json in it.
    pub dir: PathBuf,
    pub identity: Identity,
}

fn told(doing: impl Into<String>) -> impl FnOnce(io::Error) -> String {
    let doing = doing.into();
    move |error| format!("{doing}: {error}")
}

/// The cgroup limits of a container.
pub(in crate::driver) fn limits(plan: &ContainerPlan, context: &TaskContext) -> Limits {
    let mut limits = Limits::of(&context.resources);
    if let Some(hard) = plan.bounds.memory {
        // Nomad: the block's memory is then what is kept for the task, not where it ends.
        limits.reservation = limits.memory.filter(|memory| *memory < hard);
        limits.memory = Some(hard);
    }
    limits.pids = plan.bounds.pids.or(limits.pids);
    limits.cores = plan.bounds.cores.clone().or(limits.cores);
    if plan.is(Trait::CpuHardLimit) {
        let period = plan.bounds.cpu_period.unwrap_or(100_000);
        let cores = std::thread::available_parallelism()
            .map_or(1.0, |n| u32::try_from(n.get()).map_or(1.0, f64::from));
        limits.cpu_quota = quota(context.resources.cpu_fraction, cores, period);
    }
    limits
}

/// Microseconds of CPU in a period for a part (0 to 1) of all cores.
fn quota(fraction: f64, cores: f64, period: u64) -> Option<(u64, u64)> {
    let period_us = std::time::Duration::from_micros(period);
    let quota = std::time::Duration::try_from_secs_f64(period_us.as_secs_f64() * fraction * cores);
    let quota = quota.ok().and_then(|quota| u64::try_from(quota.as_micros()).ok())?;
    // The kernel takes no less than a millisecond.
    (quota > 0).then(|| (quota.max(1000), period))
}

/// Mounts and writes everything. The cgroup exists already.
pub(in crate::driver) fn prepare(
    plan: &ContainerPlan,
    context: &TaskContext,
    cgroup: &Cgroup,
) -> Result<Bundle, String> {
    let state = &context.dirs.state;
    rootfs::leave_the_hosts_mounts().map_err(told("make a mount namespace"))?;
    let devices = planned_devices(plan, context)?;
    let guard = guard(plan, cgroup, &devices);
    let root = mount_root(plan, context, guard)?;
    let identity = identity(plan, context, &root)?;
    let work_dir = spec::work_dir(plan, context.image.as_ref());
    if plan.root == Root::Image {
        make_work_dir(&root, Path::new(&work_dir)).map_err(told(format!("make {work_dir}")))?;
    }
    let hostname = etc::hostname(plan, context.hostname.as_deref(), &context.alloc_id);
    let mut binds = Stage { dir: private_dir(state, "binds")?, binds: Vec::new() };
    binds.task_dirs(plan, context)?;
    binds.etc_files(plan, context, &hostname)?;
    binds.volumes(plan, context)?;
    let config = spec::spec(&Input {
        plan,
        context,
        identity: &identity,
        rootfs: &root,
        binds: &binds.binds,
        devices: &devices,
        cgroup: &cgroup.absolute(),
        version: cgroup.version(),
        guard,
        hostname: &hostname,
    })?;
    runtime::write_config(state, &config).map_err(told("write config.json"))?;
    Ok(Bundle { dir: state.clone(), identity })
}

fn private_dir(state: &Path, name: &str) -> Result<PathBuf, String> {
    let dir = state.join(name);
    match fs::DirBuilder::new().mode(0o755).create(&dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(told(format!("make {}", dir.display()))(error))
        }
        Ok(()) | Err(_) => Ok(dir),
    }
}

fn mount_root(
    plan: &ContainerPlan,
    context: &TaskContext,
    guard: Guard,
) -> Result<PathBuf, String> {
    let state = &context.dirs.state;
    let root = private_dir(state, "rootfs")?;
    match plan.root {
        Root::Host => rootfs::host_root(&root, &HOST_DIRS).map_err(told("make its root"))?,
        Root::Image => {
            let image = context.image.as_ref().ok_or("no image was prepared")?;
            let (upper, work) = (private_dir(state, "upper")?, private_dir(state, "work")?);
            let flags = match guard {
                Guard::Cgroup => MsFlags::empty(),
                Guard::NoNodes => MsFlags::MS_NODEV,
            };
            rootfs::overlay(&image.layers, &upper, &work, &root, flags)
                .map_err(told("mount its image"))?;
        }
    }
    Ok(root)
}

/// Nomad: `exec` tasks are nobody unless the job says otherwise.
fn identity(plan: &ContainerPlan, context: &TaskContext, root: &Path) -> Result<Identity, String> {
    let read = |path: &str| {
        rootfs::read_in_root(root, path).map_err(told(format!("read the root's /{path}")))
    };
    let given = context.user.as_deref().filter(|user| !user.is_empty());
    let wanted = match plan.root {
        Root::Image => given.or_else(|| context.image.as_ref().map(|image| image.user.as_str())),
        Root::Host => given.or(Some("nobody")),
    };
    let (passwd, group) = (read("etc/passwd")?, read("etc/group")?);
    let mut identity = users::resolve(wanted.unwrap_or_default(), &passwd, &group)?;
    for name in &plan.group_add {
        identity.groups.push(users::group_number(name, &group)?);
    }
    Ok(identity)
}

/// Docker makes a missing working directory.
fn make_work_dir(root: &Path, dir: &Path) -> io::Result<()> {
    let fd = open(root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    rootfs::make_dirs(fd.as_fd(), dir, Resolve::InRoot)
}

fn planned_devices(plan: &ContainerPlan, context: &TaskContext) -> Result<Vec<DeviceNode>, String> {
    let devices = plan.devices.iter().chain(&context.devices);
    let mut devices = devices.map(look_up).collect::<Result<Vec<_>, _>>()?;
    if plan.is(Trait::Privileged) {
        all_devices(Path::new("/dev"), &mut devices);
    }
    Ok(devices)
}

fn guard(plan: &ContainerPlan, cgroup: &Cgroup, nodes: &[DeviceNode]) -> Guard {
    if plan.is(Trait::Privileged) {
        return Guard::Cgroup;
    }
    let mut rules = STANDARD.to_vec();
    rules.extend(
        nodes.iter().map(|node| Rule::new(node.kind, node.major, node.minor, &node.permissions)),
    );
    match cgroup.guard_devices(&rules) {
        Ok(()) => Guard::Cgroup,
        Err(_) => Guard::NoNodes,
    }
}

fn look_up(device: &Device) -> Result<DeviceNode, String> {
    let path = &device.host_path;
    let meta = fs::metadata(path).map_err(told(format!("device {}", path.display())))?;
    let kind = match meta.mode() & libc::S_IFMT {
        libc::S_IFCHR => Kind::Char,
        libc::S_IFBLK => Kind::Block,
        _ => return Err(format!("device {}: not a device", path.display())),
    };
    Ok(DeviceNode {
        path: device.container_path.clone(),
        kind,
        major: u32::try_from(major(meta.rdev())).unwrap_or(u32::MAX),
        minor: u32::try_from(minor(meta.rdev())).unwrap_or(u32::MAX),
        mode: meta.mode() & 0o777,
        uid: meta.uid(),
        gid: meta.gid(),
        permissions: device.permissions.clone(),
    })
}

/// Docker: a privileged container has every device of the host.
fn all_devices(dir: &Path, found: &mut Vec<DeviceNode>) {
    // Mounted or made by the runtime in each container.
    const OWN: [&str; 11] = [
        "/dev/console",
        "/dev/fd",
        "/dev/full",
        "/dev/mqueue",
        "/dev/null",
        "/dev/ptmx",
        "/dev/pts",
        "/dev/random",
        "/dev/shm",
        "/dev/tty",
        "/dev/urandom",
    ];
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_symlink()
            || path == Path::new("/dev/zero")
            || OWN.iter().any(|own| path == Path::new(own))
        {
            continue;
        }
        if kind.is_dir() {
            all_devices(&path, found);
            continue;
        }
        let known = found.iter().any(|device| device.path == path);
        let permissions = "rwm".to_owned();
        let device = Device { host_path: path.clone(), container_path: path, permissions };
        found.extend(look_up(&device).ok().filter(|_| !known));
    }
}

/// Sources, opened safely and mounted where only root can reach them.
struct Stage {
    dir: PathBuf,
    binds: Vec<Bind>,
}

impl Stage {
    fn add(
        &mut self,
        source: &OwnedFd,
        target: &Path,
        access: Access,
        propagation: Option<&str>,
    ) -> io::Result<()> {
        let place = self.dir.join(self.binds.len().to_string());
        rootfs::stage(source, &place, access)?;
        self.binds.push(Bind {
            source: place,
            target: target.to_path_buf(),
            propagation: propagation.map(str::to_owned),
        });
        Ok(())
    }

    fn task_dirs(&mut self, plan: &ContainerPlan, context: &TaskContext) -> Result<(), String> {
        let dirs = &context.dirs;
        let mut shown =
            vec![(&dirs.shared, "/alloc"), (&dirs.local, "/local"), (&dirs.secrets, "/secrets")];
        let tmp = dirs.task.join("tmp");
        if plan.root == Root::Host && tmp.is_dir() {
            shown.push((&tmp, "/tmp"));
        }
        for (source, target) in shown {
            rootfs::open_host_source(source, false)
                .and_then(|fd| self.add(&fd, Path::new(target), Access::ReadWrite, None))
                .map_err(told(format!("show {} as {target}", source.display())))?;
        }
        Ok(())
    }

    fn etc_files(
        &mut self,
        plan: &ContainerPlan,
        context: &TaskContext,
        hostname: &str,
    ) -> Result<(), String> {
        let files = private_dir(&context.dirs.state, "etc")?;
        let shares_host = match plan.network {
            Network::Group => context.netns.is_none(),
            Network::Host => true,
            Network::Nothing => false,
        };
        let host = |path: &str| Some(PathBuf::from(path)).filter(|_| shares_host);
        let read = |path: Option<PathBuf>| path.and_then(|path| fs::read_to_string(path).ok());
        let hosts = read(context.etc.hosts.clone().or_else(|| host("/etc/hosts")));
        let resolv = context.etc.resolv_conf.clone().unwrap_or_else(|| "/etc/resolv.conf".into());
        let resolv = read(Some(resolv)).unwrap_or_default();
        for (name, text) in [
            ("hosts", etc::hosts(hosts.as_deref(), plan, hostname)),
            ("resolv.conf", etc::resolv_conf(&resolv, &plan.dns)),
            ("hostname", format!("{hostname}\n")),
        ] {
            let path = files.join(name);
            let target = Path::new("/etc").join(name);
            if plan.root == Root::Host && !target.exists() {
                // The host's /etc is read-only: a file that is not there cannot be covered.
                continue;
            }
            fs::write(&path, text)
                .and_then(|()| rootfs::open_host_source(&path, false))
                .and_then(|fd| self.add(&fd, &target, Access::ReadWrite, None))
                .map_err(told(format!("show {}", target.display())))?;
        }
        Ok(())
    }

    fn volumes(&mut self, plan: &ContainerPlan, context: &TaskContext) -> Result<(), String> {
        for mount in &context.mounts {
            let access = if mount.read_only { Access::ReadOnly } else { Access::ReadWrite };
            rootfs::open_host_source(&mount.source, false)
                .and_then(|fd| self.add(&fd, &mount.target, access, mount.propagation.as_deref()))
                .map_err(told(format!("mount {}", mount.source.display())))?;
        }
        for mount in &plan.mounts {
            let make = mount.make_source;
            let (opened, source) = match &mount.source {
                Source::Tmpfs { .. } => continue,
                Source::Host(path) => (rootfs::open_host_source(path, make), path),
                Source::Task(path) => (rootfs::open_source(&context.dirs.task, path, make), path),
                Source::Shared(path) => {
                    (rootfs::open_source(&context.dirs.shared, path, make), path)
                }
            };
            let access = if mount.read_only { Access::ReadOnly } else { Access::ReadWrite };
            opened
                .and_then(|fd| self.add(&fd, &mount.target, access, mount.propagation.as_deref()))
                .map_err(told(format!("mount {}", source.display())))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::quota;

    #[test]
    fn a_hard_limit_is_a_part_of_all_cores() {
        assert_eq!(quota(0.25, 4.0, 100_000), Some((100_000, 100_000)));
        assert_eq!(quota(0.001, 1.0, 100_000), Some((1000, 100_000)));
        assert_eq!(quota(0.0, 4.0, 100_000), None);
        assert_eq!(quota(f64::NAN, 4.0, 100_000), None);
    }
}
