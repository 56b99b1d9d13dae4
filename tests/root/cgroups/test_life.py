"""A cgroup's life on this very kernel: made, entered, looked at, stopped, killed, removed."""

import os
import signal
import time
from pathlib import Path

import pytest

from runtime import cgroups
from runtime.cgroups import branch, v1, v2
from runtime.cgroups.steps import SetLimit
from runtime.errors import StepFailed
from runtime.spec.resources import LinuxCPU, LinuxMemory, LinuxPids, LinuxResources
from tests.waiting import ran, rests

SLEEP = "import time; time.sleep(100)"
FORKS = """
import os, time
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        time.sleep(0.01)
"""


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def until(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


def everywhere(cgroup) -> list[bool]:
    return [os.path.isdir(directory) for directory in cgroup.paths.values()]


def test_children_follow_into_every_hierarchy(cgroup, start):
    cgroup.create(None)
    assert all(everywhere(cgroup))
    worker = start("import os, time; os.fork(); print('forked', flush=True); time.sleep(100)")
    cgroup.enter(worker.pid)
    worker.stdin.write("\n")
    worker.stdin.flush()
    worker.stdout.readline()
    until(lambda: len(cgroup.processes()) == 2)
    assert worker.pid in cgroup.processes()
    listed = Path(f"/proc/{worker.pid}/cgroup").read_text()
    assert listed.count("/box\n") == len(cgroup.paths)
    cgroup.kill()
    assert worker.wait() == -signal.SIGKILL
    cgroup.destroy()
    assert not any(everywhere(cgroup))
    assert cgroup.processes() == []


def test_ending_what_is_not_there_is_no_error(cgroup):
    cgroup.kill()
    cgroup.destroy()


@pytest.mark.parametrize("which", ["cgroup", "only_v1", "only_v2"])
def test_kill_ends_what_forks_as_fast_as_it_can(which, request, start, cgroup):
    """By cgroup.kill, and by the freezer where only v1 is there."""
    part = request.getfixturevalue(which)
    pids = LinuxResources(pids=LinuxPids(limit=50)) if "pids" in cgroup.paths else None
    cgroup.create(pids)
    worker = start(FORKS)
    cgroup.enter(worker.pid)
    worker.stdin.write("\n")
    worker.stdin.flush()
    until(lambda: len(cgroup.processes()) > 10)
    part.kill()
    until(lambda: not cgroup.processes())
    cgroup.destroy()


def test_kill_without_any_freezer(only_v1, start):
    bare = cgroups.Cgroup(tuple(one for one in only_v1.first if "freezer" not in one.controllers))
    bare.create(None)
    worker = start(SLEEP)
    bare.enter(worker.pid)
    bare.kill()
    assert worker.wait() == -signal.SIGKILL


@pytest.mark.parametrize("which", ["only_v1", "only_v2"])
def test_frozen_processes_do_not_run_and_thaw_unharmed(which, request, start):
    part = request.getfixturevalue(which)
    part.create(None)
    worker = start("import time\nwhile True: print('tick', flush=True); time.sleep(0.01)")
    part.enter(worker.pid)
    worker.stdin.write("\n")
    worker.stdin.flush()
    worker.stdout.readline()
    part.freeze()
    until(lambda: rests(worker.pid))
    assert state(worker.pid) != "R"
    before = ran(worker.pid)
    part.thaw()
    worker.stdout.readline()
    until(lambda: ran(worker.pid) != before)


@pytest.mark.parametrize("which", ["only_v1", "only_v2"])
def test_frozen_processes_can_be_killed(which, request, start):
    part = request.getfixturevalue(which)
    part.create(None)
    worker = start(SLEEP)
    part.enter(worker.pid)
    part.freeze()
    part.kill()
    assert worker.wait() == -signal.SIGKILL


def test_what_the_container_made_below_is_removed_too(cgroup):
    cgroup.create(None)
    for directory in cgroup.paths.values():
        os.makedirs(os.path.join(directory, "a/b"))
    cgroup.destroy()
    assert not any(everywhere(cgroup))


def test_a_process_that_lives_is_named_when_the_cgroup_cannot_be_removed(cgroup, start, monkeypatch):
    monkeypatch.setattr(branch, "PATIENCE", 0.05)
    cgroup.create(None)
    cgroup.enter(start(SLEEP).pid)
    with pytest.raises(StepFailed, match=r"remove cgroup /.*/box: device or resource busy \(rmdir\(2\)\)"):
        cgroup.destroy()


def test_a_process_that_is_gone_cannot_enter(cgroup, start, go):
    cgroup.create(None)
    worker = start("")
    go(worker)
    with pytest.raises(StepFailed, match=rf"process {worker.pid} .*: no such process"):
        cgroup.enter(worker.pid)


def test_a_refused_limit_leaves_nothing_behind(cgroup):
    with pytest.raises(StepFailed, match=r"write '4000' to /.*/cpuset.cpus: .* - at `\$.linux.resources.cpu.cpus`$"):
        cgroup.create(LinuxResources(cpu=LinuxCPU(cpus="4000")))
    assert not any(everywhere(cgroup))


def test_a_file_that_the_kernel_lacks_is_named(cgroup):
    cgroup.create(None)
    steps = [SetLimit(cgroup.paths[name], "memory.nothing", "1") for name in cgroup.paths]
    steps += [v1.SetLimit(one.directory, "memory.nothing", "1", controller=one.controllers[0]) for one in cgroup.first]
    for step in steps:
        with pytest.raises(StepFailed, match=r"write '1' to /.*/memory.nothing: this kernel has no such file"):
            step.apply(None)


def test_two_containers_cannot_have_the_same_cgroup(cgroup, start):
    cgroup.create(None)
    worker = start(SLEEP)
    cgroup.enter(worker.pid)
    with pytest.raises(StepFailed, match=r"container's cgroup is not empty: 1 process\(es\) found"):
        cgroup.create(None)
    assert worker.pid in cgroup.processes()


def test_a_cgroup_that_somebody_prepared_is_used_as_it_is(cgroup):
    cgroup.create(LinuxResources(memory=LinuxMemory(limit=1 << 26)))
    inode = os.stat(next(iter(cgroup.paths.values()))).st_ino
    cgroup.create(None)
    assert cgroup.stats().memory.usage.limit == 1 << 26
    assert os.stat(next(iter(cgroup.paths.values()))).st_ino == inode


@pytest.mark.parametrize("which", ["only_v1", "only_v2"])
def test_a_frozen_cgroup_is_refused_as_nothing_would_ever_start_there(which, request):
    part = request.getfixturevalue(which)
    part.create(None)
    part.freeze()
    with pytest.raises(StepFailed, match="container's cgroup unexpectedly frozen"):
        part.create(None)
    part.thaw()
    part.create(None)


def test_a_relative_path_lies_below_or_beside_our_own_cgroup(token):
    own = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines()}
    for name, directory in cgroups.open(token).paths.items():
        start = own[name] if name else os.path.dirname(own[name])
        assert directory.endswith(os.path.join(start, token))


def test_below_a_cgroup_of_threads_there_are_only_such(only_v2, start):
    parent = Path(only_v2.second.directory).parent
    (parent / "threads").mkdir(parents=True)
    (parent / "threads/cgroup.type").write_text("threaded")
    only_v2.create(None)
    assert Path(only_v2.second.directory, "cgroup.type").read_text() == "threaded\n"
    worker = start(SLEEP)
    only_v2.enter(worker.pid)
    assert only_v2.processes() == [worker.pid]
    only_v2.kill()
    assert worker.wait() == -signal.SIGKILL
    only_v2.destroy()
    Path(only_v2.second.directory).mkdir()
    step = v2.FitType(only_v2.second.mountpoint, only_v2.second.directory, domain=True)
    with pytest.raises(StepFailed, match=r"cannot enter cgroupv2 .* with domain controllers -- it is in"):
        step.apply(None)


def test_a_cgroup_that_is_given_away_can_be_divided_but_not_widened(only_v2):
    only_v2.create(None)
    (step,) = cgroups.Cgroup((), only_v2.second).given_to(100000)
    step.apply(None)
    owners = {name: os.stat(os.path.join(only_v2.second.directory, name)).st_uid
              for name in (".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads", "cgroup.freeze")}
    assert owners == {".": 100000, "cgroup.procs": 100000, "cgroup.subtree_control": 100000, "cgroup.threads": 100000,
                      "cgroup.freeze": 0}
