"""systemd's part, as data: names, properties with their D-Bus types, and the exact command lines of busctl."""

import time

import msgspec
import pytest

from runtime import cgroups
from runtime.cgroups import Cgroup, Hierarchy, Layout
from runtime.cgroups.busctl import SetProperties, StartScope, change_words, reset_words, start_words, stop_words
from runtime.cgroups.properties import INFINITY, Property, annotated
from runtime.cgroups.steps import AdoptCgroup
from runtime.cgroups.systemd import Unit, devices, expanded, limits, properties, unit
from runtime.errors import InvalidSpec
from runtime.spec.resources import LinuxMemory, LinuxPids, LinuxResources

ROOT = "/sys/fs/cgroup"
V2 = Layout(v2=Hierarchy(2, ROOT, ("cpuset", "cpu", "io", "memory", "pids"), "/init.scope"))
HYBRID = Layout(tuple(Hierarchy(1, f"{ROOT}/{name}", tuple(name.split(",")))
                      for name in ("cpu,cpuacct", "memory", "devices", "freezer")),
                Hierarchy(2, f"{ROOT}/unified", ()))
MANAGER = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
MIB = 1 << 20


def resources(document: dict[str, object]) -> LinuxResources:
    return msgspec.convert(document, LinuxResources)


def told(document: dict[str, object], version: int = 2) -> dict[str, str]:
    """Name to `type words…`, as busctl takes them."""
    return {one.name: " ".join(one.arguments[1:]) for one in limits(resources(document), version=version)}


@pytest.mark.parametrize("slice, path", [
    ("system.slice", "/system.slice"),
    ("machine-libpod_pod_1.slice", "/machine.slice/machine-libpod_pod_1.slice"),
    ("a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice"),
    ("-.slice", "/"),
])
def test_the_dashes_of_a_slice_are_its_levels(slice, path):
    assert expanded(slice) == path


@pytest.mark.parametrize("slice", ["", "a", ".slice", "a--b.slice", "-a.slice", "a-.slice", "a/b.slice", "a.slice ",
                                   "../x.slice", "a.service"])
def test_what_is_no_slice(slice):
    with pytest.raises(InvalidSpec, match=r"\$.linux.cgroupsPath: invalid slice name"):
        expanded(slice)


@pytest.mark.parametrize("path, name, cgroup", [
    ("system.slice:runc:1", "runc-1.scope", "/system.slice/runc-1.scope"),
    (":docker:1", "docker-1.scope", "/system.slice/docker-1.scope"),
    ("machine-p.slice:libpod:9f", "libpod-9f.scope", "/machine.slice/machine-p.slice/libpod-9f.scope"),
    ("-.slice::plain", "plain.scope", "/plain.scope"),
])
def test_the_names_of_a_scope(path, name, cgroup):
    found = unit(path)
    assert (found.name, found.path) == (name, cgroup)


@pytest.mark.parametrize("path, words", [
    ("/pydocker/1", 'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "/pydocker/1"'),
    ("a.slice:b", "expected cgroupsPath"),
    ("a.slice:b:c:d", "expected cgroupsPath"),
    ("a.slice:b:", "invalid unit name"),
    ("a.slice:b:../c", "invalid unit name"),
    ("a.slice:b:c d", "invalid unit name"),
    ("a.slice:b:c.slice", "a slice holds units"),
    ("a:b:c", "invalid slice name"),
])
def test_what_names_no_scope(path, words):
    with pytest.raises(InvalidSpec, match=words):
        unit(path)


@pytest.mark.parametrize("asked, v1, v2", [
    ({}, {}, {}),
    ({"memory": {"limit": 64 * MIB, "swap": 96 * MIB, "reservation": 32 * MIB}},
     {"MemoryLimit": "t 67108864"},
     {"MemoryMax": "t 67108864", "MemoryLow": "t 33554432", "MemorySwapMax": "t 33554432"}),
    ({"memory": {"limit": -1}}, {"MemoryLimit": f"t {INFINITY}"},
     {"MemoryMax": f"t {INFINITY}", "MemorySwapMax": f"t {INFINITY}"}),
    ({"cpu": {"shares": 1024}}, {"CPUShares": "t 1024"}, {"CPUWeight": "t 100"}),
    ({"cpu": {"shares": 1024, "idle": 1}}, {"CPUShares": "t 1024"}, {"CPUWeight": "t 0"}),
    ({"cpu": {"quota": 50000}}, {"CPUQuotaPerSecUSec": "t 500000"}, {"CPUQuotaPerSecUSec": "t 500000"}),
    ({"cpu": {"quota": 5012, "period": 10000}},
     {"CPUQuotaPeriodUSec": "t 10000", "CPUQuotaPerSecUSec": "t 510000"},
     {"CPUQuotaPeriodUSec": "t 10000", "CPUQuotaPerSecUSec": "t 510000"}),
    ({"cpu": {"quota": -1}}, {"CPUQuotaPerSecUSec": f"t {INFINITY}"}, {"CPUQuotaPerSecUSec": f"t {INFINITY}"}),
    ({"cpu": {"cpus": "0-2,9", "mems": "0"}},
     {"AllowedCPUs": "ay 2 7 2", "AllowedMemoryNodes": "ay 1 1"},
     {"AllowedCPUs": "ay 2 7 2", "AllowedMemoryNodes": "ay 1 1"}),
    ({"pids": {"limit": 9}}, {"TasksMax": "t 9"}, {"TasksMax": "t 9"}),
    ({"pids": {"limit": -1}}, {"TasksMax": f"t {INFINITY}"}, {"TasksMax": f"t {INFINITY}"}),
    ({"pids": {"limit": 0}}, {}, {}),
    ({"blockIO": {"weight": 500}}, {"BlockIOWeight": "t 500"}, {}),
    ({"unified": {"memory.high": "max", "cpu.max": "20000 50000", "pids.max": "7", "cpuset.cpus": "1",
                  "memory.oom.group": "1", "cpu.weight": "50"}}, {},
     {"MemoryHigh": f"t {INFINITY}", "CPUQuotaPeriodUSec": "t 50000", "CPUQuotaPerSecUSec": "t 400000",
      "TasksMax": "t 7", "AllowedCPUs": "ay 1 2", "CPUWeight": "t 50"}),
])
def test_limits_in_systemds_words(asked, v1, v2):
    assert told(asked, 1) == v1
    assert told(asked, 2) == v2


def test_what_only_newer_versions_know_is_marked():
    asked = resources({"cpu": {"period": 50000, "cpus": "0", "idle": 1}})
    assert {one.name: one.since for one in limits(asked, version=2)} == {
        "CPUWeight": 252, "CPUQuotaPeriodUSec": 242, "CPUQuotaPerSecUSec": 0, "AllowedCPUs": 244}


@pytest.mark.parametrize("cpus", ["a", "1-", "99999999", "1-9999999999", "0,,1"])
def test_a_list_of_processors_that_is_none(cpus):
    with pytest.raises(InvalidSpec, match=r"\$.linux.resources.cpu"):
        told({"cpu": {"cpus": cpus}})


def test_many_ranges_of_processors_take_no_time():
    """Each number for itself would be half a thousand millions (CVE-2018-20699 by repetition)."""
    began = time.process_time()
    assert told({"cpu": {"cpus": ",".join(["0-99999"] * 5000)}}, 2)["AllowedCPUs"].startswith("ay 12500 255 255 ")
    assert time.process_time() - began < 2
    with pytest.raises(InvalidSpec, match=r"\$.linux.resources.cpu"):
        told({"cpu": {"cpus": ",".join(["0-99999"] * 9000)}})


def test_devices_are_closed_but_for_a_list():
    strict, allow = devices(resources({"devices": [{"allow": False}, {"allow": True, "type": "c", "major": 10,
                                                                     "minor": 229, "access": "rw"}]}))
    assert strict.arguments == ("DevicePolicy", "s", "strict")
    count, *words = allow.words
    pairs = dict(zip(words[::2], words[1::2], strict=True))
    assert int(count) == len(pairs)
    assert pairs["/dev/char/10:229"] == "rw" and pairs["/dev/char/1:3"] == "rwm"
    assert pairs["char-136"] == "rwm" and pairs["char-*"] == pairs["block-*"] == "m"


@pytest.mark.parametrize("rules", [
    [{"allow": True}],
    [{"allow": True}, {"allow": False, "type": "b", "major": 8, "access": "w"}],
    [{"allow": False}, {"allow": True, "type": "c"}, {"allow": False, "type": "c", "major": 1, "minor": 11}],
])
def test_what_systemd_cannot_say_of_devices_stays_open_there(rules):
    """Ours closes it: the program, or v1's files."""
    assert [one.arguments for one in devices(resources({"devices": rules}))] == [
        ("DevicePolicy", "s", "auto"), ("DeviceAllow", "a(ss)", "0")]


@pytest.mark.parametrize("key, value, expected", [
    ("TimeoutStopUSec", "uint64 5000000", ("TimeoutStopUSec", "t", "5000000")),
    ("TimeoutStopSec", "2", ("TimeoutStopUSec", "t", "2000000")),
    ("TimeoutStopSec", "uint64 1", ("TimeoutStopUSec", "t", "1000000")),
    ("TimeoutStopSec", "0.5", ("TimeoutStopUSec", "t", "500000")),
    ("CollectMode", "'inactive-or-failed'", ("CollectMode", "s", "inactive-or-failed")),
    ("CollectMode", '"inactive"', ("CollectMode", "s", "inactive")),
    ("IgnoreOnIsolate", "true", ("IgnoreOnIsolate", "b", "true")),
    ("After", "['a.service', 'b.service']", ("After", "as", "2", "a.service", "b.service")),
    ("After", "[]", ("After", "as", "0")),
    ("OOMScoreAdjust", "-5", ("OOMScoreAdjust", "i", "-5")),
])
def test_a_property_by_an_annotation(key, value, expected):
    assert annotated({f"org.systemd.property.{key}": value, "other": "x"})[0].arguments == expected


@pytest.mark.parametrize("key, value", [("Ab", "1"), ("A_B", "1"), ("Name", "bare"), ("Name", "uint99 5"),
                                        ("Name", "'a"), ("TimeoutSec", "'5'"), ("Name", "[1]"), ("Name", "")])
def test_an_annotation_that_is_no_property(key, value):
    with pytest.raises(InvalidSpec, match=r"^\$\.annotations: annotation org.systemd.property"):
        annotated({f"org.systemd.property.{key}": value})


def test_the_command_line_that_starts_a_scope():
    scope = Unit("libpod-1.scope", "machine.slice")
    every = properties(scope, "1", LinuxResources(memory=LinuxMemory(limit=MIB), devices=()), {}, version=2)
    words = start_words(scope, "42", every)
    assert list(words[:3]) == ["busctl", "call", "--"]
    assert list(words[3:8]) == [*MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))"]
    assert list(words[8:11]) == ["libpod-1.scope", "replace", str(len(every) + 1)]
    assert list(words[11:36]) == [
        "Description", "s", "libcontainer container 1", "Slice", "s", "machine.slice", "Delegate", "b", "true",
        "MemoryAccounting", "b", "true", "CPUAccounting", "b", "true", "IOAccounting", "b", "true",
        "TasksAccounting", "b", "true", "DefaultDependencies", "b", "false", "DevicePolicy"]
    assert list(words[-8:]) == ["MemoryMax", "t", "1048576", "PIDs", "au", "1", "42", "0"]


def test_the_other_command_lines():
    scope = Unit("x.scope")
    assert list(change_words(scope, (Property("TasksMax", "t", ("5",)),)))[3:] == [
        *MANAGER, "SetUnitProperties", "sba(sv)", "x.scope", "true", "1", "TasksMax", "t", "5"]
    assert list(stop_words(scope))[3:] == [*MANAGER, "StopUnit", "ss", "x.scope", "replace"]
    assert list(reset_words(scope))[3:] == [*MANAGER, "ResetFailedUnit", "s", "x.scope"]


ASKED = LinuxResources(memory=LinuxMemory(limit=MIB), pids=LinuxPids(limit=9))


@pytest.mark.parametrize("layout, kinds", [
    (V2, ["StartScope", "AdoptCgroup", "FitType", "DelegateControllers", "SetLimit", "SetLimit", "FilterDevices"]),
    (HYBRID, ["StartScope", "AdoptCgroup", "SetLimit", "LimitDevices"]),
])
def test_with_systemd_the_cgroup_comes_after_the_process(layout, kinds):
    asked = ASKED if layout is V2 else LinuxResources(memory=ASKED.memory)
    cgroup = cgroups.open("a-b.slice:p:1", layout, systemd=True)
    assert cgroup.before(asked) == ()
    steps = cgroup.around("1", asked, {})
    assert [type(step).__name__ for step in steps] == kinds
    start, adopt, *_ = steps
    assert isinstance(start, StartScope) and isinstance(adopt, AdoptCgroup)
    mounted = (layout.v2.mountpoint, *(tree.mountpoint for tree in layout.v1))
    assert {*adopt.directories} == {f"{at}/a.slice/a-b.slice/p-1.scope" for at in mounted}
    assert ("BlockIOAccounting" in start.shell()) == (layout is HYBRID)
    assert start.shell().endswith('PIDs au 1 "$$" 0')
    for step in steps:
        assert step.why and step.manual and step.describe() and step.shell()


def test_without_systemd_it_comes_before():
    cgroup = cgroups.open("/a/1", V2)
    assert cgroup.before(ASKED) == cgroup.steps(ASKED) and cgroup.around("1", ASKED, {}) == ()


def test_it_survives_a_state_file():
    cgroup = cgroups.open("a-b.slice:p:1", HYBRID, systemd=True)
    assert msgspec.json.decode(msgspec.json.encode(cgroup), type=Cgroup) == cgroup


def test_a_change_tells_systemd_and_can_be_told_back():
    step = SetProperties(Unit("x.scope"), limits(ASKED, version=2), limits(LinuxResources(), version=2))
    assert step.describe() == "tell systemd the limits of x.scope: MemoryMax, TasksMax"
    assert step.shell().endswith("SetUnitProperties 'sba(sv)' x.scope true 2 MemoryMax t 1048576 TasksMax t 9")
