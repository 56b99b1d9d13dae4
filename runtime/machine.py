"""What the plan has to know of the machine: a few facts, read once, so that deciding itself is pure."""

import os

import msgspec

from runtime.cgroups import Layout, read_layout
from runtime.linux.descriptors import read

APPARMOR = "/sys/module/apparmor/parameters/enabled"


class Machine(msgspec.Struct, frozen=True):
    """`cgroups` where the hierarchies are; `capabilities` those that root can have here, as a bit mask; `last` the
    highest one that the kernel knows; `apparmor`, `selinux` whether the kernel has these modules, and uses them."""

    cgroups: Layout
    capabilities: int
    last: int
    apparmor: bool = False
    selinux: bool = False


def look(*, mapped: bool = False) -> Machine:
    """This machine, as this process sees it; who enters a user namespace has all capabilities there. Raises OSError."""
    # The bounding set, and not what this process holds: `explain` asks what root could do, without being root.
    status = dict(line.split(b":\t", 1) for line in read("/proc/self/status").splitlines() if b":\t" in line)
    last = int(read("/proc/sys/kernel/cap_last_cap"))
    return Machine(cgroups=read_layout(), last=last,
                   capabilities=(2 << last) - 1 if mapped else int(status[b"CapBnd"], 16),
                   apparmor=os.path.exists(APPARMOR) and read(APPARMOR).startswith(b"Y"),
                   selinux=os.path.exists("/sys/fs/selinux/enforce"))
