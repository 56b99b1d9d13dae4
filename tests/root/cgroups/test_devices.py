"""Devices stay closed: a process with all capabilities makes any node, and opens only what the rules allow."""

import os

import pytest

from runtime.cgroups import v2
from runtime.errors import StepFailed
from runtime.linux import bpf
from runtime.spec.resources import LinuxDeviceCgroup, LinuxResources

# Makes the node of a device (type, major, minor), opens it to read and to write, and prints what the kernel says.
PROBE = """
import errno, os, stat, sys
path, type, major, minor = {path!r}, {type!r}, {major}, {minor}
def tried(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "fine"
print(tried(os.mknod, path, 0o600 | (stat.S_IFBLK if type == "b" else stat.S_IFCHR), os.makedev(major, minor)),
      tried(os.open, path, os.O_RDONLY), tried(os.open, path, os.O_WRONLY))
"""
NULL, ZERO, KMSG, NO_DISK = ("c", 1, 3), ("c", 1, 5), ("c", 1, 11), ("b", 240, 0)


def resources(*rules: LinuxDeviceCgroup) -> LinuxResources:
    return LinuxResources(devices=rules)


def rule(allow, device, access="rwm"):
    type, major, minor = device
    return LinuxDeviceCgroup(allow=allow, type=type, major=major, minor=minor, access=access)


@pytest.fixture(params=["only_v1", "only_v2"])
def part(request):
    """v1's controller with its lines, v2 with its program: the same rules, the same answers."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def probe(part, start, go, session_directory):
    """`probe(device)`: "make read write", tried from inside the cgroup. Nodes lie where devices may be opened."""
    def probe(device: tuple[str, int, int]) -> str:
        path = str(session_directory / f"node-{os.getpid()}")
        worker = start(PROBE.format(path=path, type=device[0], major=device[1], minor=device[2]))
        part.enter(worker.pid)
        try:
            return go(worker).strip()
        finally:
            if os.path.lexists(path):
                os.unlink(path)
    return probe


def test_the_default_list(part, probe):
    part.create(None)
    assert probe(NULL) == "fine fine fine"
    assert probe(ZERO) == "fine fine fine"
    assert probe(KMSG) == "fine EPERM EPERM"
    assert probe(NO_DISK) == "fine EPERM EPERM"


def test_one_more_and_only_to_read(part, probe):
    part.create(resources(rule(True, KMSG, "r")))
    assert probe(KMSG) == "fine fine EPERM"


def test_the_last_rule_decides(part, probe):
    part.create(resources(rule(True, KMSG), rule(False, KMSG, "w")))
    assert probe(KMSG) == "fine fine EPERM"


def test_everything(part, probe):
    part.create(resources(LinuxDeviceCgroup(allow=True)))
    assert probe(KMSG) == "fine fine fine"
    assert probe(NO_DISK) == "fine ENXIO ENXIO", "allowed; there is no such disk"


def test_the_rules_can_change_while_it_runs(part, probe):
    part.create(None)
    assert probe(KMSG) == "fine EPERM EPERM"
    part.apply(resources(rule(True, KMSG)))
    assert probe(KMSG) == "fine fine fine"
    part.apply(resources(rule(False, KMSG)))
    assert probe(KMSG) == "fine EPERM EPERM"


def test_a_new_program_takes_the_place_of_the_old_one(only_v2):
    only_v2.create(None)
    only_v2.apply(resources(rule(True, KMSG)))
    cgroup = os.open(only_v2.second.directory, os.O_RDONLY)
    try:
        attached = bpf.device_programs(cgroup)
        assert len(attached) == 1
        for program in attached:
            os.close(program)
    finally:
        os.close(cgroup)


def test_the_verifier_is_quoted():
    with pytest.raises(OSError, match="R0 !read_ok"):
        bpf.load_device_program(b"\x95" + bytes(7))


def test_a_cgroup_that_is_gone(only_v2):
    step = v2.FilterDevices(only_v2.second.directory, ())
    with pytest.raises(StepFailed, match=r"cgroup /.*: no such file or directory \(bpf\(2\)\)"):
        step.apply(None)
