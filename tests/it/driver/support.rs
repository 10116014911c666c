//! One task's surroundings: directories, a cgroup parent of its own, and the proof that nothing is left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use stead::driver::{
    Driver, Drivers, EtcFiles, LogPolicy, Resources, Settings, TaskConfig, TaskContext, TaskDirs,
    TaskHandle,
};

/// Nothing in these tests takes longer unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Says why a test does not run here.
pub(crate) fn may_run(test: &str) -> bool {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: {test} needs root");
        return false;
    }
    stead::driver::become_subreaper().unwrap();
    true
}

/// The directories of one allocation with one task, and the drivers.
pub(crate) struct Box_ {
    dir: tempfile::TempDir,
    parent: String,
    pub(crate) drivers: Drivers,
}

impl Box_ {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, Settings::default())
    }

    pub(crate) fn with(name: &str, settings: Settings) -> Self {
        let dir = tempfile::Builder::new().prefix("stead-it-").tempdir().unwrap();
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        for sub in ["alloc/alloc/logs", "alloc/web/local", "alloc/web/secrets"] {
            fs::create_dir_all(dir.path().join(sub)).unwrap();
        }
        let settings = Settings {
            program: PathBuf::from(env!("CARGO_BIN_EXE_stead")),
            raw_exec: true,
            mock: true,
            ..settings
        };
        let parent = format!("/stead-it-{name}-{}", std::process::id());
        Self { dir, parent, drivers: Drivers::new(settings) }
    }

    pub(crate) fn path(&self, sub: &str) -> PathBuf {
        self.dir.path().join(sub)
    }

    pub(crate) fn driver(&self, name: &str) -> Driver {
        self.drivers.get(name).unwrap()
    }

    pub(crate) fn context(&self) -> TaskContext {
        TaskContext {
            alloc_id: "5f3c1a2e-0000-4000-8000-000000000001".to_owned(),
            task: "web".to_owned(),
            env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            user: None,
            dirs: TaskDirs {
                task: self.path("alloc/web"),
                shared: self.path("alloc/alloc"),
                local: self.path("alloc/web/local"),
                secrets: self.path("alloc/web/secrets"),
                logs: self.path("alloc/alloc/logs"),
                state: self.path("state/web"),
            },
            logs: LogPolicy::default(),
            resources: Resources { cpu_shares: 100, memory_mb: 64, ..Resources::default() },
            netns: None,
            hostname: None,
            etc: EtcFiles::default(),
            mounts: Vec::new(),
            devices: Vec::new(),
            image: None,
            cgroup_parent: self.parent.clone(),
        }
    }

    pub(crate) async fn start(
        &self,
        driver: &str,
        config: Value,
        context: TaskContext,
    ) -> TaskHandle {
        self.try_start(driver, config, context).await.unwrap()
    }

    pub(crate) async fn try_start(
        &self,
        driver: &str,
        config: Value,
        context: TaskContext,
    ) -> Result<TaskHandle, stead::driver::DriverError> {
        let driver = self.driver(driver);
        let plan = driver.plan(&TaskConfig { config: object(config) })?;
        within(driver.start(plan, context)).await
    }

    /// A shell script as a `raw_exec` task.
    pub(crate) async fn script(&self, script: &str) -> TaskHandle {
        let config = serde_json::json!({"command": "/bin/sh", "args": ["-c", script]});
        self.start("raw_exec", config, self.context()).await
    }

    /// All of one stream, over its files.
    pub(crate) fn log(&self, stream: &str) -> String {
        let mut text = String::new();
        for name in self.log_files(stream) {
            text += &String::from_utf8_lossy(
                &fs::read(self.path("alloc/alloc/logs").join(name)).unwrap(),
            );
        }
        text
    }

    pub(crate) fn log_files(&self, stream: &str) -> Vec<String> {
        let prefix = format!("web.{stream}.");
        let mut numbers: Vec<u64> = fs::read_dir(self.path("alloc/alloc/logs"))
            .unwrap()
            .filter_map(|entry| {
                entry.unwrap().file_name().to_str()?.strip_prefix(&prefix)?.parse().ok()
            })
            .collect();
        numbers.sort_unstable();
        numbers.into_iter().map(|number| format!("{prefix}{number}")).collect()
    }

    /// Directories of this box's cgroups that exist.
    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        let leaf = self.parent.trim_matches('/');
        let mut roots = vec![PathBuf::from("/sys/fs/cgroup")];
        roots.extend(fs::read_dir("/sys/fs/cgroup").unwrap().map(|entry| entry.unwrap().path()));
        let parents = roots.into_iter().map(|root| root.join(leaf)).filter(|dir| dir.is_dir());
        parents
            .flat_map(|dir| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()))
            .filter(|path| path.is_dir())
            .collect()
    }

    /// Nothing of the task but its logs.
    pub(crate) fn assert_nothing_is_left(&self) {
        assert_eq!(self.cgroups(), Vec::<PathBuf>::new(), "cgroups are left");
        assert!(!self.path("state/web").exists(), "the state directory is left");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let here = self.dir.path().to_str().unwrap();
        assert!(!mounts.contains(here), "mounts are left");
        assert_eq!(self.processes(), Vec::<String>::new(), "processes are left");
    }

    /// Processes that name this box's directory: its shims.
    fn processes(&self) -> Vec<String> {
        let here = self.dir.path().to_str().unwrap().to_owned();
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                path.file_name()?.to_str()?.parse::<u32>().ok()?;
                let line = fs::read_to_string(path.join("cmdline")).ok()?;
                line.contains(&here).then_some(line)
            })
            .collect()
    }

    fn kill_what_is_left(&self) {
        for dir in self.cgroups() {
            let pids = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
            for pid in pids.lines().filter_map(|line| line.parse().ok()) {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::Signal::SIGKILL,
                );
            }
        }
    }
}

impl Drop for Box_ {
    /// Also after a failed test: the shim removes the cgroup once its task is dead.
    fn drop(&mut self) {
        for _ in 0..500 {
            if self.cgroups().is_empty() && self.processes().is_empty() {
                break;
            }
            self.kill_what_is_left();
            let _ = nix::poll::poll(&mut [], 10_u8);
        }
        for dir in self.cgroups() {
            drop(fs::remove_dir(dir));
        }
        Drivers::remove_cgroup_parent(&self.parent);
    }
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

/// Fails instead of hanging.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("in time")
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, waiting).await.is_ok(), "waited in vain: {what}");
}

/// Whether a process of that pid exists and is no zombie.
pub(crate) fn is_running(pid: i32) -> bool {
    fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))
        .is_ok_and(|stat| !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

/// An image of two layers: a static busybox under all its names, and a few files over it.
pub(crate) fn image(place: &Box_) -> stead::driver::ImageRoot {
    let base = place.path("layers/base");
    drop(fs::remove_dir_all(place.path("layers")));
    for dir in ["bin", "etc", "tmp", "srv"] {
        fs::create_dir_all(base.join(dir)).unwrap();
    }
    fs::copy("/bin/busybox", base.join("bin/busybox")).expect("the package busybox-static");
    for name in
        "sh cat echo id sleep mknod dd head tail touch grep stat ls mount umount hostname tty stty true env ip unshare chroot od mkdir readlink kill"
            .split_whitespace()
    {
        std::os::unix::fs::symlink("busybox", base.join("bin").join(name)).unwrap();
    }
    fs::write(
        base.join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\nweb:x:1001:1002::/home/web:/bin/sh\n",
    )
    .unwrap();
    fs::write(base.join("etc/group"), "root:x:0:\nweb:x:1002:\nextra:x:1003:web\n").unwrap();
    fs::write(base.join("srv/file"), "base\n").unwrap();
    let top = place.path("layers/top");
    fs::create_dir_all(top.join("srv")).unwrap();
    fs::write(top.join("srv/file"), "top\n").unwrap();
    stead::driver::ImageRoot {
        layers: vec![base, top],
        env: vec!["FROM_IMAGE=yes".to_owned()],
        cmd: vec!["sh".to_owned(), "-c".to_owned(), "echo default".to_owned()],
        work_dir: "/srv/made".to_owned(),
        ..stead::driver::ImageRoot::default()
    }
}
