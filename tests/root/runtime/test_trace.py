"""--trace: a line for each step; and strace(1) as the witness that it tells all that is done, and nothing else."""

import json
import re
import shutil
import subprocess
import time
from typing import Any

import pytest

from runtime.create import Wanted, decided
from tests.root.runtime.conftest import Runtime
from tests.root.runtime.strace import Watched, differences, steps

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")


@pytest.fixture
def watched(runtime: Runtime) -> Watched:
    return Watched(runtime)


def everything(runtime: Runtime) -> None:
    """A bundle with something of each kind of step that changes the kernel's state."""
    runtime.configure("true", user={"uid": 1000, "gid": 1000, "additionalGids": [7, 8]})
    shared = runtime.directory / "shared"
    shared.mkdir()
    document = [{"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance"]},
                {"destination": "/shared", "type": "bind", "source": str(shared),
                 "options": ["rbind", "ro", "rnosuid", "rslave", "noatime"]},
                {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["ro", "size=1m"]},  # noqa: S108
                {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]}]
    runtime.change(mounts=document, domainname="example.org", root__readonly=True, linux__rootfsPropagation="rslave",
                   linux__sysctl={"net.ipv4.ip_forward": "1"}, process__noNewPrivileges=True)


def test_a_run(watched: Watched) -> None:
    watched.runtime.configure("true")
    watched("run", "--bundle", str(watched.runtime.bundle), "c")
    assert differences(watched) == []
    # The witness saw something, and what is not in the plan has its name.
    names = steps(watched.file)
    assert sum(watched.seen().values()) > 100
    assert {"OwnInterpreter", "OwnNull", "Delete"} <= set(names)


def test_create_and_start(watched: Watched) -> None:
    everything(watched.runtime)
    pid_file = watched.runtime.directory / "pid"
    with watched.begun("create", "--bundle", str(watched.runtime.bundle), "--pid-file", str(pid_file), "c"):
        deadline = time.monotonic() + 60
        while not pid_file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        watched.runtime.await_status("created")
        watched.runtime("start", "c", check=True)
    assert differences(watched) == []
    seen = "\n".join(watched.seen())
    for call in ("setdomainname", "MOUNT_ATTR_NOATIME", "propagation=MS_SLAVE", "umount2", "pivot_root", "capset",
                 "pids.max", "CLONE_NEWCGROUP"):
        assert call in seen


def test_a_user_namespace_a_filter_and_hooks(watched: Watched) -> None:
    """The same for steps that are done by other processes than usual; what hooks do is theirs."""
    runtime = watched.runtime
    for directory in (runtime.directory.parent, runtime.directory, runtime.bundle):
        directory.chmod(0o711)
    subprocess.run(["chown", "-R", "100000:100000", runtime.rootfs], check=True)
    runtime.configure("true")
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    kinds = ("user", "mount", "pid", "network", "uts", "ipc", "cgroup")
    hook = {"path": "/bin/true"}
    runtime.change(linux__namespaces=[{"type": kind} for kind in kinds], linux__uidMappings=maps,
                   linux__gidMappings=maps, hooks={"createRuntime": [hook], "createContainer": [hook]},
                   linux__seccomp={"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                       {"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO"}]})
    # Once before: where a profile is compiled for the first time, libseccomp asks the kernel by calls that fail.
    runtime("run", "--bundle", str(runtime.bundle), "c", check=True)
    watched("run", "--bundle", str(runtime.bundle), "c")
    assert differences(watched) == []
    assert set(map(name_of, watched.seen())) >= {"seccomp", "unshare", "setns", "capset", "pivot_root"}


def name_of(call: str) -> str:
    return re.split(r"\W", call)[0]


def test_exec(watched: Watched) -> None:
    watched.runtime.background("sleep", "60")
    watched("exec", "c", "true")
    assert differences(watched) == []
    assert any("CLONE_NEWNS" in call for call in watched.seen() if call.startswith("setns"))


def test_every_step_of_the_plan_has_its_line(runtime: Runtime) -> None:
    """In order, as `explain` tells it; what fails is undone, and that is told, too."""
    runtime.configure("true")
    plan = decided(Wanted(id="c", root=str(runtime.root), bundle=str(runtime.bundle)))[2]
    file = runtime.directory / "trace"
    runtime("run", "--trace", str(file), "--bundle", str(runtime.bundle), "c", check=True)
    told = lines(file)
    for side, planned in (("outside", plan.outside), ("leaving", plan.leaving), ("inside", plan.inside)):
        names = {type(step).__name__ for step in planned}
        found = [line["what"].removeprefix("about to ") for line in told
                 if line["side"] == side and line["step"] in names]
        assert found == [step.describe() for step in planned]
    assert all(set(line) == {"step", "side", "what", "manual", "calls", "began", "took"} for line in told)
    assert all(line["took"] > 0 for line in told if line["step"] in ("Clone", "PivotRoot", "EnterCgroup"))
    moments = [line["began"] for line in told if line["side"] == "inside"]
    assert moments == sorted(moments)


def test_what_fails_is_told_and_so_is_its_undoing(runtime: Runtime) -> None:
    runtime.configure("nosuch")
    file = runtime.directory / "trace"
    assert runtime("create", "--trace", str(file), "--bundle", str(runtime.bundle), "c").returncode == 1
    told = lines(file)
    (failed,) = [line for line in told if "error" in line]
    assert failed["step"] == "FindProgram" and "executable file not found" in failed["error"]
    undone = [line["step"] for line in told if line["what"].startswith("undo: ")]
    assert undone[-1] == "MakeCgroup" and "Clone" in undone


def test_the_program_gets_no_descriptor_of_the_trace(runtime: Runtime) -> None:
    runtime.configure("ls", "-l", "/proc/self/fd")
    done = runtime("run", "--trace", str(runtime.directory / "trace"), "--bundle", str(runtime.bundle), "c", check=True)
    assert "trace" not in done.stdout


def test_a_file_that_cannot_be_opened_is_an_error_before_anything_is_done(runtime: Runtime) -> None:
    runtime.configure("true")
    for words in (("create", "--trace", "/nosuch/t", "--bundle", str(runtime.bundle), "c"),
                  ("run", "--trace=/nosuch/t", "--bundle", str(runtime.bundle), "c"),
                  ("exec", "--trace", "/nosuch/t", "c", "true")):
        done = runtime(*words)
        assert done.returncode == (255 if words[0] == "exec" else 1)
        assert done.stderr == "pydocker-runtime: --trace /nosuch/t: no such file or directory (open(2))\n"
    assert not runtime.root.exists()


def test_a_limit_on_file_sizes_does_not_stop_a_traced_container(runtime: Runtime) -> None:
    file = runtime.directory / "trace"
    runtime.configure("true", rlimits=[{"type": "RLIMIT_FSIZE", "soft": 1, "hard": 1}])
    runtime("run", "--trace", str(file), "--bundle", str(runtime.bundle), "c", check=True)
    assert "Delete" in steps(file)


def lines(file: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]
