"""config.json: what a container is to be (runtime-spec 1.2, config.md).

    Spec ─┬─ process   what runs: arguments, environment, identity, capabilities, limits
          ├─ root      the directory that becomes /
          ├─ mounts    what is mounted below it, in order
          ├─ hooks     programs of the caller, at fixed moments
          └─ linux     namespaces, cgroups, devices, and what else only Linux has
"""

import msgspec

from runtime.spec.linux import Linux, LinuxIDMapping
from runtime.spec.values import AbsolutePath, Document, Id, Int64, Text, UInt16, UInt32, UInt64


class ConsoleSize(Document, frozen=True, kw_only=True):
    """The terminal's size in characters; struct winsize (ioctl_tty(2)) has 16 bits for each."""

    height: UInt16
    width: UInt16


class User(Document, frozen=True, kw_only=True):
    """Numbers only: names were resolved by whoever wrote the file, in the container's own passwd."""

    uid: Id = 0
    gid: Id = 0
    umask: UInt32 | None = None
    additional_gids: tuple[Id, ...] = ()
    username: str = ""


class LinuxCapabilities(Document, frozen=True, kw_only=True):
    """The five sets of capabilities(7), as names (CAP_CHOWN)."""

    bounding: tuple[str, ...] = ()
    effective: tuple[str, ...] = ()
    inheritable: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()


class POSIXRlimit(Document, frozen=True, kw_only=True):
    """setrlimit(2): `type` is RLIMIT_NOFILE and its like; 2^64-1 is no limit."""

    type: str
    hard: UInt64
    soft: UInt64


class Scheduler(Document, frozen=True, kw_only=True):
    """sched_setattr(2)."""

    policy: str
    nice: Int64 = 0
    priority: Int64 = 0
    flags: tuple[str, ...] = ()
    runtime: UInt64 = 0
    deadline: UInt64 = 0
    period: UInt64 = 0


class LinuxIOPriority(Document, frozen=True, kw_only=True):
    """ioprio_set(2)."""

    class_: str = msgspec.field(name="class")
    priority: Int64 = 0


class CPUAffinity(Document, frozen=True, kw_only=True):
    """The CPUs of a process that joins: before it is in the container's cgroup, and after."""

    initial: str = ""
    final: str = ""


class Process(Document, frozen=True, kw_only=True):
    """The program that runs in the container. `args[0]` is looked up in the PATH of `env`."""

    cwd: AbsolutePath
    args: tuple[Text, ...] = ()
    env: tuple[Text, ...] = ()
    terminal: bool = False
    console_size: ConsoleSize | None = None
    user: User = User()
    capabilities: LinuxCapabilities | None = None
    rlimits: tuple[POSIXRlimit, ...] = ()
    no_new_privileges: bool = False
    apparmor_profile: Text = ""
    selinux_label: Text = ""
    oom_score_adj: Int64 | None = None
    scheduler: Scheduler | None = None
    io_priority: LinuxIOPriority | None = None
    exec_cpu_affinity: CPUAffinity | None = msgspec.field(default=None, name="execCPUAffinity")


class Root(Document, frozen=True, kw_only=True):
    """The root file system: absolute, or relative to the bundle."""

    path: Text
    readonly: bool = False


class Mount(Document, frozen=True, kw_only=True):
    """One mount, as in fstab. `type` may be missing for bind mounts, whose source may be relative to the bundle."""

    destination: Text
    type: Text = ""
    source: Text = ""
    options: tuple[Text, ...] = ()
    uid_mappings: tuple[LinuxIDMapping, ...] = ()
    gid_mappings: tuple[LinuxIDMapping, ...] = ()


class Hook(Document, frozen=True, kw_only=True):
    """A program of the caller's; `timeout` in seconds."""

    path: AbsolutePath
    args: tuple[Text, ...] = ()
    env: tuple[Text, ...] = ()
    timeout: Int64 | None = None


class Hooks(Document, frozen=True, kw_only=True):
    """The six moments at which hooks run."""

    prestart: tuple[Hook, ...] = ()
    create_runtime: tuple[Hook, ...] = ()
    create_container: tuple[Hook, ...] = ()
    start_container: tuple[Hook, ...] = ()
    poststart: tuple[Hook, ...] = ()
    poststop: tuple[Hook, ...] = ()


class Spec(Document, frozen=True, kw_only=True):
    """The whole of config.json."""

    oci_version: str
    process: Process | None = None
    root: Root | None = None
    hostname: Text = ""
    domainname: Text = ""
    mounts: tuple[Mount, ...] = ()
    hooks: Hooks | None = None
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    linux: Linux | None = None
