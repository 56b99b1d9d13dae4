"""What a container gets when nobody asks for anything else: Docker's and runc's defaults, as data.

Capabilities: Docker's fourteen. A root that lacks the rest cannot load modules, mount, trace others or change clocks.
Masked and read-only paths: files of /proc and /sys that speak of, or to, the host, and that no namespace separates.
Sources: moby oci/defaults.go and oci/caps/defaults.go, `runc spec`, config-linux.md "Default Filesystems".
"""

from runtime.spec.config import Mount
from runtime.spec.linux import LinuxNamespace, NamespaceType

DEFAULT_CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)

READONLY_PATHS = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def default_namespaces() -> tuple[LinuxNamespace, ...]:
    """New namespaces of every kind that needs no further setting up. The user namespace is the host's, as Docker's."""
    kinds = (NamespaceType.MOUNT, NamespaceType.NETWORK, NamespaceType.UTS, NamespaceType.PID, NamespaceType.IPC,
             NamespaceType.CGROUP)
    return tuple(LinuxNamespace(type=kind) for kind in kinds)


def default_mounts(*, shm_size: int = 64 << 20) -> tuple[Mount, ...]:
    """The file systems that programs expect; `shm_size` (bytes) bounds /dev/shm.

    /sys and the cgroups are read-only: writing there configures the host (CVE-2022-0492).
    """
    return (
        Mount(destination="/proc", type="proc", source="proc", options=("nosuid", "noexec", "nodev")),
        Mount(destination="/dev", type="tmpfs", source="tmpfs",
              options=("nosuid", "strictatime", "mode=755", "size=65536k")),
        Mount(destination="/dev/pts", type="devpts", source="devpts",
              options=("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
        Mount(destination="/sys", type="sysfs", source="sysfs", options=("nosuid", "noexec", "nodev", "ro")),
        Mount(destination="/sys/fs/cgroup", type="cgroup", source="cgroup",
              options=("ro", "nosuid", "noexec", "nodev")),
        Mount(destination="/dev/mqueue", type="mqueue", source="mqueue", options=("nosuid", "noexec", "nodev")),
        Mount(destination="/dev/shm", type="tmpfs", source="shm",  # noqa: S108 (the container's own)
              options=("nosuid", "noexec", "nodev", "mode=1777", f"size={shm_size}")),
    )
