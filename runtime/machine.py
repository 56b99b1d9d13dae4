"""What the plan has to know of the machine: a few facts, read once, so that deciding itself is pure."""

import msgspec

from runtime.cgroups import Layout, read_layout
from runtime.linux import capabilities
from runtime.linux.descriptors import read


class Machine(msgspec.Struct, frozen=True):
    """`cgroups` where the hierarchies are; `capabilities` those that this process holds, as a bit mask; `last` the
    highest one that the kernel knows."""

    cgroups: Layout
    capabilities: int
    last: int


def look() -> Machine:
    """This machine, as this process sees it. Raises OSError."""
    return Machine(cgroups=read_layout(), capabilities=capabilities.capget()[1],
                   last=int(read("/proc/sys/kernel/cap_last_cap")))
