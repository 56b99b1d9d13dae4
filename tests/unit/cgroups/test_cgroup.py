"""The steps that make a cgroup, for hosts that this one is not: decided as data, nothing is touched."""

import msgspec
import pytest

from runtime import cgroups
from runtime.cgroups import Cgroup, Hierarchy, Layout, v1, v2
from runtime.cgroups.steps import MakeCgroup, SetLimit, levels
from runtime.errors import InvalidSpec
from runtime.spec.resources import LinuxCPU, LinuxMemory, LinuxPids, LinuxResources
from runtime.step import Step

ROOT = "/sys/fs/cgroup"
V2 = Layout(v2=Hierarchy(2, ROOT, ("cpuset", "cpu", "io", "memory", "pids", "misc"), "/system.slice/x.service"))
V1_TREES = tuple(Hierarchy(1, f"{ROOT}/{name}", tuple(name.split(",")))
                 for name in ("cpu,cpuacct", "cpuset", "memory", "pids", "devices", "freezer"))
V1 = Layout(V1_TREES)
HYBRID = Layout(V1_TREES, Hierarchy(2, f"{ROOT}/unified", ("hugetlb",)))
ASKED = LinuxResources(memory=LinuxMemory(limit=1 << 26), pids=LinuxPids(limit=9), cpu=LinuxCPU(shares=1024))


def steps(layout: Layout, resources: LinuxResources | None = ASKED) -> tuple[Step[object], ...]:
    return cgroups.open("/pydocker/1", layout).steps(resources)


def kinds(layout: Layout, resources: LinuxResources | None = ASKED) -> list[str]:
    return [type(step).__name__ for step in steps(layout, resources)]


def test_v2_delegates_before_it_limits_and_filters_devices_with_a_program():
    assert kinds(V2) == ["MakeCgroup", "FitType", "DelegateControllers", "SetLimit", "SetLimit", "SetLimit",
                         "FilterDevices"]
    make, fit, delegate, *limits, devices = steps(V2)
    assert isinstance(fit, v2.FitType) and fit.domain, "memory is counted by process"
    assert make == MakeCgroup((f"{ROOT}/pydocker/1",))
    assert isinstance(delegate, v2.DelegateControllers)
    assert delegate.required == ("cpu", "memory", "pids")
    assert set(delegate.controllers) == {"cpuset", "cpu", "io", "memory", "pids"}, "misc is nothing we know"
    assert limits == [SetLimit(f"{ROOT}/pydocker/1", "cpu.weight", "100", "cpu.shares"),
                      SetLimit(f"{ROOT}/pydocker/1", "memory.max", "67108864", "memory.limit"),
                      SetLimit(f"{ROOT}/pydocker/1", "pids.max", "9", "pids.limit")]
    assert isinstance(devices, v2.FilterDevices)


def test_v2_passes_controllers_on_at_every_level_but_the_last():
    delegate = steps(V2)[2]
    assert delegate.shell() == (f"for level in {ROOT} {ROOT}/pydocker; do "
                                "echo +cpu +memory +pids +cpuset +io > $level/cgroup.subtree_control; done")


def test_without_a_controller_that_counts_processes_a_cgroup_of_threads_will_do():
    (fit,) = (step for step in steps(V2, LinuxResources(pids=LinuxPids(limit=9))) if isinstance(step, v2.FitType))
    assert not fit.domain


def test_only_a_v2_cgroup_is_given_away_and_only_to_somebody_else():
    cgroup = cgroups.open("/pydocker/1", V2)
    assert cgroup.given_to(100000) == (v2.GiveCgroup(f"{ROOT}/pydocker/1", 100000),)
    assert cgroup.given_to(0) == cgroups.open("/pydocker/1", HYBRID).given_to(5) == ()


def test_v1_fills_the_cpuset_and_writes_device_lines():
    assert kinds(V1) == ["MakeCgroup", "InheritCpuset", "SetLimit", "SetLimit", "SetLimit", "LimitDevices"]
    names = "'cpu,cpuacct',cpuset,memory,pids,devices,freezer"
    assert steps(V1)[0].shell() == f"mkdir -p {ROOT}/{{{names}}}/pydocker/1"
    assert steps(V1)[2].shell() == f"echo 1024 > {ROOT}/cpu,cpuacct/pydocker/1/cpu.shares"


def test_a_hybrid_host_has_the_limits_on_v1_and_a_bare_directory_on_v2():
    assert kinds(HYBRID) == ["MakeCgroup", "InheritCpuset", "SetLimit", "SetLimit", "SetLimit", "LimitDevices"]
    make = steps(HYBRID)[0]
    assert isinstance(make, MakeCgroup)
    assert f"{ROOT}/unified/pydocker/1" in make.directories


def test_a_hybrid_host_delegates_only_what_is_asked_for_on_v2():
    huge = msgspec.convert({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}, LinuxResources)
    delegate = next(step for step in steps(HYBRID, huge) if isinstance(step, v2.DelegateControllers))
    assert delegate.controllers == delegate.required == ("hugetlb",)


@pytest.mark.parametrize("layout", [V1, V2, HYBRID])
def test_devices_are_closed_even_if_nothing_is_asked_for(layout):
    assert kinds(layout, None)[-1] in ("LimitDevices", "FilterDevices")


@pytest.mark.parametrize("layout", [V1, V2, HYBRID])
def test_every_step_says_why_and_how(layout):
    for step in steps(layout):
        assert step.why and step.manual and step.describe() and step.shell()
        assert "\n" not in step.describe()


def test_without_a_way_to_close_devices_there_is_no_container():
    with pytest.raises(InvalidSpec, match="neither cgroup v2 nor v1's devices"):
        steps(Layout(V1_TREES[:3]), None)


def test_a_cgroup_survives_a_state_file():
    for layout in (V1, V2, HYBRID):
        cgroup = cgroups.open("/pydocker/1", layout)
        assert msgspec.json.decode(msgspec.json.encode(cgroup), type=Cgroup) == cgroup


def test_levels():
    assert levels(ROOT, f"{ROOT}/a/b") == [ROOT, f"{ROOT}/a", f"{ROOT}/a/b"]


def test_cgroupspy_gets_the_class_of_the_controller_wherever_it_is_mounted():
    control = v1.controller("/mnt/some where/pydocker/memory", "memory")
    assert type(control).__name__ == "MemoryController"
    assert control.filepath(b"tasks") == b"/mnt/some where/pydocker/memory/tasks"
    assert type(v1.controller("/a/b", "pids")).__name__ == "Controller"
