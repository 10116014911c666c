//! ◇ Starting a process of the host in its cgroup, session and network namespace, as its user.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sched::{CloneFlags, setns};
use nix::unistd::{Gid, Uid, chdir, setgid, setgroups, setsid, setuid};

use super::streams::Output;
use crate::driver::cgroup::Cgroup;
use crate::driver::context::TaskContext;
use crate::driver::plan::ProcessPlan;
use crate::driver::users::{self, Identity};

/// Where a process's input and output go.
pub(super) struct Stdio3 {
    pub stdin: Stdio,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    /// All three are a terminal, which the process is to control.
    pub is_terminal: bool,
}

impl From<Output> for Stdio3 {
    fn from(output: Output) -> Self {
        Self {
            stdin: Stdio::null(),
            stdout: output.stdout,
            stderr: output.stderr,
            is_terminal: false,
        }
    }
}

/// All that happens between fork and exec, opened beforehand.
struct Entry {
    cgroups: Vec<File>,
    netns: Option<File>,
    oom_score_adj: Option<i64>,
    identity: Option<Identity>,
    work_dir: PathBuf,
    is_terminal: bool,
}

impl Entry {
    /// Runs in the child. The shim has one thread, so allocating here is allowed.
    fn enter(&self) -> io::Result<()> {
        for mut procs in &self.cgroups {
            procs.write_all(b"0")?;
        }
        setsid()?;
        if self.is_terminal {
            control_terminal()?;
        }
        if let Some(netns) = &self.netns {
            setns(netns.as_fd(), CloneFlags::CLONE_NEWNET)?;
        }
        match self.oom_score_adj {
            Some(score) => fs::write(OOM_SCORE, score.to_string())?,
            None => be_as_likely_to_be_killed()?,
        }
        if let Some(identity) = &self.identity {
            let groups: Vec<Gid> = identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
            setgroups(&groups)?;
            setgid(Gid::from_raw(identity.gid))?;
            setuid(Uid::from_raw(identity.uid))?;
        }
        chdir(&self.work_dir)?;
        Ok(())
    }
}

const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// Gives up what protects the agent and its shims when memory runs out (systemd's `OOMScoreAdjust`), which is not
/// meant for tasks. See `proc_pid_oom_score_adj(5)`: raising it needs no privilege.
pub(super) fn be_as_likely_to_be_killed() -> io::Result<()> {
    if fs::read_to_string(OOM_SCORE)?.starts_with('-') {
        fs::write(OOM_SCORE, "0")?;
    }
    Ok(())
}

/// Standard input becomes the terminal of this session.
#[expect(unsafe_code, reason = "TIOCSCTTY is an ioctl")]
fn control_terminal() -> io::Result<()> {
    // SAFETY: takes a descriptor and a number.
    match unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The task's user on this host; `None` is the agent's own.
pub(super) fn host_identity(context: &TaskContext) -> Result<Option<Identity>, String> {
    let Some(user) = context.user.as_deref().filter(|user| !user.is_empty()) else {
        return Ok(None);
    };
    let read =
        |path: &str| fs::read_to_string(path).map_err(|error| format!("read {path}: {error}"));
    users::resolve(user, &read("/etc/passwd")?, &read("/etc/group")?).map(Some)
}

/// Starts `command` and returns its pid; it is a child of the caller.
pub(super) fn spawn(
    plan: &ProcessPlan,
    context: &TaskContext,
    cgroup: &Cgroup,
    stdio: Stdio3,
) -> Result<i32, String> {
    let task_dir = &context.dirs.task;
    let program = look_up(&plan.command, context)?;
    let entry = Entry {
        cgroups: cgroup.entrances().map_err(|error| format!("open its cgroup: {error}"))?,
        netns: context
            .netns
            .as_ref()
            .map(File::open)
            .transpose()
            .map_err(|error| format!("open its network namespace: {error}"))?,
        oom_score_adj: plan.oom_score_adj,
        identity: host_identity(context)?,
        work_dir: plan.work_dir.as_ref().map_or_else(|| task_dir.clone(), PathBuf::from),
        is_terminal: stdio.is_terminal,
    };
    let denied = |name: &str| plan.denied_env.iter().any(|pattern| matches_glob(pattern, name));
    let mut command = crate::sys::command::command(&program);
    command
        .arg0(&plan.command)
        .args(&plan.args)
        .env_clear()
        .envs(context.env.iter().filter(|(name, _)| !denied(name)))
        .stdin(stdio.stdin)
        .stdout(stdio.stdout)
        .stderr(stdio.stderr);
    in_child(&mut command, entry);
    let child = command.spawn().map_err(|error| format!("run `{}`: {error}", plan.command))?;
    i32::try_from(child.id()).map_err(|error| error.to_string())
}

#[expect(unsafe_code, reason = "pre_exec runs between fork and exec")]
fn in_child(command: &mut std::process::Command, entry: Entry) {
    // SAFETY: the caller has a single thread, so the child may do whatever its parent may.
    unsafe { command.pre_exec(move || entry.enter()) };
}

/// Nomad: in the task's `local` directory, then in the task's, then in the PATH.
fn look_up(command: &str, context: &TaskContext) -> Result<PathBuf, String> {
    let path = Path::new(command);
    if path.is_absolute() {
        return Ok(path.to_path_buf());
    }
    let in_task = [&context.dirs.local, &context.dirs.task];
    let search = context.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let in_path = search.split(':').filter(|dir| !dir.is_empty()).map(Path::new);
    in_task
        .into_iter()
        .map(PathBuf::as_path)
        .chain(in_path.filter(|_| !command.contains('/')))
        .map(|dir| dir.join(path))
        .find(|candidate| is_executable(candidate))
        .ok_or_else(|| {
            format!("command `{command}` is neither in the task directory nor in PATH ({search})")
        })
}

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// `*` at either end stands for anything.
fn matches_glob(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => true,
        (Some(end), Some(_)) => name.contains(end.trim_end_matches('*')),
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::matches_glob;

    #[test]
    fn variables_are_denied_by_pattern() {
        assert!(matches_glob("AWS_*", "AWS_KEY"));
        assert!(matches_glob("*_TOKEN", "MY_TOKEN"));
        assert!(matches_glob("*PASS*", "DB_PASSWORD"));
        assert!(matches_glob("*", "X"));
        assert!(!matches_glob("AWS_*", "HOME"));
        assert!(matches_glob("HOME", "HOME"));
    }
}
