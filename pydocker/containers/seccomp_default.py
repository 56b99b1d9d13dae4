"""The default profile: what any container may ask of the kernel. What is not here is refused with EPERM.

The list is Docker's (github.com/moby/profiles, seccomp), and tighter where a call has let programs out since, or
speaks to something that no namespace divides:

    add_key keyctl request_key     the keyrings are the kernel's, not the container's
    socket                         neither AF_ALG (CVE-2026-31431) nor AF_VSOCK, which reaches the host of a machine
    socketcall                     i386's way around that: its arguments lie in memory, where no filter can look.
                                   32-bit programs have called socket(2) itself since Linux 4.3
    io_uring_*                     does what other calls do, and no filter sees it

Further calls come with the capability that the kernel asks for anyway: without it they would fail, with it they are
what the capability was given for. A rule for a call that a kernel or machine does not have costs nothing.
"""

from pydocker.containers.seccomp import Architecture, Argument, Profile, Rule, Where

_ALLOW = "SCMP_ACT_ALLOW"
_AF_ALG, _AF_VSOCK = 38, 40
_NAMESPACES = 0x7E020000  # CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # LINUX, LINUX32, the two with UNAME26, "which is it?"
_ENOSYS = 38

_ALWAYS = """
    accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 clock_adjtime
    clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
    clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1
    epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit
    exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2
    fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat
    fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait
    futex_waitv futex_wake futimesat getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid
    getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom
    getresgid getresgid32 getresuid getresuid32 getrlimit get_robust_list getrusage getsid getsockname getsockopt
    get_thread_area gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init
    inotify_init1 inotify_rm_watch io_cancel ioctl io_destroy io_getevents io_pgetevents io_pgetevents_time64
    ioprio_get ioprio_set io_setup io_submit ipc kill landlock_add_rule landlock_create_ruleset
    landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr
    _llseek lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret
    mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open
    mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget
    msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat _newselect open openat
    openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64
    prctl pread64 preadv preadv2 prlimit64 process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read
    readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr
    removexattrat rename renameat renameat2 restart_syscall riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending
    rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
    rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min
    sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr
    sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64
    send sendfile sendfile64 sendmmsg sendmsg sendto setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
    setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid
    setresuid32 setreuid setreuid32 setrlimit set_robust_list setsid setsockopt set_thread_area set_tid_address
    setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4
    sigprocmask sigreturn socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync
    sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime
    timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime
    timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime
    utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
"""

_OF_CAPABILITIES = {
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_ADMIN": "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr "
                     "lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open "
                     "quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module init_module finit_module",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "CAP_SYS_RAWIO": "iopl ioperm",
    "CAP_SYS_TIME": "settimeofday stime clock_settime clock_settime64",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYSLOG": "syslog",
    "CAP_BPF": "bpf",
    "CAP_PERFMON": "perf_event_open",
}

_OF_MACHINES = {
    ("ppc64le",): "sync_file_range2 swapcontext",
    ("arm", "arm64"): "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
    ("amd64", "x32"): "arch_prctl",
    ("amd64", "x32", "x86"): "modify_ldt",
    ("s390", "s390x"): "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr",
    ("riscv64",): "riscv_flush_icache",
}

_FAMILIES = {  # besides its own, what the kernel of such a machine takes calls of
    "X86_64": ("X86", "X32"), "AARCH64": ("ARM",), "MIPS64": ("MIPS", "MIPS64N32"), "MIPS64N32": ("MIPS", "MIPS64"),
    "MIPSEL64": ("MIPSEL", "MIPSEL64N32"), "MIPSEL64N32": ("MIPSEL", "MIPSEL64"), "S390X": ("S390",), "RISCV64": (),
}


def _allowed(name: str, index: int, op: str, value: int, value_two: int = 0, includes: Where | None = None,
             excludes: Where | None = None) -> Rule:
    return Rule(_ALLOW, (name,), args=(Argument(index, value, op, value_two),), includes=includes, excludes=excludes)


_S390 = ("s390", "s390x")
_ADMIN = ("CAP_SYS_ADMIN",)

_RULES = (
    Rule(_ALLOW, tuple(_ALWAYS.split())),
    # Before 4.8 a tracer could change a call after the filter had looked at it (CVE-2019-2054).
    Rule(_ALLOW, ("process_vm_readv", "process_vm_writev", "ptrace"), includes=Where(min_kernel="4.8")),
    _allowed("socket", 0, "SCMP_CMP_LT", _AF_ALG),
    _allowed("socket", 0, "SCMP_CMP_EQ", _AF_ALG + 1),
    _allowed("socket", 0, "SCMP_CMP_GT", _AF_VSOCK),
    *(_allowed("personality", 0, "SCMP_CMP_EQ", one) for one in _PERSONALITIES),
    # A new namespace needs CAP_SYS_ADMIN, but for user namespaces, which any program may make, and with them much of
    # the kernel that was written for root alone (CVE-2022-0185). s390 has the flags in the second argument.
    _allowed("clone", 0, "SCMP_CMP_MASKED_EQ", _NAMESPACES, excludes=Where(_ADMIN, _S390)),
    _allowed("clone", 1, "SCMP_CMP_MASKED_EQ", _NAMESPACES, includes=Where(arches=_S390), excludes=Where(_ADMIN)),
    # Its flags lie in memory, out of sight: libc hears that there is no such call, and uses clone.
    Rule("SCMP_ACT_ERRNO", ("clone3",), errno_ret=_ENOSYS, excludes=Where(_ADMIN)),
    *(Rule(_ALLOW, tuple(names.split()), includes=Where(arches=machines)) for machines, names in _OF_MACHINES.items()),
    *(Rule(_ALLOW, tuple(names.split()), includes=Where(caps=(capability,)))
      for capability, names in _OF_CAPABILITIES.items()),
)

PROFILE = Profile(
    default_action="SCMP_ACT_ERRNO", default_errno_ret=1,
    arch_map=tuple(Architecture(f"SCMP_ARCH_{own}", tuple(f"SCMP_ARCH_{other}" for other in others))
                   for own, others in _FAMILIES.items()),
    syscalls=_RULES)
