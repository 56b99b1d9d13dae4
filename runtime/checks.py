"""What a config.json may ask for: everything that is right by type and still makes no sense, or is not to be had.

Each check is one row: a field's JSON path, and the words about what is wrong with it. A field that this runtime does
not support is refused by name; nothing is silently ignored.
"""

import re
import resource
from collections.abc import Iterator
from itertools import pairwise

from runtime.errors import InvalidSpec
from runtime.linux.capabilities import NUMBERS
from runtime.machine import Machine
from runtime.process.limits import LIMITS
from runtime.spec import Linux, LinuxIDMapping, Process, Spec
from runtime.spec.codec import one_line
from runtime.spec.resources import LinuxResources

Complaint = tuple[str, str]  # JSON path, words

IPC_SYSCTLS = frozenset(f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni",
                                                      "shm_rmid_forced"))


HOOKS = {"create_runtime": "createRuntime", "create_container": "createContainer", "start_container": "startContainer"}


def check(spec: Spec, machine: Machine) -> None:
    """Raises InvalidSpec for the first thing that is wrong."""
    raise_first(complaints(spec, machine), "config.json")


def check_process(process: Process, machine: Machine) -> None:
    """The same for the process of `exec`."""
    raise_first(of_process(process, machine, "$"), "process.json")


def raise_first(found: Iterator[Complaint], name: str) -> None:
    for path, words in found:
        raise InvalidSpec(one_line(f"{name}: {words} - at `{path}`"))


def complaints(spec: Spec, machine: Machine) -> Iterator[Complaint]:
    """All that is wrong with a container's specification."""
    if not re.fullmatch(r"1\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?", spec.oci_version, re.ASCII):
        yield "$.ociVersion", f"unsupported version {spec.oci_version[:80]!r} of the specification: expected 1.x.y"
    if "" in spec.annotations:
        yield "$.annotations", "the key of an annotation must not be empty"
    if spec.process is None:
        yield "$.process", "object missing required field `process`"
    else:
        yield from of_process(spec.process, machine, "$.process")
    if spec.root is None or not spec.root.path:
        yield "$.root", "a container needs a root file system"
    if spec.linux is None:
        yield "$.linux", "only Linux containers are supported, and this object says how they are to be"
    yield from of_namespaces(spec)
    yield from of_devices(spec.linux)
    yield from of_sysctls(spec)
    yield from of_memory(spec.linux.resources if spec.linux else None)
    yield from of_confinement(spec, machine)
    yield from of_hooks(spec)
    yield from unsupported(spec)


def of_process(process: Process, machine: Machine, path: str) -> Iterator[Complaint]:
    if not process.args:
        yield f"{path}.args", "the program to run is missing"
    for number, line in enumerate(process.env):
        if line.find("=") < 1:
            yield f"{path}.env[{number}]", "expected NAME=value"
    for number, limit in enumerate(process.rlimits):
        at = f"{path}.rlimits[{number}]"
        if limit.type not in LIMITS:
            yield f"{at}.type", f"unknown limit {limit.type!r}"
        if limit.type in [other.type for other in process.rlimits[:number]]:
            yield f"{at}.type", f"{limit.type} is there twice"
        if limit.soft > limit.hard:
            yield f"{at}.soft", f"{limit.type}: the soft limit {limit.soft} is above the hard limit {limit.hard}"
    if process.user.umask is not None and process.user.umask > 0o777:
        yield f"{path}.user.umask", "expected permission bits, at most 511 (0777)"
    if len(process.user.additional_gids) > MOST_GROUPS:
        yield f"{path}.user.additionalGids", f"{len(process.user.additional_gids)} groups: at most {MOST_GROUPS}"
    if process.oom_score_adj is not None and not -1000 <= process.oom_score_adj <= 1000:
        yield f"{path}.oomScoreAdj", "expected a number from -1000 to 1000"
    yield from of_capabilities(process, machine, f"{path}.capabilities")
    if process.apparmor_profile or process.selinux_label:
        from runtime.process.labels import of_labels

        yield from of_labels(process, machine, path)
    if process.scheduler or process.io_priority or process.exec_cpu_affinity:
        from runtime.process.scheduling import of_priorities

        yield from of_priorities(process, path)


def of_capabilities(process: Process, machine: Machine, path: str) -> Iterator[Complaint]:
    asked = process.capabilities
    if asked is None:
        return
    for field in ("bounding", "effective", "inheritable", "permitted", "ambient"):
        for number, name in enumerate(getattr(asked, field)):
            if name not in NUMBERS:
                yield f"{path}.{field}[{number}]", f"unknown capability {name!r}"
            elif (field not in ("bounding", "ambient") and known(name, machine)
                  and not machine.capabilities >> NUMBERS[name] & 1):
                yield (f"{path}.{field}[{number}]",
                       f"unable to apply caps: {name}: operation not permitted, as root itself does not hold it")
    for number, name in enumerate(asked.effective):
        if known(name, machine) and name not in asked.permitted:
            yield f"{path}.effective[{number}]", f"unable to apply caps: {name} is not in the permitted set"


def known(name: str, machine: Machine) -> bool:
    return name in NUMBERS and NUMBERS[name] <= machine.last


def of_namespaces(spec: Spec) -> Iterator[Complaint]:
    if spec.linux is None:
        return
    kinds = [namespace.type for namespace in spec.linux.namespaces]
    for number, namespace in enumerate(spec.linux.namespaces):
        at = f"$.linux.namespaces[{number}]"
        if namespace.type in kinds[:number]:
            yield at, f"malformed spec file: duplicated ns {namespace.type.value!r}"
        if namespace.path and not namespace.path.startswith("/"):
            yield f"{at}.path", f"expected an absolute path, got {namespace.path!r}"
    if "mount" not in kinds:
        yield "$.linux.namespaces", "a mount namespace is needed, as the root file system changes in it"
    yield from of_users(spec.linux, spec.process)
    yield from of_clocks(spec.linux)
    for field, value in (("hostname", spec.hostname), ("domainname", spec.domainname)):
        if value and "uts" not in kinds:
            yield f"$.{field}", f"unable to set {field} without a private UTS namespace"
        if len(value.encode(errors="surrogateescape")) > LONGEST_NAME:
            yield f"$.{field}", f"longer than the {LONGEST_NAME} bytes that the kernel takes"


def of_users(linux: Linux, process: Process | None) -> Iterator[Complaint]:
    """Maps belong to a user namespace. (One that is joined has its own; podman writes dummies for it nevertheless.)"""
    user = next((one for one in linux.namespaces if one.type == "user"), None)
    sides = (("uid", linux.uid_mappings, process.user.uid if process else 0),
             ("gid", linux.gid_mappings, process.user.gid if process else 0))
    for name, map, id in sides:
        at = f"$.linux.{name}Mappings"
        if map and user is None:
            yield at, "user namespace mappings specified, but user namespace isn't enabled in the config"
        if user is None or user.path:
            continue
        if not map:
            yield at, f"User namespaces enabled, but no {name} mappings found."
        yield from of_map(map, at)
        if not any(row.container_id <= id < row.container_id + row.size for row in map):
            yield f"$.process.user.{name}", f"{name} {id} is not mapped in the user namespace"


def of_map(map: tuple[LinuxIDMapping, ...], at: str) -> Iterator[Complaint]:
    """What the kernel takes as a map (user_namespaces(7)): so many rows, none of them empty, no id in two of them."""
    if len(map) > MOST_ROWS:
        yield at, f"{len(map)} rows: the kernel takes at most {MOST_ROWS}"
    for number, row in enumerate(map):
        if not row.size or row.host_id + row.size > 2**32 or row.container_id + row.size > 2**32:
            yield f"{at}[{number}].size", f"{row.size} ids cannot be mapped from here on"
    for field in ("container_id", "host_id"):
        rows = sorted((getattr(row, field), row.size, number) for number, row in enumerate(map))
        for (first, size, _), (start, _, number) in pairwise(rows):
            if first + size > start:
                yield f"{at}[{number}]", f"the id {start} is in another row, too"


def of_devices(linux: Linux | None) -> Iterator[Complaint]:
    """Nodes: the kernel has 12 bits for the number of a driver, and 20 for that of its device (makedev(3))."""
    for number, device in enumerate(linux.devices if linux else ()):
        at = f"$.linux.devices[{number}]"
        if device.type not in DEVICES:
            yield f"{at}.type", f"unknown type {device.type!r} of the device {device.path}"
        if device.path.rpartition("/")[2] in ("", ".", ".."):
            yield f"{at}.path", f"{device.path!r} is no name for a device"
        for field, value, most in (("major", device.major, 2**12 - 1), ("minor", device.minor, 2**20 - 1)):
            if not 0 <= value <= most:
                yield f"{at}.{field}", f"expected a number from 0 to {most}"


DEVICES = ("c", "u", "b", "p")
MOST_ROWS = 340  # of a map: user_namespaces(7)
MOST_GROUPS = 65536  # NGROUPS_MAX: setgroups(2)
LONGEST_NAME = 64  # bytes: uname(2)
LEAST = 768  # pages of memory
CLOCKS = ("monotonic", "boottime")
MOST_SECONDS = 2**63 // 10**9 // 2  # half of what 63 bits of nanoseconds hold: proc_timens_set_offset() of the kernel


def of_clocks(linux: Linux) -> Iterator[Complaint]:
    at = "$.linux.timeOffsets"
    time = next((one for one in linux.namespaces if one.type == "time"), None)
    if linux.time_offsets and time is None:
        yield at, "time namespace offsets specified, but time namespace isn't enabled in the config"
    if linux.time_offsets and time and time.path:
        yield at, ("time namespace enabled, but both namespace path and time offsets specified -- you may only provide "
                   "one")
    for clock, offset in linux.time_offsets.items():
        if clock not in CLOCKS:
            yield f"{at}[{clock!r}]", f"unknown clock {clock!r}: a time namespace has {' and '.join(CLOCKS)}"
        if abs(offset.secs) > MOST_SECONDS:
            yield f"{at}[{clock!r}].secs", f"expected a number from -{MOST_SECONDS} to {MOST_SECONDS}"
        if offset.nanosecs >= 10**9:
            yield f"{at}[{clock!r}].nanosecs", "expected a number from 0 to 999999999"


def of_sysctls(spec: Spec) -> Iterator[Complaint]:
    """Only what belongs to a namespace that is the container's own, or the host would change (CVE-2022-0811)."""
    if spec.linux is None:
        return
    own = {namespace.type.value for namespace in spec.linux.namespaces}
    for key, value in spec.linux.sysctl.items():
        at = f"$.linux.sysctl[{key!r}]"
        name = key.replace("/", ".")
        if ".." in name or not key.isascii() or not key.isprintable() or "\n" in value:
            yield at, "malformed name or value"
        needed = ("ipc" if name in IPC_SYSCTLS or name.startswith("fs.mqueue.") else
                  "network" if name.startswith("net.") else "uts" if name == "kernel.domainname" else "")
        if not needed:
            yield at, f"sysctl {key!r} is not in a separate kernel namespace"
        elif needed not in own:
            yield at, f"sysctl {key!r} is not allowed in the hosts {needed} namespace"


def of_hooks(spec: Spec) -> Iterator[Complaint]:
    if spec.hooks is None:
        return
    for kind in spec.hooks.__struct_fields__:
        for number, hook in enumerate(getattr(spec.hooks, kind)):
            at = f"$.hooks.{HOOKS.get(kind, kind)}[{number}]"
            if hook.timeout is not None and hook.timeout <= 0:
                yield f"{at}.timeout", f"expected a number of seconds above 0, got {hook.timeout}"
            if hook.args and not hook.args[0]:
                yield f"{at}.args[0]", "expected a name"
            for place, line in enumerate(hook.env):
                if line.find("=") < 1:
                    yield f"{at}.env[{place}]", "expected NAME=value"


def of_memory(resources: LinuxResources | None) -> Iterator[Complaint]:
    """Not so little that `create` succeeds and the kernel kills the container when it starts.

    To become even a small static program takes some 120 pages, of mounts, page tables, stack. Our own init needs some
    450 in its cgroup of version 2, which counts from its first copied page on; and each processor that it runs on may
    charge 64 pages in advance, and may give them back too late (MEMCG_CHARGE_BATCH, mm/memcontrol.c of the kernel).
    (runc refuses what is below 512 pages.)
    """
    if resources is None:
        return
    least = LEAST * resource.getpagesize()
    memory = resources.memory.limit if resources.memory else None
    word = resources.unified.get("memory.max", "").strip()
    own = int(word) if word.isascii() and word.isdigit() and len(word) < 20 else None
    for path, limit in (("memory.limit", memory), ("unified['memory.max']", own)):
        if limit and 0 < limit < least:
            yield (f"$.linux.resources.{path}",
                   f"unable to set memory limit to {limit}: a container needs at least {least}")


def of_confinement(spec: Spec, machine: Machine) -> Iterator[Complaint]:
    """Seccomp, personality and the labels of mounts."""
    if spec.linux is None:
        return
    if spec.linux.seccomp is not None:
        from runtime.process.profile import complaints as of_seccomp

        yield from of_seccomp(spec.linux.seccomp, "$.linux.seccomp")
    if spec.linux.personality is not None:
        from runtime.process.scheduling import of_personality

        yield from of_personality(spec.linux.personality, "$.linux.personality")
    if spec.linux.mount_label and not machine.selinux:
        yield ("$.linux.mountLabel",
               "selinux label is specified in config, but selinux is disabled or not supported")


def unsupported(spec: Spec) -> Iterator[Complaint]:
    """Fields of the specification that would have to be ignored."""
    linux = spec.linux
    if linux is None:
        return
    for path, asked in (
        ("$.linux.intelRdt", linux.intel_rdt),
    ):
        if asked:
            yield path, "not supported by this runtime"
