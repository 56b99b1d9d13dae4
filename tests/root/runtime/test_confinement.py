"""Priorities, personality, labels and runc's own capabilities, as the kernel tells them."""

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest
from msgspec.structs import replace

from runtime.machine import look
from runtime.spec import CPUAffinity, LinuxIOPriority, LinuxPersonality, Mount, Scheduler
from tests.root.runtime.conftest import REPOSITORY, Runtime


@pytest.mark.parametrize(("scheduler", "policy", "nice"), [
    (Scheduler(policy="SCHED_BATCH", nice=7), os.SCHED_BATCH, 7),
    (Scheduler(policy="SCHED_OTHER", nice=-5), os.SCHED_OTHER, -5),
    (Scheduler(policy="SCHED_OTHER", flags=("SCHED_FLAG_RESET_ON_FORK",)), os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, 0),
])
def test_the_scheduler(runtime: Runtime, scheduler: Scheduler, policy: int, nice: int) -> None:
    pid = runtime.background("sleep", "100", scheduler=scheduler)
    assert os.sched_getscheduler(pid) == policy
    assert os.getpriority(os.PRIO_PROCESS, pid) == nice


@pytest.mark.parametrize(("scheduler", "expected"), [
    (Scheduler(policy="SCHED_IDLE"), "5 0"),
    (Scheduler(policy="SCHED_FIFO", priority=3), "1 3"), (Scheduler(policy="SCHED_RR", priority=99), "2 99"),
    (Scheduler(policy="SCHED_DEADLINE", runtime=10**6, deadline=10**7, period=10**7), "6 0"),
])
def test_schedulers_that_need_a_budget(runtime: Runtime, scheduler: Scheduler, expected: str) -> None:
    """proc_pid_stat(5): fields 40 and 41, priority and policy."""
    done = runtime.run("cat", "/proc/self/stat", scheduler=scheduler)
    if "sched_setattr(2), E" in done.stderr and scheduler.policy != "SCHED_IDLE":
        pytest.skip(f"the kernel grants this cgroup no real time: {done.stderr.strip()}")
    priority, policy = done.stdout.rpartition(")")[2].split()[37:39]
    assert f"{policy} {priority}" == expected


def test_the_io_priority(runtime: Runtime) -> None:
    pid = runtime.background("sleep", "100", io_priority=LinuxIOPriority(class_="IOPRIO_CLASS_BE", priority=6))
    said = subprocess.run(("ionice", "-p", str(pid)), capture_output=True, text=True, check=True).stdout
    assert said == "best-effort: prio 6\n"


def test_the_personality_is_also_that_of_exec(runtime: Runtime) -> None:
    spec = runtime.configure("sleep", "100")
    assert spec.linux is not None
    runtime.write(replace(spec, linux=replace(spec.linux, personality=LinuxPersonality(domain="LINUX32"))))
    runtime.create()
    runtime("start", "c", check=True)
    with open(f"/proc/{runtime.pid()}/personality") as init:
        assert int(init.read(), 16) & 0xFF == 0x08
    assert int(runtime("exec", "c", "cat", "/proc/self/personality", check=True).stdout, 16) & 0xFF == 0x08


def allowed(text: str) -> str:
    return next(line.split()[1] for line in text.splitlines() if line.startswith("Cpus_allowed_list:"))


def test_processors_of_exec(runtime: Runtime) -> None:
    last = max(os.sched_getaffinity(0))
    runtime.background("sleep", "100")
    # What is only initial may be gone in the cgroup: before Linux 6.2, entering a cpuset resets it (cpuset(7)).
    for affinity in ({"final": str(last)}, {"initial": "0", "final": str(last)}):
        (runtime.directory / "process.json").write_text(json.dumps(
            {"cwd": "/", "args": ["/bin/cat", "/proc/self/status"], "execCPUAffinity": affinity}))
        done = runtime("exec", "--process", str(runtime.directory / "process.json"), "c", check=True)
        assert allowed(done.stdout) == str(last)


def test_exec_runs_where_the_container_says_if_nobody_says_otherwise(runtime: Runtime) -> None:
    last = max(os.sched_getaffinity(0))
    runtime.background("sleep", "100", exec_cpu_affinity=CPUAffinity(final=str(last)))
    assert allowed(runtime("exec", "c", "cat", "/proc/self/status", check=True).stdout) == str(last)


def test_processors_that_are_not_there(runtime: Runtime) -> None:
    runtime.background("sleep", "100", exec_cpu_affinity=CPUAffinity(final="8000"))
    done = runtime("exec", "c", "true")
    assert done.returncode and "run on the processors 8000: invalid argument" in done.stderr


@pytest.mark.parametrize(("process", "linux", "words"), [
    ({"apparmor_profile": "docker-default"}, {}, "apparmor: config provided but apparmor not supported"),
    ({"selinux_label": "a:b:c:d"}, {}, "selinux label is specified in config, but selinux is disabled"),
    ({}, {"mount_label": "a:b:c:d"}, "selinux label is specified in config, but selinux is disabled"),
])
def test_labels_that_cannot_be_had(runtime: Runtime, process: dict[str, Any], linux: dict[str, Any],
                                   words: str) -> None:
    machine = look()
    if machine.apparmor if "apparmor_profile" in process else machine.selinux:
        pytest.skip("this kernel has them")
    spec = runtime.configure("true", **process)
    assert spec.linux is not None
    runtime.write(replace(spec, linux=replace(spec.linux, **linux)))
    done = runtime.run()
    assert done.returncode == 1 and words in done.stderr


def test_an_apparmor_profile(runtime: Runtime) -> None:
    """In create and in exec."""
    parser = shutil.which("apparmor_parser")
    if not look().apparmor or parser is None:
        pytest.skip("needs AppArmor, and apparmor_parser")
    name = f"pydocker-test-{os.getpid()}"
    profile = f"profile {name} flags=(attach_disconnected) {{ file, capability, signal, unix, ptrace, }}"
    subprocess.run((parser, "--replace"), input=profile, text=True, check=True)
    try:
        runtime.background("sleep", "100", apparmor_profile=name)
        said = runtime("exec", "c", "cat", "/proc/1/attr/current", "/proc/self/attr/current", check=True).stdout
        assert said.splitlines() == [f"{name} (enforce)"] * 2
        runtime("delete", "--force", "c", check=True)
        done = runtime.run("true", apparmor_profile="no-such-profile")
        assert done.returncode == 1 and "apply the AppArmor profile no-such-profile" in done.stderr
    finally:
        subprocess.run((parser, "--remove"), input=profile, text=True, check=True)


def test_labels_are_written_to_a_procfs_that_nobody_covers() -> None:
    """What lies over /proc, or over /proc/self/attr, swallows no word (CVE-2019-16884)."""
    code = """if True:
        import os
        from runtime.linux import mounts, procfs
        from runtime.linux.namespaces import CLONE_NEWNS, unshare
        unshare(CLONE_NEWNS)
        mounts.mount(None, "/", None, mounts.MS_PRIVATE | mounts.MS_REC)
        mounts.mount("tmpfs", "/proc", "tmpfs")
        os.makedirs(f"/proc/{os.getpid()}/attr")
        os.symlink(str(os.getpid()), "/proc/self")
        open("/proc/self/attr/exec", "w").close()
        proc = procfs.opened()
        assert os.readlink("self", dir_fd=proc) == str(os.getpid())
        attribute = procfs.first(proc, ("no/such", "exec"))
        print(hex(mounts.filesystem(proc)), hex(mounts.filesystem(attribute)))
    """
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.stdout.split() == ["0x9fa0"] * 2, done.stderr


def test_runcs_own_specification_runs_as_with_runc(runtime: Runtime) -> None:
    """It asks for ambient capabilities that are not inheritable: runc goes on without them."""
    runc = shutil.which("runc")
    if runc is None:
        pytest.skip("needs runc")
    subprocess.run((runc, "spec"), cwd=runtime.bundle, check=True)
    path = runtime.bundle / "config.json"
    document = json.loads(path.read_text())
    document["process"].update(terminal=False, args=["grep", "-E", "^(Cap|NoNew|Seccomp)", "/proc/self/status"])
    document["linux"]["cgroupsPath"] = runtime.cgroup
    path.write_text(json.dumps(document))
    ours = runtime("run", "--bundle", str(runtime.bundle), "c", check=True).stdout
    theirs = subprocess.run((runc, "--root", runtime.directory / "runc", "run", "--bundle", runtime.bundle, "c"),
                            capture_output=True, text=True, check=True).stdout
    assert ours == theirs and "CapAmb:\t0000000000000000" in ours


def test_groups_umask_and_their_bounds(runtime: Runtime) -> None:
    from runtime.spec import User

    done = runtime.run("sh", "-c", "umask; id -G", user=User(uid=0, gid=7, umask=0o077, additional_gids=(9, 8)))
    umask, *groups = done.stdout.split()
    assert umask == "0077" and {*groups} == {"7", "8", "9"}
    runtime.change(process__user={"uid": 0, "gid": 0, "umask": 0o1000})
    done = runtime.run()
    assert done.returncode == 1 and "$.process.user.umask" in done.stderr


def test_mount_labels_go_to_the_file_systems_that_take_them() -> None:
    from runtime.mounting import labelled
    from runtime.rootfs.options import parse

    tmpfs = Mount(destination="/x", type="tmpfs", options=("size=1m",))
    assert labelled(parse(tmpfs.options), "tmpfs", "a:b").data == (("size", "1m"), ("context", "a:b"))
