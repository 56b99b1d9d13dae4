"""`linux.resources`: the limits that cgroups enforce (runtime-spec, config-linux.md "Control groups").

Units are the specification's: bytes, microseconds, shares. -1 means "no limit" where a field is signed.
None means that nothing was asked for, which is not the same as 0.
"""

import msgspec

from runtime.spec.values import Document, Int64, Text, UInt16, UInt32, UInt64


class LinuxDeviceCgroup(Document, frozen=True, kw_only=True, omit_defaults=False):
    """One rule of the device controller: `type` is a (all), b or c; a missing number matches all; `access` of "rwm".

    Written in full: runc refuses a rule without `access`.
    """

    allow: bool
    type: str = "a"
    major: Int64 | None = None
    minor: Int64 | None = None
    access: str = "rwm"


class LinuxMemory(Document, frozen=True, kw_only=True):
    """Bytes. `swap` is memory and swap together, as cgroup v1 counts; `swappiness` is 0..100."""

    limit: Int64 | None = None
    reservation: Int64 | None = None
    swap: Int64 | None = None
    kernel: Int64 | None = None
    kernel_tcp: Int64 | None = msgspec.field(default=None, name="kernelTCP")
    swappiness: UInt64 | None = None
    disable_oom_killer: bool | None = msgspec.field(default=None, name="disableOOMKiller")
    use_hierarchy: bool | None = None
    check_before_update: bool | None = None


class LinuxCPU(Document, frozen=True, kw_only=True):
    """`shares` are relative (1024 is one); `quota` and `burst` microseconds for each `period` microseconds."""

    shares: UInt64 | None = None
    quota: Int64 | None = None
    burst: UInt64 | None = None
    period: UInt64 | None = None
    realtime_runtime: Int64 | None = None
    realtime_period: UInt64 | None = None
    cpus: Text = ""
    mems: Text = ""
    idle: Int64 | None = None


class LinuxPids(Document, frozen=True, kw_only=True):
    """How many tasks; -1 and 0 (Go's zero value) are no limit."""

    limit: Int64


class LinuxWeightDevice(Document, frozen=True, kw_only=True):
    """The share of one block device."""

    major: Int64
    minor: Int64
    weight: UInt16 | None = None
    leaf_weight: UInt16 | None = None


class LinuxThrottleDevice(Document, frozen=True, kw_only=True):
    """Bytes or operations a second on one block device."""

    major: Int64
    minor: Int64
    rate: UInt64


class LinuxBlockIO(Document, frozen=True, kw_only=True):
    """Weights are 10..1000."""

    weight: UInt16 | None = None
    leaf_weight: UInt16 | None = None
    weight_device: tuple[LinuxWeightDevice, ...] = ()
    throttle_read_bps_device: tuple[LinuxThrottleDevice, ...] = ()
    throttle_write_bps_device: tuple[LinuxThrottleDevice, ...] = ()
    throttle_read_iops_device: tuple[LinuxThrottleDevice, ...] = msgspec.field(
        default=(), name="throttleReadIOPSDevice")
    throttle_write_iops_device: tuple[LinuxThrottleDevice, ...] = msgspec.field(
        default=(), name="throttleWriteIOPSDevice")


class LinuxHugepageLimit(Document, frozen=True, kw_only=True):
    """`page_size` as in the controller's file names ("2MB"), `limit` in bytes."""

    page_size: Text
    limit: UInt64


class LinuxInterfacePriority(Document, frozen=True, kw_only=True):
    """The priority of what leaves by one interface (v1's net_prio)."""

    name: Text
    priority: UInt32


class LinuxNetwork(Document, frozen=True, kw_only=True):
    """v1's net_cls and net_prio."""

    class_id: UInt32 | None = msgspec.field(default=None, name="classID")
    priorities: tuple[LinuxInterfacePriority, ...] = ()


class LinuxRdma(Document, frozen=True, kw_only=True):
    """Handles and objects of one RDMA device."""

    hca_handles: UInt32 | None = None
    hca_objects: UInt32 | None = None


class LinuxResources(Document, frozen=True, kw_only=True):
    """Everything that a container's cgroup limits."""

    devices: tuple[LinuxDeviceCgroup, ...] = ()
    memory: LinuxMemory | None = None
    cpu: LinuxCPU | None = None
    pids: LinuxPids | None = None
    block_io: LinuxBlockIO | None = msgspec.field(default=None, name="blockIO")
    hugepage_limits: tuple[LinuxHugepageLimit, ...] = ()
    network: LinuxNetwork | None = None
    rdma: dict[str, LinuxRdma] = msgspec.field(default_factory=dict)
    unified: dict[str, str] = msgspec.field(default_factory=dict)
