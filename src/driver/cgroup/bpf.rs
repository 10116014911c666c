//! ◇ Loading the device program into the kernel and attaching it to a cgroup (bpf(2)).

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use super::devices::Instruction;

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// Programs of ancestors are asked too.
const ALLOW_MULTI: u32 = 2;

/// `union bpf_attr` for `BPF_PROG_LOAD`, as far as it is used.
#[repr(C)]
#[derive(Default)]
struct Load {
    prog_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach_type: u32,
}

/// `union bpf_attr` for `BPF_PROG_ATTACH`.
#[repr(C)]
#[derive(Default)]
struct Attach {
    target: i32,
    program: i32,
    kind: u32,
    flags: u32,
    replaced: u32,
}

#[expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]
fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<i32> {
    // SAFETY: the kernel reads a struct of the given size; its pointers are into slices that outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(io::Error::other)
}

/// Every open and mknod of a process in the cgroup goes through `program` from now on, until it is removed.
#[expect(unsafe_code, reason = "a descriptor that a syscall returned is owned by nobody yet")]
pub(super) fn attach(cgroup: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    let loaded = bpf(
        PROG_LOAD,
        &Load {
            prog_type: TYPE_CGROUP_DEVICE,
            instruction_count: u32::try_from(program.len()).map_err(io::Error::other)?,
            instructions: program.as_ptr().addr() as u64,
            license: c"Apache-2.0".as_ptr().addr() as u64,
            expected_attach_type: ATTACH_CGROUP_DEVICE,
            ..Load::default()
        },
    )?;
    // SAFETY: the kernel just made it for us.
    let loaded = unsafe { OwnedFd::from_raw_fd(loaded) };
    let attach = Attach {
        target: cgroup.as_raw_fd(),
        program: loaded.as_raw_fd(),
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI,
        ..Attach::default()
    };
    bpf(PROG_ATTACH, &attach).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::devices::{STANDARD, program};
    use super::*;
    use std::fs::{self, File};
    use std::os::fd::AsFd as _;
    use std::path::PathBuf;

    struct Temporary(PathBuf);

    impl Drop for Temporary {
        fn drop(&mut self) {
            drop(super::super::remove_tree(&self.0));
        }
    }

    fn cgroup2() -> Option<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
        line.split(' ').nth(4).map(PathBuf::from)
    }

    #[test]
    fn a_process_in_the_cgroup_opens_only_listed_devices() {
        let Some(root) = cgroup2().filter(|_| nix::unistd::geteuid().is_root()) else {
            eprintln!(
                "skipped: a_process_in_the_cgroup_opens_only_listed_devices needs root and cgroup2"
            );
            return;
        };
        let cgroup = Temporary(root.join(format!("stead-unit-bpf-{}", std::process::id())));
        fs::create_dir(&cgroup.0).unwrap();
        attach(File::open(&cgroup.0).unwrap().as_fd(), &program(&STANDARD)).unwrap();
        let script = "echo $$ > $0/cgroup.procs && echo x > /dev/null && head -c 1 /dev/zero > /dev/null \
                      && ! head -c 1 /dev/kmsg > /dev/null 2>&1";
        let mut command = crate::sys::command::command("sh");
        let status = command.args(["-c", script]).arg(&cgroup.0).status().unwrap();
        assert!(status.success());
    }
}
