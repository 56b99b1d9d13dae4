"""`update`: other limits for a container that runs.

What is asked for is laid over the limits that the container has (state.json remembers them): the kernel's files depend
on each other (swap is counted with memory, a quota is part of a period), so a change of one needs the other's value.
The whole is written in an order that the kernel takes (`cgroups.change`), or nothing of it; only then state.json says
so. Devices are no limits, and stay as they are (as in runc).
"""

import os
import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from runtime import cgroups, log
from runtime.errors import InvalidArgument, WrongState
from runtime.linux.descriptors import drain
from runtime.spec import Status, document
from runtime.spec.resources import LinuxBlockIO, LinuxCPU, LinuxMemory, LinuxPids, LinuxResources
from runtime.spec.values import Document
from runtime.state import Place, status

MOST = 16 << 20  # bytes of a document
UNLIMITED = -1
UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50}

# runc's flags: which field each sets.
MEMORY = {"memory": "limit", "memory-reservation": "reservation", "memory-swap": "swap"}
UNSIGNED = {"cpu-period": "period", "cpu-share": "shares", "cpu-rt-period": "realtime_period", "cpu-burst": "burst"}
SIGNED = {"cpu-quota": "quota", "cpu-rt-runtime": "realtime_runtime", "cpu-idle": "idle"}
WORDS = {"cpuset-cpus": "cpus", "cpuset-mems": "mems"}
IGNORED = ("kernel-memory", "kernel-memory-tcp")
REFUSED = {"l3-cache-schema": "Intel RDT/CAT: l3 cache schema is not enabled",
           "mem-bw-schema": "Intel RDT/MBA: memory bandwidth schema is not enabled"}


def update(place: Place, change: LinuxResources) -> None:
    """Change the limits. Raises NoSuchContainer, WrongState, InvalidSpec, StepFailed; then nothing is changed."""
    record = place.record()
    if status(place, record) is Status.STOPPED:
        raise WrongState("container not running")
    resources = merged(record.resources or LinuxResources(), change)
    cgroup = cgroups.open(record.cgroup_path, systemd=record.systemd)
    for warning in cgroup.ignored(change):
        log.warning(warning)
    with cgroup.apply(resources, record.resources) as undo:
        # Asked for now, and not for ever: it would get in the way of the next change.
        memory = resources.memory and msgspec.structs.replace(resources.memory, check_before_update=None)
        place.write(msgspec.structs.replace(record, resources=msgspec.structs.replace(resources, memory=memory)))
        undo.pop_all()


def merged(present: LinuxResources, change: LinuxResources) -> LinuxResources:
    """The limits that are, with those that shall be. What the change leaves out, or has as 0 or "", stays."""
    memory = over(present.memory, change.memory)
    if change.memory and change.memory.limit == UNLIMITED and not change.memory.swap:
        memory = msgspec.structs.replace(memory or LinuxMemory(), swap=UNLIMITED)  # else it would be bound as before
    pids = change.pids if change.pids and change.pids.limit else present.pids
    return LinuxResources(
        memory=memory, cpu=over(present.cpu, change.cpu), pids=pids, block_io=over(present.block_io, change.block_io),
        hugepage_limits=(*(one for one in present.hugepage_limits
                           if one.page_size not in {other.page_size for other in change.hugepage_limits}),
                         *change.hugepage_limits),
        network=over(present.network, change.network), rdma={**present.rdma, **change.rdma},
        unified={**present.unified, **change.unified})


Part = TypeVar("Part", bound=Document)
FALSY_IS_A_VALUE = ("idle", "burst", "swappiness", "check_before_update", "class_id")


def over(present: Part | None, change: Part | None) -> Part | None:
    """One object's fields laid over the other's."""
    if present is None or change is None:
        return change or present
    asked = {name: getattr(change, name) for name in change.__struct_fields__}
    given = {name: value for name, value in asked.items()
             if value or (value is not None and name in FALSY_IS_A_VALUE)}
    return msgspec.structs.replace(present, **given)


def from_file(name: str) -> LinuxResources:
    """The document that --resources names; `-` is standard input. Raises InvalidArgument, InvalidSpec."""
    try:
        descriptor = os.dup(0) if name == "-" else os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidArgument(f"open {name}: {str(error.strerror).lower()}") from error
    try:
        return document(drain(descriptor, MOST), LinuxResources, "standard input" if name == "-" else name)
    finally:
        os.close(descriptor)


def from_flags(given: Mapping[str, str]) -> LinuxResources:
    """What the other flags say; those that were not given are "". Raises InvalidArgument."""
    for name, words in REFUSED.items():
        if given.get(name):
            raise InvalidArgument(words)
    for name in IGNORED:
        if given.get(name):
            log.warning(f"Setting --{name} is ignored and will be removed")
    memory = {field: size(name, given[name]) for name, field in MEMORY.items() if given.get(name)}
    cpu: dict[str, int | str] = {field: number(name, given[name]) for name, field in SIGNED.items() if given.get(name)}
    cpu |= {field: number(name, given[name], least=0) for name, field in UNSIGNED.items() if given.get(name)}
    cpu |= {field: given[name] for name, field in WORDS.items() if given.get(name)}
    weight, limit = (number(name, given.get(name) or "0") for name in ("blkio-weight", "pids-limit"))
    if not 0 <= weight <= 1000:
        raise InvalidArgument(f"invalid value for blkio-weight: {weight}: range is from 10 to 1000")
    return LinuxResources(memory=msgspec.structs.replace(LinuxMemory(), **memory) if memory else None,
                          cpu=msgspec.structs.replace(LinuxCPU(), **cpu) if cpu else None,
                          block_io=LinuxBlockIO(weight=weight) if weight else None,
                          pids=LinuxPids(limit=limit) if limit else None)


def number(name: str, word: str, *, least: int = -2**63) -> int:
    """A decimal number of 64 bits. Raises InvalidArgument, in the words of Go's parser."""
    call = "ParseUint" if least == 0 else "ParseInt"
    if not re.fullmatch(r"[0-9]+" if least == 0 else r"[+-]?[0-9]+", word, re.ASCII):
        raise InvalidArgument(f'invalid value for {name}: strconv.{call}: parsing "{word}": invalid syntax')
    if len(word) > 20 or not least <= int(word) < (2**64 if least == 0 else 2**63):
        raise InvalidArgument(f'invalid value for {name}: strconv.{call}: parsing "{word}": value out of range')
    return int(word)


def size(name: str, word: str) -> int:
    """Bytes: a number with a unit of 1024 (512m, 1.5GiB), or -1 for no limit. Raises InvalidArgument."""
    if word == "-1":
        return UNLIMITED
    found = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([kmgtp]?)i?b?", word, re.ASCII | re.IGNORECASE)
    if not found:
        raise InvalidArgument(f"invalid value for {name}: invalid size: '{word}'")
    value = int(float(found[1]) * (1 << UNITS[found[2].lower()])) if "." in found[1] else (
        int(found[1]) << UNITS[found[2].lower()])
    if value >= 2**63:
        raise InvalidArgument(f"invalid value for {name}: value out of range: '{word}'")
    return value
