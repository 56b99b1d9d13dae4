"""Limits hold: written, read back, and felt by a process."""

import os
from pathlib import Path

import msgspec
import pytest

from pydocker.monitor.happenings import Bell, OomWatch
from pydocker.monitor.loop import Loop
from runtime.cgroups import Hierarchy, v2
from runtime.errors import StepFailed
from runtime.spec.resources import (
    LinuxBlockIO,
    LinuxCPU,
    LinuxHugepageLimit,
    LinuxMemory,
    LinuxPids,
    LinuxResources,
    LinuxThrottleDevice,
)
from tests.waiting import wait_until

MIB = 1 << 20
EAT = """
import os
pid = os.fork()
if pid == 0:
    data = bytearray(256 << 20)
    os._exit(0)
print(os.waitpid(pid, 0)[1])
"""
FORK = """
import os, time
try:
    for _ in range(20):
        if os.fork() == 0:
            time.sleep(100)
except BlockingIOError:
    print("enough")
"""


def test_the_figures_are_what_was_asked_for(cgroup, start):
    cgroup.create(LinuxResources(memory=LinuxMemory(limit=64 * MIB), pids=LinuxPids(limit=7)))
    cgroup.enter(start("import time; time.sleep(100)").pid)
    stats = cgroup.stats()
    assert (stats.memory.usage.limit, stats.pids.current, stats.pids.limit) == (64 * MIB, 1, 7)


def test_no_limit_is_none(cgroup):
    cgroup.create(None)
    assert cgroup.stats().memory.usage.limit > 1 << 62
    assert cgroup.stats().pids.limit == 0


def test_too_much_memory_ends_a_process_and_is_counted(cgroup, start, go):
    cgroup.create(LinuxResources(memory=LinuxMemory(limit=32 * MIB, swap=32 * MIB)))
    assert cgroup.oom_kills() == 0
    worker = start(EAT)
    cgroup.enter(worker.pid)
    assert go(worker).strip() == "9"
    assert cgroup.oom_kills() == 1


def test_a_notice_that_comes_before_the_count(cgroup, only_v1, cgroup_parent):
    """v1 gives notice, and then kills: who takes over the watch between the two hears of it all the same."""
    cgroup.create(None)
    loop, said = Loop(), []
    notices = only_v1.oom_notices()
    watch = OomWatch(loop, f"{cgroup_parent}-cgroups/box", said.append, Bell(notices.descriptor, notices.mask, False))
    loop.turn(wait=False)
    assert said == []
    os.eventfd_write(notices.descriptor, 1)  # as the kernel does
    loop.turn()
    assert (said, cgroup.oom_kills()) == (["oom"], 0)
    assert not watch.close()


def test_too_many_processes(cgroup, start, go):
    cgroup.create(LinuxResources(pids=LinuxPids(limit=5)))
    worker = start(FORK)
    cgroup.enter(worker.pid)
    worker.stdin.write("\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == "enough\n"


def test_one_cpu_of_them_all(cgroup, start, go):
    cgroup.create(LinuxResources(cpu=LinuxCPU(cpus="0")))
    worker = start("import os; print(os.sched_getaffinity(0))")
    cgroup.enter(worker.pid)
    assert go(worker).strip() == "{0}"


def test_limits_change_up_and_down_whichever_has_to_go_first(cgroup):
    cgroup.create(None)
    for mib in (64, 256, 16, 128):
        cgroup.apply(LinuxResources(memory=LinuxMemory(limit=mib * MIB, swap=2 * mib * MIB)))
        assert cgroup.stats().memory.usage.limit == mib * MIB


def test_a_change_that_is_refused_says_so(cgroup):
    cgroup.create(None)
    with pytest.raises(StepFailed, match=r"write '4000' to .*cpuset.cpus"):
        cgroup.apply(LinuxResources(cpu=LinuxCPU(cpus="4000")))


def test_a_limit_below_what_is_used_can_be_refused(cgroup, start):
    cgroup.create(None)
    worker = start("data = b'x' * (8 << 20); print('eaten', flush=True); input()")
    cgroup.enter(worker.pid)
    worker.stdin.write("\n")
    worker.stdin.flush()
    worker.stdout.readline()
    with pytest.raises(StepFailed, match=r"rejecting memory limit 4096 <= usage \d+"):
        cgroup.apply(LinuxResources(memory=LinuxMemory(limit=4096, check_before_update=True)))


def read(cgroup, controller: str, file: str) -> str:
    branch = next(one for one in cgroup.first if controller in one.controllers)
    return Path(branch.directory, file).read_text().strip()


def test_a_change_is_all_or_nothing(only_v1):
    """The last of five is refused: the four before it are taken back, whatever shape their files have."""
    before = LinuxResources(memory=LinuxMemory(limit=64 * MIB, swap=80 * MIB), cpu=LinuxCPU(quota=20_000),
                            pids=LinuxPids(limit=7))
    only_v1.create(before)
    device = os.stat("/").st_dev
    throttle = LinuxThrottleDevice(major=os.major(device), minor=os.minor(device) // 16 * 16, rate=1 << 20)
    files = [("memory", "memory.limit_in_bytes"), ("memory", "memory.memsw.limit_in_bytes"), ("pids", "pids.max"),
             ("cpu", "cpu.cfs_quota_us"), ("blkio", "blkio.throttle.read_bps_device")]
    there = [read(only_v1, *file) for file in files]
    block = LinuxBlockIO(throttle_read_bps_device=(throttle,))
    wanted = LinuxResources(memory=LinuxMemory(limit=96 * MIB, swap=128 * MIB), pids=LinuxPids(limit=9), block_io=block)
    with pytest.raises(StepFailed, match="cfs_quota_us"):
        only_v1.apply(msgspec.structs.replace(wanted, cpu=LinuxCPU(quota=1)))
    assert [read(only_v1, *file) for file in files] == there
    undo = only_v1.apply(msgspec.structs.replace(wanted, cpu=LinuxCPU(quota=30_000)))
    changed = [read(only_v1, *file) for file in files]
    assert changed[0] == str(96 * MIB) and changed[4].endswith(f" {1 << 20}")
    undo.close()
    assert [read(only_v1, *file) for file in files] == there


def test_a_weight_goes_where_this_kernel_has_it(only_v1):
    only_v1.create(LinuxResources(block_io=LinuxBlockIO(weight=123)))
    blkio = next(one for one in only_v1.first if "blkio" in one.controllers)
    file = next(name for name in ("blkio.weight", "blkio.bfq.weight") if os.path.exists(f"{blkio.directory}/{name}"))
    assert read(only_v1, "blkio", file) == "123"


def test_a_limit_far_below_what_is_in_use_is_refused_in_words(only_v1, start):
    only_v1.create(LinuxResources(memory=LinuxMemory(swap=-1)))
    worker = start("import mmap; m = mmap.mmap(-1, 8 << 20); m.write(b'x' * (8 << 20)); print('eaten', flush=True); "
                   "input()")
    only_v1.enter(worker.pid)
    worker.stdin.write("\n")
    worker.stdin.flush()
    worker.stdout.readline()
    with pytest.raises(StepFailed, match=r"unable to set memory limit to 1048576 \(current usage: \d+, peak usage"):
        only_v1.apply(LinuxResources(memory=LinuxMemory(limit=MIB)))


def test_half_a_processor(cgroup, start):
    cgroup.create(LinuxResources(cpu=LinuxCPU(quota=10_000, period=20_000)))
    worker = start("while True: pass")
    cgroup.enter(worker.pid)
    worker.stdin.write("\n")
    worker.stdin.flush()
    wait_until(lambda: cgroup.stats().cpu.throttling.throttled_periods > 0)
    assert cgroup.stats().cpu.usage.total > 0


def test_v2_passes_a_controller_down_and_limits_with_it(only_v2, content):
    """With the limit on huge pages: the only controller that a hybrid host's v2 may have."""
    tree = only_v2.second
    if "hugetlb" not in tree.controllers:
        pytest.skip("v2 has no hugetlb controller here")
    root, parent = (Path(at, "cgroup.subtree_control") for at in (tree.mountpoint, Path(tree.directory).parent))
    before = root.read_text()
    try:
        only_v2.create(LinuxResources(hugepage_limits=(LinuxHugepageLimit(page_size="2MB", limit=4 * MIB),)))
        assert content(only_v2, "", "hugetlb.2MB.max") == str(4 * MIB)
    finally:
        only_v2.destroy()
        if "hugetlb" not in before:
            parent.write_text("-hugetlb")
            root.write_text("-hugetlb")


def test_v2_says_which_limit_cannot_be_had_where_a_controller_is_not_passed_on(only_v2):
    """With a controller that containers are not given, and that is therefore at the root at most."""
    tree = only_v2.second
    only_v2.create(None)
    below = Hierarchy(2, tree.directory, ("misc",))
    step = v2.DelegateControllers(below.mountpoint, below.directory("/a"), ("misc",), ("misc",))
    with pytest.raises(StepFailed, match="the misc limit that was asked for cannot be set"):
        step.apply(None)
    v2.DelegateControllers(below.mountpoint, below.directory("/a"), ("misc",)).apply(None)
