"""capabilities(7): their names, and the three sets of a process as capset(2) takes them.

The bounding set is dropped by prctl (see `prctl`); the ambient set is raised by prctl, too, one by one.
"""

import ctypes

from runtime.linux.calls import call, check, libc

NAMES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
    "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)
NUMBERS = {name: number for number, name in enumerate(NAMES)}

_VERSION_3 = 0x20080522  # 64 bits of capabilities, in two words (capget(2))


class Header(ctypes.Structure):
    """struct __user_cap_header_struct."""

    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class Data(ctypes.Structure):
    """struct __user_cap_data_struct."""

    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32),
                ("inheritable", ctypes.c_uint32)]


def mask(names: tuple[str, ...]) -> int:
    """The set as a bit mask. Raises KeyError for an unknown name."""
    return sum(1 << number for number in {NUMBERS[name] for name in names})


def capget() -> tuple[int, int, int]:
    """This process's effective, permitted and inheritable set, as bit masks. capget(2)."""
    words = (Data * 2)()
    check(libc.capget(ctypes.byref(Header(_VERSION_3, 0)), words))
    return (words[0].effective | words[1].effective << 32,
            words[0].permitted | words[1].permitted << 32,
            words[0].inheritable | words[1].inheritable << 32)


def held() -> tuple[str, ...]:
    """Those that this process may use: root's are all, unless its surroundings (a VM, a container) withhold some."""
    permitted = capget()[1]
    return tuple(name for number, name in enumerate(NAMES) if permitted & 1 << number)


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Set the three sets. Raises PermissionError where a capability is not in the permitted set. capset(2)."""
    low = Data(effective & 0xFFFFFFFF, permitted & 0xFFFFFFFF, inheritable & 0xFFFFFFFF)
    high = Data(effective >> 32, permitted >> 32, inheritable >> 32)
    call("capset", Header(_VERSION_3, 0), (Data * 2)(low, high))
