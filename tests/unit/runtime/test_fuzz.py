"""config.json and process.json from an enemy: mutated in every field, and never answered by a traceback (R16).

A document in which every field of the specification is set is changed at a random place: another type, a huge number,
a NUL, deep nesting, a duplicate key, a missing member, a list a thousand times as long. Reading, checking and planning
then either succeed, or raise InvalidSpec with one line that holds a JSON path; fast, and with little memory.
"""

import copy
import json
import resource
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.cgroups import Hierarchy, Layout
from runtime.checks import check, check_process
from runtime.errors import InvalidSpec
from runtime.explain import FORMATS
from runtime.joining import exec_plan
from runtime.machine import Machine
from runtime.plan import Container, Plan, plan
from runtime.spec import Process, Spec, decode, decode_process

CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "io", "hugetlb", "rdma", "misc")
MACHINE = Machine(cgroups=Layout(v2=Hierarchy(2, "/sys/fs/cgroup", CONTROLLERS)), capabilities=(1 << 41) - 1,
                  last=40)
CONTAINER = Container(id="c", rootfs="/b/rootfs", bundle="/b", fifo="/run/c/exec.fifo", cgroup_path="/pydocker/c")

MAPPING = {"containerID": 0, "hostID": 100000, "size": 65536}
DEVICE = {"major": 8, "minor": 0}
HOOK = {"path": "/bin/hook", "args": ["hook", "x"], "env": ["A=b"], "timeout": 5}
PROCESS: dict[str, Any] = {
    "terminal": True, "consoleSize": {"height": 24, "width": 80}, "cwd": "/work", "args": ["sh", "-c", "true"],
    "env": ["PATH=/bin", "A=b"], "user": {"uid": 1000, "gid": 1000, "umask": 18, "additionalGids": [5, 6]},
    "capabilities": {kind: ["CAP_CHOWN", "CAP_KILL"] for kind in ("bounding", "effective", "inheritable", "permitted",
                                                                  "ambient")},
    "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096}], "noNewPrivileges": True, "oomScoreAdj": 100,
    "scheduler": {"policy": "SCHED_BATCH", "nice": 5}, "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
}
THROTTLE = [{**DEVICE, "rate": 1000}]
DOCUMENT: dict[str, Any] = {
    "ociVersion": "1.2.0", "hostname": "web", "domainname": "example", "root": {"path": "rootfs", "readonly": True},
    "process": PROCESS, "annotations": {"a": "b"},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]},
        {"destination": "/data", "type": "bind", "source": "/srv", "options": ["rbind", "rro", "rslave"]},
    ],
    "hooks": {kind: [HOOK] for kind in ("prestart", "createRuntime", "createContainer", "startContainer", "poststart",
                                        "poststop")},
    "linux": {
        "namespaces": [*({"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup", "user", "time")),
                       {"type": "network", "path": "/proc/1/ns/net"}],
        "uidMappings": [MAPPING], "gidMappings": [MAPPING],
        "timeOffsets": {"monotonic": {"secs": 100, "nanosecs": 5}, "boottime": {"secs": 7}},
        "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438, "uid": 0, "gid": 0}],
        "cgroupsPath": "/pydocker/c", "rootfsPropagation": "slave", "sysctl": {"kernel.msgmax": "8192"},
        "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],
        "personality": {"domain": "LINUX", "flags": []},
        "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "flags": [],
                    "syscalls": [{"names": ["chdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                                  "args": [{"index": 0, "value": 1, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]}]},
        "resources": {
            "devices": [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 1, "minor": 3,
                                                            "access": "rw"}],
            "memory": {"limit": 1 << 26, "reservation": 1 << 25, "swap": 1 << 27, "swappiness": 10},
            "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0-1", "mems": "0"},
            "pids": {"limit": 64},
            "blockIO": {"weight": 100, "weightDevice": [{**DEVICE, "weight": 200}], "throttleReadBpsDevice": THROTTLE,
                        "throttleWriteIOPSDevice": THROTTLE},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 1 << 21}],
            "network": {"classID": 7, "priorities": [{"name": "lo", "priority": 1}]},
            "unified": {"memory.high": "1000000"},
        },
    },
}

# Every value an object of its own, none of them in two places.
PROCESS, DOCUMENT = json.loads(json.dumps([PROCESS, DOCUMENT]))

Path = tuple[str | int, ...]


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """The place of every value in the document."""
    yield at
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from paths(member, (*at, name))


class Twice:
    """An object whose every member is there twice, which JSON allows and json.dumps does not write."""

    def __init__(self, members: dict[str, Any]) -> None:
        self.members = members


def text(value: Any) -> str:
    """JSON, also of what json.dumps refuses."""
    if isinstance(value, Twice):
        inner = ",".join(f"{json.dumps(name)}:{text(member)}" for name, member in value.members.items())
        return "{" + ",".join([inner] * 2) + "}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{text(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text, value)) + "]"
    return json.dumps(value)


SCALARS = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, 2**31, 2**32, 2**63, 2**64, -2**63 - 1, 10**400, 0.5, 1e300, "", " ",
                     "\0", "a\0b", "\n", "/", "..", "/../..", "x" * 100_000, "\ud800", "%s", "CAP_NONE", "SCMP_NONE",
                     "-", "0-99999999999", "1,2", "=", "a=b", "/proc", "net.", "9" * 5000]),
    st.integers(), st.text(max_size=20), st.floats(allow_nan=False, allow_infinity=False))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.text(max_size=8), inner, max_size=3), max_leaves=6)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def get(document: Any, path: Path) -> Any:
    for name in path:
        document = document[name]
    return document


def mutated(draw: st.DrawFn, document: Any) -> Any:
    """The document with one to three changes."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([one for one in paths(document) if one]))
        parent, name = get(document, path[:-1]), path[-1]
        old = parent[name]
        match draw(st.sampled_from(("value", "value", "missing", "twice", "long", "deep", "moved", "more", "renamed"))):
            case "missing":
                del parent[name]
            case "twice" if isinstance(old, dict):
                parent[name] = Twice(old)
                return document
            case "long" if isinstance(old, list) and old:
                parent[name] = old * draw(st.sampled_from([2, 1000]))
                return document  # a thousand times a thousand would take minutes, to write alone
            case "deep":
                parent[name] = deep(draw(st.sampled_from([10, 500])))
                return document  # a second one inside of it would be too deep for `text` itself
            case "moved":
                parent[name] = copy.deepcopy(get(document, draw(st.sampled_from([*paths(document)]))))
            case "more" if isinstance(old, dict):
                old[draw(st.text(max_size=8))] = draw(VALUES)
            case "renamed" if isinstance(parent, dict):
                parent[draw(st.text(max_size=8))] = parent.pop(name)
            case _:
                parent[name] = draw(VALUES)
    return document


@st.composite
def configs(draw: st.DrawFn) -> bytes:
    return text(mutated(draw, DOCUMENT)).encode(errors="surrogatepass")


@st.composite
def processes(draw: st.DrawFn) -> bytes:
    return text(mutated(draw, PROCESS)).encode(errors="surrogatepass")


def decided(content: bytes) -> Plan | None:
    """The plan, or nothing if the document was refused as it has to be."""
    began = time.process_time()
    try:
        spec: Spec = decode(content)
        check(spec, MACHINE)
        found = plan(spec, CONTAINER, MACHINE)
    except InvalidSpec as error:
        assert_refused(str(error))
        return None
    finally:
        assert time.process_time() - began < 5
    for format in FORMATS.values():
        assert format
    assert all(step.describe() for step in found.steps)
    return found


def decided_process(content: bytes) -> Plan | None:
    try:
        process: Process = decode_process(content)
        check_process(process, MACHINE)
        return exec_plan(process, 7, 8, ("mount", "pid"), "/pydocker/c", MACHINE)
    except InvalidSpec as error:
        assert_refused(str(error))
        return None


def assert_refused(words: str) -> None:
    """One line, with a JSON path at its end, or (the cgroups') at its beginning."""
    assert "\n" not in words and ((" - at `$" in words and words.endswith("`")) or words.startswith("$.")), words


def test_the_document_itself_is_accepted() -> None:
    """The control: all mutations begin at something that is right."""
    assert decided(text(DOCUMENT).encode()) and decided_process(text(PROCESS).encode())


@given(configs())
@settings(max_examples=400)
@example(b"")
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"\xff\xfe{}")
def test_mutated_configs(content: bytes) -> None:
    decided(content)


@given(processes())
@settings(max_examples=200)
def test_mutated_processes(content: bytes) -> None:
    decided_process(content)


WRONG = {str: [1, True, None, [], {}], int: ["1", 1.5, [], {}, 10**30, -10**30], bool: ["true", 1, []],
         list: ["x", 1, {}, True], dict: ["x", 1, [], True]}


@pytest.mark.parametrize("path", [one for one in paths(DOCUMENT) if one], ids=lambda path: ".".join(map(str, path)))
def test_every_field_of_a_wrong_type_is_refused_with_its_path(path: Path) -> None:
    """`$.a.b[0].c`, or the path of the object that holds it (`[...]` for a member of a map)."""
    for value in WRONG[type(get(DOCUMENT, path))]:
        if value is None:
            continue  # null means absent
        document = copy.deepcopy(DOCUMENT)
        get(document, path[:-1])[path[-1]] = value
        with pytest.raises(InvalidSpec) as refused:
            decode(text(document).encode())
        found = str(refused.value).rpartition(" - at `")[2].removesuffix("`")
        assert found.startswith("$") and same(found, path), (found, value)


def same(found: str, path: Path) -> bool:
    """Whether the JSON path is that of the field; msgspec writes `[...]` for a key of a map."""
    exact = "$" + "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in path)
    mapped = "$" + "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in path[:-1]) + "[...]"
    return found in (exact, mapped) or (found.split("[...]")[0] != found and exact.startswith(found.split("[...]")[0]))


@pytest.mark.parametrize("field", [
    "ociVersion", "process.cwd", "root.path", "linux.devices.0.path", "mounts.0.destination",
    "linux.uidMappings.0.size", "process.rlimits.0.hard", "linux.seccomp.defaultAction",
                                   "hooks.prestart.0.path", "linux.namespaces.0.type", "linux.resources.pids.limit"])
def test_required_fields(field: str) -> None:
    path: Path = tuple(int(word) if word.isdigit() else word for word in field.split("."))
    document = copy.deepcopy(DOCUMENT)
    del get(document, path[:-1])[path[-1]]
    with pytest.raises(InvalidSpec, match=rf"missing required field `{path[-1]}`.* - at `\$"):
        decode(text(document).encode())


def test_memory_has_a_ceiling() -> None:
    """Some megabytes of document: at most some hundreds more of memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    decided(text({**DOCUMENT, "annotations": {f"a{number}": "b" * 100 for number in range(30_000)}}).encode())
    decided(text({**DOCUMENT, "x": [[] for _ in range(500_000)]}).encode())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600 << 10

