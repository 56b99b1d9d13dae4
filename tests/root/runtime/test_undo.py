"""A step that fails: all earlier ones are undone, for every step of the plan; the error is the step's own."""

import importlib
import json
import pkgutil
import subprocess
import sys

import pytest

import runtime as package
from runtime.cgroups import read_layout
from runtime.step import Step
from tests.root.runtime.conftest import REPOSITORY, Runtime

HOOK = [{"path": "/bin/true", "args": ["true"]}]
MAPPING = [{"containerID": 0, "hostID": 100000, "size": 65536}]
SECCOMP = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
           "syscalls": [{"names": ["chdir"], "action": "SCMP_ACT_ERRNO"}]}
PROCESS = {"process__rlimits": [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 64}], "process__oomScoreAdj": 10,
           "process__noNewPrivileges": True, "process__scheduler": {"policy": "SCHED_BATCH", "nice": 19},
           "process__ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4}, "process__cwd": "/srv/deep"}
RICH = {
    **PROCESS, "process__terminal": True, "domainname": "example", "root__readonly": True,
    "hooks": {"prestart": HOOK, "createRuntime": HOOK, "createContainer": HOOK,
              "startContainer": HOOK},
    "linux__sysctl": {"net.ipv4.ip_forward": "1"}, "linux__rootfsPropagation": "slave", "linux__seccomp": SECCOMP,
    "linux__personality": {"domain": "LINUX"},
    "linux__devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}],
}
MAPPED = {"linux__uidMappings": MAPPING, "linux__gidMappings": MAPPING,
          "linux__namespaces": [{"type": kind} for kind in ("user", "mount", "pid", "ipc", "uts", "network", "cgroup")]}


# Steps before which no failure is injected here, and why.
ELSEWHERE = {
    "Execute": "it comes after the handshake: test_what_fails_after_start",
    **dict.fromkeys(("LaterHook", "TellStarted"), "hooks of start and delete, which undo nothing: test_hooks"),
    **dict.fromkeys(("AppArmorProfile", "SELinuxLabel", "KeyringLabel"), "need the kernel's module"),
    **dict.fromkeys(("AdoptCgroup", "StartScope", "SetProperties"), "need systemd: the tests in the virtual machine"),
    **(dict.fromkeys(("InheritCpuset", "LimitDevices"), "need cgroup v1") if read_layout().mode == "v2" else
       dict.fromkeys(("DelegateControllers", "FilterDevices", "FitType"),
                     "need cgroup v2 alone: the tests in the virtual machine")),
    "GiveCgroup": "needs cgroup v2 alone, and a user namespace that may write there: test_users",
    **dict.fromkeys(("SendListener", "TellListener"), "need a listener: test_seccomp"),
    "OpenUserNamespace": "it only opens a file: test_namespaces joins one",
    "SetFirst": "limits whose file depends on the kernel: tests/root/cgroups",
    "CoverHost": "--no-pivot in a user namespace: test_users",
}


def injected(runtime: Runtime, what: str) -> set[str]:
    """The step classes before which it failed."""
    done = subprocess.run([sys.executable, "-m", "tests.root.runtime.injected", what, str(runtime.root),
                           str(runtime.bundle)], cwd=REPOSITORY, capture_output=True, text=True,
                          timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    number, *names = done.stdout.split()
    assert int(number) >= (12 if what == "exec" else 50)
    return {*names}


def create_with_everything(runtime: Runtime) -> set[str]:
    runtime.configure("sleep", "100")
    bind = {"destination": "/data", "type": "bind", "source": str(runtime.directory), "options": ["rbind", "ro"]}
    document = json.loads((runtime.bundle / "config.json").read_text())
    runtime.change(**RICH, mounts=[*document["mounts"], bind])
    return injected(runtime, "create")


def create_with_a_user_namespace(runtime: Runtime) -> set[str]:
    """And with a filter that is loaded while privileged, and trees whose owners are mapped."""
    runtime.configure("sleep", "100")
    document = json.loads((runtime.bundle / "config.json").read_text())
    volume = runtime.directory / "volume"
    volume.mkdir()
    tree = {"type": "bind", "source": str(volume)}
    runtime.change(**{**PROCESS, "process__noNewPrivileges": False}, **MAPPED, linux__seccomp=SECCOMP, mounts=[
        *document["mounts"],
        {**tree, "destination": "/like", "options": ["rbind", "idmap"]},
        {**tree, "destination": "/own", "options": ["bind", "idmap"], "uidMappings": MAPPING, "gidMappings": MAPPING}])
    subprocess.run(["chown", "-hR", "100000:100000", runtime.rootfs], check=True)
    return injected(runtime, "create")


def create_without_pivot(runtime: Runtime) -> set[str]:
    runtime.configure("sleep", "100")
    document = json.loads((runtime.bundle / "config.json").read_text())
    runtime.change(mounts=[*document["mounts"], {"destination": "/etc", "type": "tmpfs", "options": ["tmpcopyup"]},
                           {"destination": "/etc", "type": "tmpfs", "options": ["remount", "size=1m"]},
                           {"destination": "/root", "type": "tmpfs"}])
    return injected(runtime, "create-without-pivot")


def exec_with_everything(runtime: Runtime) -> set[str]:
    runtime.configure("sleep", "100")
    runtime.change(linux__seccomp=SECCOMP)
    runtime.create()
    runtime("start", "c", check=True)
    (runtime.bundle / "process.json").write_text(json.dumps({
        **{name.removeprefix("process__"): value for name, value in PROCESS.items()}, "cwd": "/", "args": ["true"],
        "env": ["PATH=/bin"], "user": {"uid": 1000, "gid": 1000}, "execCPUAffinity": {"initial": "0", "final": "0"}}))
    found = injected(runtime, "exec")
    assert runtime.state()["status"] == "running"
    runtime("delete", "--force", "c", check=True)
    return found


def test_a_failure_at_any_step_leaves_nothing(runtime: Runtime) -> None:
    """The leak check afterwards looks for cgroups, mounts, namespaces and processes."""
    covered = create_with_everything(runtime) | exec_with_everything(runtime) | create_without_pivot(runtime)
    covered |= create_with_a_user_namespace(runtime)
    missing = sorted(every_step() - covered - {*ELSEWHERE})
    assert not missing, " ".join(missing)


def every_step() -> set[str]:
    """The classes of all steps that the runtime has."""
    for module in pkgutil.walk_packages(package.__path__, "runtime."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    pending, found = [Step], set()
    while pending:
        below = pending.pop().__subclasses__()
        pending += below
        found |= {one.__name__ for one in below if one.__module__.startswith("runtime.") and "apply" in vars(one)}
    return found


def test_what_fails_after_start(runtime: Runtime) -> None:
    """`run`: a startContainer hook that fails, or a program that cannot be executed; and a hook of `start` itself."""
    (runtime.rootfs / "bin/wrong").write_text("#!/no/such\n")
    (runtime.rootfs / "bin/wrong").chmod(0o755)
    runtime.configure("wrong")
    assert runtime.run().returncode == 127
    runtime.configure("true")
    for kind in ("startContainer", "createContainer", "createRuntime", "prestart"):
        runtime.change(hooks={kind: [{"path": "/bin/false" if kind != "startContainer" else "/bin/nothere"}]})
        done = runtime.run()
        assert done.returncode != 0 and done.stderr.count("\n") == 1, done
        assert runtime("list", "--quiet").stdout == ""


@pytest.mark.parametrize(("change", "words"), [
    ({"root": {"path": "nowhere"}}, "no such file or directory"),
    ({"mounts": [{"destination": "/x", "type": "nosuchfs"}]}, "mount nosuchfs on /x: "),
    ({"mounts": [{"destination": "/x", "type": "tmpfs", "options": ["size=many"]}]}, "size"),
    ({"mounts": [{"destination": "/x", "type": "bind", "source": "/no/such/source"}]}, "no such file or directory"),
    ({"mounts": [{"destination": "/etc/passwd/x", "type": "tmpfs"}]}, "not a directory"),
    ({"linux__namespaces": [{"type": "mount"}, {"type": "network", "path": "/proc/self/ns/uts"}]},
     "network namespace /proc/self/ns/uts: this is a uts namespace"),
    ({"linux__namespaces": [{"type": "mount"}, {"type": "network", "path": "/no/such"}], "hostname": ""},
     "/no/such: no such file or directory"),
    ({"process__cwd": "/etc/passwd"}, "not a directory"),
])
def test_what_the_kernel_refuses_is_told_in_one_line(runtime: Runtime, change: dict[str, object], words: str) -> None:
    runtime.configure("true")
    if "linux__namespaces" in change:
        change = {**change, "hostname": ""}
    runtime.change(**change)
    done = runtime.run()
    assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_missing_or_broken_config(runtime: Runtime) -> None:
    done = runtime("create", "--bundle", str(runtime.bundle), "c")
    assert done.returncode == 1 and "config.json" in done.stderr and "no such file or directory" in done.stderr
    broken = '{"ociVersion": "1", "linux": {"resources": {"memory": {"limit": ""}}}}'
    (runtime.bundle / "config.json").write_text(broken)
    done = runtime("create", "--bundle", str(runtime.bundle), "c")
    assert done.returncode == 1 and "`$.linux.resources.memory.limit`" in done.stderr
