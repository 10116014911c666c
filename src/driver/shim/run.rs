//! ◇ What a shim does: `run` starts a task and stays with it, `adopt` stays with one that lost its shim.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{dup2_stdin, dup2_stdout, setsid};

use super::records::{Records, Report, Running, Task, Workload};
use super::streams::Streams;
use super::supervise::{Supervised, supervise};
use super::{spawn, streams, supervise};
use crate::driver::cgroup::Cgroup;
use crate::driver::cgroup::limits::Limits;
use crate::driver::container::plan::{ContainerPlan, Trait};
use crate::driver::container::runtime::{self, First, Stdio};
use crate::driver::container::setup;
use crate::driver::context::TaskContext;
use crate::driver::process::{Process, ProcessId, become_subreaper, boot_id};
use crate::sys::clock::unix_nanos;

/// `__shim run`: the reason of a failed start goes to the agent, not into the result.
pub(super) fn run(dir: &Path) -> io::Result<()> {
    prepare()?;
    let records = Records::at(dir);
    let _claim = records.claim()?;
    let started = start(&records);
    match started {
        Ok(supervised) => {
            say(&Report::Running(supervised.running.clone()))?;
            supervise(supervised)
        }
        Err(reason) => say(&Report::Failed { reason }),
    }
}

/// `__shim adopt`: the task runs, or ended while nobody was there.
pub(super) fn adopt(dir: &Path) -> io::Result<()> {
    prepare()?;
    let records = Records::at(dir);
    let _claim = records.claim()?;
    let task = records.task()?;
    let before = records.running()?;
    // First: once the task ends, only an open end keeps what it wrote.
    let streams = Streams::reopen(&task.context);
    let cgroup = cgroup_of(&task)?;
    let process = Process::open(before.task)?;
    let running = Running { shim: own_id()?, ..before };
    records.write_running(&running)?;
    say(&Report::Running(running.clone()))?;
    quieten()?;
    supervise(Supervised { records, running, cgroup, streams, process, is_child: false })
}

fn start(records: &Records) -> Result<Supervised, String> {
    let told = |doing: &'static str| move |error: io::Error| format!("{doing}: {error}");
    let task = records.task().map_err(told("read task.json"))?;
    let cgroup = cgroup_of(&task).map_err(told("find its cgroup"))?;
    let started = start_in(&task, &cgroup, records);
    if started.is_err() {
        // Undo our own step; what failed undid its own.
        drop(cgroup.kill());
        drop(cgroup.remove());
    }
    let (running, streams) = started?;
    let process = Process::open(running.task).map_err(told("open its process"))?;
    quieten().map_err(told("prepare to wait"))?;
    Ok(Supervised { records: records.clone(), running, cgroup, streams, process, is_child: true })
}

fn start_in(task: &Task, cgroup: &Cgroup, records: &Records) -> Result<(Running, Streams), String> {
    let told = |doing: &'static str| move |error: io::Error| format!("{doing}: {error}");
    let context = &task.context;
    cgroup.create(&limits(task)).map_err(told("make its cgroup"))?;
    let mut streams = Streams::create(context).map_err(told("open its output"))?;
    let pid = match &task.workload {
        Workload::Process(plan) => {
            let output = streams.take_output()?;
            if let Some(identity) = spawn::host_identity(context)? {
                streams::give_to(&output, identity.uid, identity.gid)
                    .map_err(told("hand over its output"))?;
            }
            spawn::spawn(plan, context, cgroup, output.into())?
        }
        Workload::Container(plan) => start_container(plan, context, cgroup, &mut streams)?,
    };
    let running = Running {
        task: ProcessId::of(pid).map_err(told("read its start time"))?,
        shim: own_id().map_err(told("read the shim's start time"))?,
        boot_id: boot_id(),
        started_at: unix_nanos(),
    };
    records.write_running(&running).map_err(told("write run.json"))?;
    Ok((running, streams))
}

fn start_container(
    plan: &ContainerPlan,
    context: &TaskContext,
    cgroup: &Cgroup,
    streams: &mut Streams,
) -> Result<i32, String> {
    let bundle = setup::prepare(plan, context, cgroup)?;
    let output = streams.take_output()?;
    let stdio = if plan.is(Trait::Tty) {
        Stdio::Terminal(None)
    } else {
        streams::give_to(&output, bundle.identity.uid, bundle.identity.gid)
            .map_err(|error| format!("hand over its output: {error}"))?;
        let stdin = streams
            .input(plan.is(Trait::Interactive))
            .map_err(|error| format!("open its input: {error}"))?;
        Stdio::Files { stdin, stdout: output.stdout, stderr: output.stderr }
    };
    let first = if plan.is(Trait::Init) { First::Init } else { First::Program };
    let started = runtime::start(&bundle.dir, stdio, first)?;
    if let Some(terminal) = started.terminal {
        streams.read_terminal(terminal);
    }
    Ok(started.pid)
}

fn limits(task: &Task) -> Limits {
    match &task.workload {
        Workload::Process(_) => Limits::of(&task.context.resources),
        Workload::Container(plan) => setup::limits(plan, &task.context),
    }
}

fn cgroup_of(task: &Task) -> io::Result<Cgroup> {
    let context = &task.context;
    Cgroup::of(&context.cgroup_parent, &context.alloc_id, &context.task)
}

fn own_id() -> io::Result<ProcessId> {
    ProcessId::of(i32::try_from(std::process::id()).map_err(io::Error::other)?)
}

/// Cuts the ties to the agent: its session, its descriptors, its idea of memory.
#[expect(unsafe_code, reason = "close_range and mallopt have no safe wrappers")]
pub(super) fn prepare() -> io::Result<()> {
    // Fails only for a group leader, which is its own session already.
    let _ = setsid();
    become_subreaper()?;
    let _ = nix::sys::prctl::set_name(c"stead-shim");
    // The agent hands over 0, 1 and 2; whatever else is open was not meant for us.
    // SAFETY: no object of this process owns a descriptor above 2 yet.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    // SAFETY: sets two numbers of the allocator. One thread needs one arena, and freed pages go back.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    // Rust ignores SIGPIPE, and a container's first process would inherit that.
    set_handler(Signal::SIGPIPE, SigHandler::SigDfl)
}

/// After the task was started, which would inherit this: nothing but SIGKILL ends a shim, and children are
/// announced through a descriptor.
pub(super) fn quieten() -> io::Result<()> {
    for ignored in [Signal::SIGPIPE, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        set_handler(ignored, SigHandler::SigIgn)?;
    }
    supervise::block_sigchld()?;
    trim();
    Ok(())
}

#[expect(unsafe_code, reason = "malloc_trim has no safe wrapper")]
fn trim() {
    // SAFETY: gives free memory back to the kernel.
    unsafe { libc::malloc_trim(0) };
}

#[expect(unsafe_code, reason = "signal(2) is unsafe because handlers are")]
fn set_handler(which: Signal, handler: SigHandler) -> io::Result<()> {
    // SAFETY: only the default and ignore are set, no function of ours.
    unsafe { signal(which, handler) }?;
    Ok(())
}

/// Tells the agent, and lets go of its pipe.
fn say(report: &Report) -> io::Result<()> {
    let mut line = serde_json::to_vec(report).map_err(io::Error::other)?;
    line.push(b'\n');
    // The agent may be gone by now; the task is not to suffer for it.
    let mut stdout = io::stdout().lock();
    drop(stdout.write_all(&line).and_then(|()| stdout.flush()));
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    Ok(())
}
