"""Capabilities, labels, priorities: what becomes of what was asked for, and what is refused by its JSON path."""

from typing import Any

import pytest
from msgspec.structs import replace

from runtime.cgroups import Hierarchy, Layout
from runtime.confining import capabilities, confine, doubts, priorities
from runtime.linux import scheduling
from runtime.machine import Machine
from runtime.process.labels import AppArmorProfile, SELinuxLabel, mount_context, of_labels
from runtime.process.scheduling import (
    SetIOPriority,
    SetPersonality,
    SetScheduler,
    of_personality,
    of_priorities,
    of_scheduler,
    processors,
)
from runtime.spec import (
    CPUAffinity,
    LinuxCapabilities,
    LinuxIOPriority,
    LinuxPersonality,
    Process,
    Scheduler,
)

MACHINE = Machine(cgroups=Layout(v2=Hierarchy(2, "/sys/fs/cgroup", ())), capabilities=(1 << 41) - 1, last=40)
PROCESS = Process(cwd="/", args=("sh",))
SPEC_CAPABILITIES = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")


def test_what_runc_spec_writes_has_nothing_ambient() -> None:
    """CAP_AUDIT_WRITE and the others are ambient there, and inheritable nowhere: the kernel would refuse."""
    asked = LinuxCapabilities(bounding=SPEC_CAPABILITIES, effective=SPEC_CAPABILITIES, permitted=SPEC_CAPABILITIES,
                              ambient=SPEC_CAPABILITIES)
    assert capabilities(replace(PROCESS, capabilities=asked), MACHINE) == replace(asked, ambient=())


def test_ambient_is_what_is_permitted_and_inheritable() -> None:
    asked = LinuxCapabilities(permitted=("CAP_KILL", "CAP_CHOWN"), inheritable=("CAP_KILL", "CAP_SETUID"),
                              ambient=("CAP_KILL", "CAP_CHOWN", "CAP_SETUID"))
    assert capabilities(replace(PROCESS, capabilities=asked), MACHINE).ambient == ("CAP_KILL",)


def test_what_an_older_kernel_lacks_is_left_out_with_a_warning() -> None:
    older = replace(MACHINE, last=37)
    process = replace(PROCESS, capabilities=LinuxCapabilities(bounding=("CAP_BPF", "CAP_KILL"), permitted=("CAP_BPF",)))
    assert capabilities(process, older) == LinuxCapabilities(bounding=("CAP_KILL",))
    assert [*doubts(process, older)] == ["ignoring unknown or unavailable capabilities: [CAP_BPF]"]
    assert not [*doubts(process, MACHINE)]


def test_what_root_lacks_cannot_be_kept_in_the_bounding_set() -> None:
    process = replace(PROCESS, capabilities=LinuxCapabilities(bounding=("CAP_CHOWN", "CAP_KILL")))
    assert capabilities(process, replace(MACHINE, capabilities=MACHINE.capabilities & ~1)).bounding == ("CAP_KILL",)


@pytest.mark.parametrize(("words", "expected"), [
    ("0", (0,)), ("0-3", (0, 1, 2, 3)), ("7,0-1", (0, 1, 7)), ("1, 2", (1, 2)), ("3-3", (3,)),
])
def test_lists_of_processors(words: str, expected: tuple[int, ...]) -> None:
    assert processors(words) == expected


@pytest.mark.parametrize("words", ["x", "1-", "-1", "3-1", "1,,2", "0-9999999999", "8192", "\u0661", "+1", "1-2-3"])
def test_lists_of_processors_that_are_none(words: str) -> None:
    with pytest.raises(ValueError):
        processors(words)


@pytest.mark.parametrize(("scheduler", "field"), [
    ({"policy": "SCHED_X"}, ".policy"), ({"policy": "SCHED_OTHER", "nice": 20}, ".nice"),
    ({"policy": "SCHED_OTHER", "nice": -21}, ".nice"), ({"policy": "SCHED_OTHER", "priority": 1}, ".priority"),
    ({"policy": "SCHED_FIFO"}, ".priority"), ({"policy": "SCHED_RR", "priority": 100}, ".priority"),
    ({"policy": "SCHED_OTHER", "flags": ("X",)}, ".flags[0]"), ({"policy": "SCHED_OTHER", "runtime": 1}, ""),
    ({"policy": "SCHED_DEADLINE", "runtime": 2, "deadline": 1}, ".runtime"),
])
def test_schedulers_that_make_no_sense(scheduler: dict[str, Any], field: str) -> None:
    assert f"$.scheduler{field}" in dict(of_scheduler(Scheduler(**scheduler), "$.scheduler"))


@pytest.mark.parametrize("policy", sorted(scheduling.POLICIES.keys() - {"SCHED_FIFO", "SCHED_RR", "SCHED_DEADLINE"}))
def test_schedulers_that_make_sense(policy: str) -> None:
    assert not [*of_scheduler(Scheduler(policy=policy, nice=-20, flags=tuple(scheduling.FLAGS)), "$")]


@pytest.mark.parametrize(("process", "path"), [
    (replace(PROCESS, io_priority=LinuxIOPriority(class_="X")), "$.ioPriority.class"),
    (replace(PROCESS, io_priority=LinuxIOPriority(class_="IOPRIO_CLASS_BE", priority=8)), "$.ioPriority.priority"),
    (replace(PROCESS, exec_cpu_affinity=CPUAffinity(initial="x")), "$.execCPUAffinity.initial"),
    (replace(PROCESS, exec_cpu_affinity=CPUAffinity(final="2-1")), "$.execCPUAffinity.final"),
])
def test_priorities_that_make_no_sense(process: Process, path: str) -> None:
    assert path in dict(of_priorities(process, "$"))


def test_personalities() -> None:
    assert not [*of_personality(LinuxPersonality(domain="LINUX32"), "$")]
    assert [path for path, _ in of_personality(LinuxPersonality(domain="X", flags=("y",)), "$")] == [
        "$.domain", "$.flags"]


def test_labels_are_refused_where_the_kernel_has_no_use_for_them() -> None:
    asked = replace(PROCESS, apparmor_profile="docker-default", selinux_label="a:b:c:d")
    assert [path for path, _ in of_labels(asked, MACHINE, "$")] == ["$.apparmorProfile", "$.selinuxLabel"]
    assert not [*of_labels(asked, replace(MACHINE, apparmor=True, selinux=True), "$")]
    assert not [*of_labels(replace(PROCESS, apparmor_profile="unconfined"), MACHINE, "$")]


def test_what_confines_comes_in_order() -> None:
    process = replace(PROCESS, apparmor_profile="p", selinux_label="l", scheduler=Scheduler(policy="SCHED_BATCH"),
                      io_priority=LinuxIOPriority(class_="IOPRIO_CLASS_BE", priority=7))
    found = [*confine(process, LinuxPersonality(domain="LINUX"), replace(MACHINE, apparmor=True, selinux=True))]
    assert [*map(type, found)] == [AppArmorProfile, SELinuxLabel, SetPersonality]
    assert [*map(type, priorities(process, "$"))] == [SetScheduler, SetIOPriority]
    assert not [*confine(replace(PROCESS, apparmor_profile="unconfined"), None, MACHINE)]


def test_contexts_of_mounts() -> None:
    assert mount_context("tmpfs", "l") == (("context", "l"),)
    assert mount_context("proc", "l") == mount_context("mqueue", "l") == mount_context("tmpfs", "") == ()
