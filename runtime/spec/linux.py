"""`linux`: what only Linux has (runtime-spec, config-linux.md)."""

from enum import StrEnum

import msgspec

from runtime.spec.resources import LinuxResources
from runtime.spec.values import AbsolutePath, Document, Id, Int64, Text, UInt32, UInt64


class NamespaceType(StrEnum):
    """The kinds of namespaces, by the specification's names (the kernel calls mount `mnt`, network `net`)."""

    PID = "pid"
    NETWORK = "network"
    MOUNT = "mount"
    IPC = "ipc"
    UTS = "uts"
    USER = "user"
    CGROUP = "cgroup"
    TIME = "time"


class LinuxNamespace(Document, frozen=True, kw_only=True):
    """A namespace to be in: a new one, or the one at `path`. A type that is not listed is shared with the caller."""

    type: NamespaceType
    path: Text = ""


class LinuxIDMapping(Document, frozen=True, kw_only=True):
    """`size` ids from `container_id` on are the host's ids from `host_id` on."""

    container_id: UInt32 = msgspec.field(name="containerID")
    host_id: UInt32 = msgspec.field(name="hostID")
    size: UInt32


class LinuxDevice(Document, frozen=True, kw_only=True):
    """A device node: `type` is c, u, b or p; `file_mode` the permission bits."""

    path: AbsolutePath
    type: str
    major: Int64 = 0
    minor: Int64 = 0
    file_mode: UInt32 | None = None
    uid: Id | None = None
    gid: Id | None = None


class LinuxSeccompArg(Document, frozen=True, kw_only=True):
    """One comparison of a system call's argument."""

    index: UInt32
    value: UInt64
    value_two: UInt64 = 0
    op: str


class LinuxSyscall(Document, frozen=True, kw_only=True):
    """One rule: these names, with these arguments, get this action."""

    names: tuple[str, ...]
    action: str
    errno_ret: UInt32 | None = None
    args: tuple[LinuxSeccompArg, ...] = ()


class LinuxSeccomp(Document, frozen=True, kw_only=True):
    """The filter of system calls (seccomp(2))."""

    default_action: str
    default_errno_ret: UInt32 | None = None
    architectures: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    listener_path: Text = ""
    listener_metadata: str = ""
    syscalls: tuple[LinuxSyscall, ...] = ()


class LinuxTimeOffset(Document, frozen=True, kw_only=True):
    """How far a clock of a new time namespace is from the host's."""

    secs: Int64 = 0
    nanosecs: UInt32 = 0


class LinuxPersonality(Document, frozen=True, kw_only=True):
    """personality(2): LINUX or LINUX32."""

    domain: str
    flags: tuple[str, ...] = ()


class LinuxIntelRdt(Document, frozen=True, kw_only=True):
    """Cache and bandwidth allocation of Intel processors; decoded so that it can be refused by name."""

    clos_id: str = msgspec.field(default="", name="closID")
    l3_cache_schema: str = ""
    mem_bw_schema: str = ""


class Linux(Document, frozen=True, kw_only=True):
    """The Linux part of config.json."""

    namespaces: tuple[LinuxNamespace, ...] = ()
    uid_mappings: tuple[LinuxIDMapping, ...] = ()
    gid_mappings: tuple[LinuxIDMapping, ...] = ()
    time_offsets: dict[str, LinuxTimeOffset] = msgspec.field(default_factory=dict)
    devices: tuple[LinuxDevice, ...] = ()
    cgroups_path: Text = ""
    resources: LinuxResources | None = None
    intel_rdt: LinuxIntelRdt | None = None
    rootfs_propagation: str = ""
    seccomp: LinuxSeccomp | None = None
    sysctl: dict[str, Text] = msgspec.field(default_factory=dict)
    masked_paths: tuple[AbsolutePath, ...] = ()
    readonly_paths: tuple[AbsolutePath, ...] = ()
    mount_label: Text = ""
    personality: LinuxPersonality | None = None

    def has(self, kind: NamespaceType) -> bool:
        """Whether the container is in another namespace of this kind than the caller."""
        return any(one.type is kind for one in self.namespaces)

    def makes(self, kind: NamespaceType) -> bool:
        """Whether it has one of its own."""
        return any(one.type is kind and not one.path for one in self.namespaces)
