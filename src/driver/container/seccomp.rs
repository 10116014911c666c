//! ◆ (table) Docker's default seccomp profile: what is not named here fails with EPERM.
//!
//! Written as the kernel's names, grouped by the capability that opens them. A name that the linked libseccomp
//! does not know is left out by libcontainer and so fails with EPERM too.

use serde_json::{Value, json};

const ALWAYS: &str = "accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown \
     chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime \
     clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect \
     copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old \
     epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit \
     exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir \
     fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr \
     flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 \
     fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv \
     futex_wake futimesat getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 \
     getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid \
     getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit \
     get_robust_list getrusage getsid getsockname getsockopt get_thread_area gettid \
     gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init \
     inotify_init1 inotify_rm_watch io_cancel ioctl io_destroy io_getevents io_pgetevents \
     io_pgetevents_time64 ioprio_get ioprio_set io_setup io_submit ipc kill landlock_add_rule \
     landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat \
     listen listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr \
     lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir \
     mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify \
     mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink \
     mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at \
     nanosleep newfstatat _newselect open openat openat2 pause pidfd_open pidfd_send_signal \
     pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv \
     preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 \
     pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv \
     recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat \
     rename renameat renameat2 restart_syscall riscv_hwprobe rmdir rseq rt_sigaction \
     rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait \
     rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam \
     sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval \
     sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam \
     sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop \
     semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto setfsgid setfsgid32 \
     setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority \
     setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 \
     setrlimit set_robust_list setsid setsockopt set_thread_area set_tid_address setuid \
     setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd \
     signalfd4 sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs statfs64 \
     statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time \
     timer_create timer_delete timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime \
     timerfd_settime64 timer_getoverrun timer_gettime timer_gettime64 timer_settime \
     timer_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat \
     uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid \
     write writev";

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: &str = "arch_prctl modify_ldt";
#[cfg(not(target_arch = "x86_64"))]
const ARCHITECTURE: &str =
    "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls";

#[cfg(target_arch = "x86_64")]
const ARCHITECTURES: [&str; 3] = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];
#[cfg(not(target_arch = "x86_64"))]
const ARCHITECTURES: [&str; 2] = ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"];

/// Calls that a capability opens.
const BY_CAPABILITY: [(&str, &str); 14] = [
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr \
         move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog \
         umount umount2 unshare",
    ),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module init_module finit_module"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise"),
    ("CAP_SYS_RAWIO", "iopl ioperm"),
    ("CAP_SYS_TIME", "settimeofday stime clock_settime clock_settime64"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_BPF", "bpf"),
    ("CAP_PERFMON", "perf_event_open"),
];

/// Flags of clone(2) that make namespaces.
const NAMESPACE_FLAGS: u64 = 0x7e02_0000;
const ENOSYS: u32 = 38;
/// Execution domains of personality(2) that programs ask for in earnest; the last one asks what is set.
const PERSONALITIES: [u64; 5] = [0x0, 0x0008, 0x20000, 0x20008, 0xffff_ffff];
const AF_VSOCK: u64 = 40;

fn allow(names: &str) -> Value {
    let names: Vec<&str> = names.split_whitespace().collect();
    json!({ "names": names, "action": "SCMP_ACT_ALLOW" })
}

fn allow_when(name: &str, op: &str, value: u64, value_two: u64) -> Value {
    let args = json!([{ "index": 0, "value": value, "valueTwo": value_two, "op": op }]);
    json!({ "names": [name], "action": "SCMP_ACT_ALLOW", "args": args })
}

/// The profile of a container with these capabilities, as `linux.seccomp` of the OCI spec.
pub(super) fn profile(capabilities: &[String]) -> Value {
    let has = |cap: &str| capabilities.iter().any(|have| have == cap);
    let mut syscalls = vec![allow(ALWAYS), allow(ARCHITECTURE)];
    for (cap, names) in BY_CAPABILITY {
        if has(cap) {
            syscalls.push(allow(names));
        }
    }
    syscalls
        .extend(PERSONALITIES.map(|domain| allow_when("personality", "SCMP_CMP_EQ", domain, 0)));
    syscalls.push(allow_when("socket", "SCMP_CMP_NE", AF_VSOCK, 0));
    if !has("CAP_SYS_ADMIN") {
        // The mask is the second value here, though the OCI spec means the first: libcontainer 0.7 hands them
        // to libseccomp the wrong way round, and would compare nothing at all. A test of ours watches this.
        syscalls.push(allow_when("clone", "SCMP_CMP_MASKED_EQ", 0, NAMESPACE_FLAGS));
        // Its flags lie in memory, where no filter can look; libc falls back to clone on ENOSYS.
        syscalls.push(json!({
            "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS
        }));
    }
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ARCHITECTURES,
        "syscalls": syscalls,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(profile: &Value, name: &str) -> bool {
        profile["syscalls"].as_array().unwrap().iter().any(|rule| {
            rule["action"] == "SCMP_ACT_ALLOW"
                && rule.get("args").is_none()
                && rule["names"].as_array().unwrap().iter().any(|n| n == name)
        })
    }

    #[test]
    fn what_opens_the_host_needs_its_capability() {
        let plain = profile(&[]);
        for name in
            ["mount", "bpf", "unshare", "setns", "reboot", "init_module", "clone", "io_uring_setup"]
        {
            assert!(!allowed(&plain, name), "{name}");
        }
        assert!(allowed(&plain, "execve"));
        let admin = profile(&["CAP_SYS_ADMIN".to_owned()]);
        assert!(allowed(&admin, "mount") && allowed(&admin, "clone"));
        assert!(!allowed(&admin, "reboot"));
    }

    #[test]
    fn no_call_is_listed_twice() {
        let mut names: Vec<&str> = ALWAYS.split_whitespace().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
