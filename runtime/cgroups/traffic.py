"""Tasks, disks, huge pages, network classes, RDMA, and what the user wants written literally (v2's `unified`)."""

import re
from collections.abc import Callable

from runtime.cgroups.settings import NO_LIMIT_V2, Setting, row
from runtime.errors import InvalidSpec
from runtime.spec.resources import LinuxBlockIO, LinuxResources, LinuxWeightDevice


def pids(resources: LinuxResources) -> tuple[Setting, ...]:
    if resources.pids is None:
        return ()
    limit = resources.pids.limit
    return row("pids.limit", "pids", "pids.max", None if limit == 0 else str(limit) if limit > 0 else NO_LIMIT_V2)


# The rates of a block device: the field, ours and in JSON, v1's file, v2's key in io.max.
THROTTLES = (
    ("throttle_read_bps_device", "throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"),
    ("throttle_write_bps_device", "throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"),
    ("throttle_read_iops_device", "throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"),
    ("throttle_write_iops_device", "throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"),
)


def blkio_v1(resources: LinuxResources) -> tuple[Setting, ...]:
    block = weighed(resources.block_io or LinuxBlockIO())
    rows = [*row("blockIO.weight", "blkio", "blkio.weight", block.weight or None,
                 instead=(("blkio.bfq.weight", block.weight),)),
            *row("blockIO.leafWeight", "blkio", "blkio.leaf_weight", block.leaf_weight or None)]
    for number, device in enumerate(block.weight_device):
        at = f"blockIO.weightDevice[{number}]"
        weight, leaf = (_on(device.major, device.minor, one or None) for one in (device.weight, device.leaf_weight))
        rows += row(at, "blkio", "blkio.weight_device", weight, instead=(("blkio.bfq.weight_device", weight),))
        rows += row(at, "blkio", "blkio.leaf_weight_device", leaf)
    for field, name, file, _ in THROTTLES:
        for number, throttle in enumerate(getattr(block, field)):
            rows += row(f"blockIO.{name}[{number}]", "blkio", file,
                        f"{throttle.major}:{throttle.minor} {throttle.rate}")
    return tuple(rows)


def io_v2(resources: LinuxResources) -> tuple[Setting, ...]:
    block = weighed(resources.block_io or LinuxBlockIO())
    # The scheduler bfq has v1's scale, the cost model (io.weight) its own. A device may be of neither.
    rows = list(row("blockIO.weight", "io", "io.bfq.weight", block.weight or None,
                    instead=(("io.weight", _io_weight(block.weight)),)))
    for number, device in enumerate(block.weight_device):
        own, converted = (_on(device.major, device.minor, value)
                          for value in (device.weight or None, _io_weight(device.weight)))
        rows += row(f"blockIO.weightDevice[{number}]", "io", "io.bfq.weight", own,
                    instead=(("io.weight", converted),), optional=True)
    for field, name, _, key in THROTTLES:
        for number, throttle in enumerate(getattr(block, field)):
            rows += row(f"blockIO.{name}[{number}]", "io", "io.max",
                        f"{throttle.major}:{throttle.minor} {key}={throttle.rate or NO_LIMIT_V2}")
    return tuple(rows)


def weighed(block: LinuxBlockIO) -> LinuxBlockIO:
    """With weights as they may be; 0, Go's zero value, is none. Raises InvalidSpec."""
    places: list[tuple[str, LinuxBlockIO | LinuxWeightDevice]] = [("", block)]
    places += [(f".weightDevice[{number}]", device) for number, device in enumerate(block.weight_device)]
    for at, one in places:
        for name, weight in (("weight", one.weight), ("leafWeight", one.leaf_weight)):
            if weight and not 10 <= weight <= 1000:
                raise InvalidSpec(f"$.linux.resources.blockIO{at}.{name}: {weight} is not in the range from 10 to 1000")
    return block


def _on(major: int, minor: int, value: int | None) -> str | None:
    return None if value is None else f"{major}:{minor} {value}"


def _io_weight(weight: int | None) -> int | None:
    """10..1000 stretched to 1..10000, linearly (runc, ConvertBlkIOToIOWeightValue)."""
    return None if weight is None else 1 + (max(weight, 10) - 10) * 9999 // 990


def hugetlb(file: str) -> Callable[[LinuxResources], tuple[Setting, ...]]:
    def settings(resources: LinuxResources) -> tuple[Setting, ...]:
        rows: tuple[Setting, ...] = ()
        for number, limit in enumerate(resources.hugepage_limits):
            at = f"hugepageLimits[{number}]"
            if not re.fullmatch(r"[0-9]+[KMG]B", limit.page_size, re.ASCII):
                raise InvalidSpec(f"$.linux.resources.{at}.pageSize: {limit.page_size!r} is not a size like 2MB")
            rows += row(at, "hugetlb", file.format(limit.page_size), limit.limit)
            # What is reserved by mmap(2) counts before it is touched; since Linux 5.7.
            rows += row(at, "hugetlb", file.format(f"{limit.page_size}.rsvd"), limit.limit, optional=True)
        return rows
    return settings


def net_cls(resources: LinuxResources) -> tuple[Setting, ...]:
    return row("network.classID", "net_cls", "net_cls.classid", resources.network.class_id) if resources.network else ()


def net_prio(resources: LinuxResources) -> tuple[Setting, ...]:
    priorities = resources.network.priorities if resources.network else ()
    return tuple(one for number, given in enumerate(priorities) for one in row(
        f"network.priorities[{number}]", "net_prio", "net_prio.ifpriomap", f"{given.name} {given.priority}"))


def rdma(resources: LinuxResources) -> tuple[Setting, ...]:
    rows: tuple[Setting, ...] = ()
    for device, limits in sorted(resources.rdma.items()):
        asked = (("hca_handle", limits.hca_handles), ("hca_object", limits.hca_objects))
        words = " ".join(f"{key}={value}" for key, value in asked if value is not None)
        rows += row(f"rdma[{device!r}]", "rdma", "rdma.max", f"{device} {words}" if words else None)
    return rows


def unified(resources: LinuxResources) -> tuple[Setting, ...]:
    """What the user wants written literally. A name with a slash would be a file of somebody else's cgroup."""
    for file in resources.unified:
        if not re.fullmatch(r"[a-z0-9_]+(\.[A-Za-z0-9_]+)+", file, re.ASCII) or file.startswith("cgroup."):
            raise InvalidSpec(f"$.linux.resources.unified: {file!r} is not a controller's file")
    return tuple(one for file, value in resources.unified.items()
                 for one in row(f"unified[{file!r}]", file.split(".")[0], file, value))
