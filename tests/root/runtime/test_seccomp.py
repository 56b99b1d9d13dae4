"""Seccomp in the kernel: what a container can still call, by which ABI, and who answers."""

import errno
import fcntl
import json
import os
import platform
import re
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from runtime.linux import libseccomp
from runtime.spec import LinuxSeccomp, LinuxSeccompArg, LinuxSyscall
from tests.root.runtime.conftest import COMMAND, REPOSITORY, Runtime

DEFAULT_PROFILE = Path("/usr/share/containers/seccomp.json")  # golang-github-containers-common
X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers and instructions of x86-64")

# Makes the system calls that its arguments name (`i386:20`, `64:39:1`), and prints what the kernel answers.
CALLER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        char *rest = strchr(argv[i], ':') + 1;
        long number = strtol(rest, &rest, 0), first = *rest ? strtol(rest + 1, &rest, 0) : 0, answer;
        long second = *rest ? strtol(rest + 1, &rest, 0) : 0;
        if (argv[i][0] == 'i') {
            int small;
            __asm__ volatile("int $0x80" : "=a"(small) : "a"((int)number), "b"((int)first), "c"((int)second)
                             : "memory");
            answer = small;
        } else {
            __asm__ volatile("syscall" : "=a"(answer) : "a"(number), "D"(first), "S"(second) : "rcx", "r11", "memory");
        }
        printf("%ld\n", answer);
        fflush(stdout);
    }
    return 0;
}
"""
X32 = 1 << 30
GETPID, UNAME, MKDIR, UNSHARE, GETPPID, SOCKET, PERSONALITY, FUTURE = 39, 63, 83, 272, 110, 41, 135, 700

# What a static program of glibc needs, and a Go runtime: people write such profiles for runc.
NEEDED = ("read", "write", "close", "execve", "exit_group", "brk", "mmap", "munmap", "mprotect", "arch_prctl", "futex",
          "rt_sigaction", "rt_sigprocmask", "sigaltstack", "set_tid_address", "set_robust_list", "rseq", "prlimit64",
          "readlink", "readlinkat", "getrandom", "fstat", "newfstatat", "capset", "getpid")


@pytest.fixture(scope="session")
def caller(session_directory: Path) -> Path:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs gcc")
    source, program = session_directory / "caller.c", session_directory / "caller"
    source.write_text(CALLER)
    subprocess.run((compiler, "-O1", "-static", "-o", program, source), check=True)
    return program


def rule(*names: str, action: str = "SCMP_ACT_ALLOW", **fields: Any) -> LinuxSyscall:
    return LinuxSyscall(names=names, action=action, **fields)


def confine(runtime: Runtime, profile: LinuxSeccomp, *args: str, **process: Any) -> None:
    """Write config.json with the profile."""
    spec = runtime.configure(*args, **process)
    assert spec.linux is not None
    runtime.write(replace(spec, linux=replace(spec.linux, seccomp=profile)))


def answers(runtime: Runtime, caller: Path, profile: LinuxSeccomp, *calls: str, **process: Any) -> list[int]:
    """What the kernel says to these calls in a container with this profile."""
    shutil.copy2(caller, runtime.rootfs / "bin/caller")
    confine(runtime, profile, "/bin/caller", *calls, **process)
    done = runtime.run()
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


def denying(*rules: LinuxSyscall, **fields: Any) -> LinuxSeccomp:
    return LinuxSeccomp(default_action="SCMP_ACT_ALLOW", syscalls=rules, **fields)


def dockers() -> LinuxSeccomp:
    """The profile of podman and Docker for this machine, as they resolve it for a container without capabilities."""
    if not DEFAULT_PROFILE.exists():
        pytest.skip("needs golang-github-containers-common")
    document = json.loads(DEFAULT_PROFILE.read_text())
    chosen = [one for one in document["syscalls"] if applies(one)]
    return LinuxSeccomp(
        default_action=document["defaultAction"], default_errno_ret=document.get("defaultErrnoRet"),
        architectures=("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
        syscalls=tuple(LinuxSyscall(
            names=tuple(one["names"]), action=one["action"], errno_ret=one.get("errnoRet"),
            args=tuple(LinuxSeccompArg(index=arg["index"], value=arg["value"], value_two=arg.get("valueTwo", 0),
                                       op=arg["op"]) for arg in one["args"] or ())) for one in chosen))


def applies(one: dict[str, Any]) -> bool:
    wanted, unwanted = one.get("includes") or {}, one.get("excludes") or {}
    return not wanted.get("caps") and "amd64" in wanted.get("arches", ["amd64"]) and "amd64" not in unwanted.get(
        "arches", [])


def statuses(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+):\s+(.*)$", text, re.MULTILINE))


@X86
@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_the_default_profile_of_podman_and_docker(runtime: Runtime, caller: Path, no_new_privileges: bool) -> None:
    shutil.copy2(caller, runtime.rootfs / "bin/caller")
    confine(runtime, dockers(), "sh", "-c", f"cat /proc/self/status; mkdir /tmp/x && caller 64:{PERSONALITY}:1",
            no_new_privileges=no_new_privileges)
    done = runtime.run()
    assert done.returncode == 0, done.stderr
    found = statuses(done.stdout)
    assert (found["Seccomp"], found["Seccomp_filters"]) == ("2", "1")
    assert found["NoNewPrivs"] == str(int(no_new_privileges))
    # CAP_SYS_ADMIN, by which the filter was loaded, is gone.
    assert found["CapEff"] == found["CapPrm"] == found["CapBnd"] == "00000000a80425fb"
    # Only a few personalities are among what is allowed; the kernel itself would take any.
    assert int(done.stdout.split()[-1]) in (-errno.EPERM, -errno.ENOSYS)


@X86
@pytest.mark.parametrize("process", [{"no_new_privileges": True}, {}], ids=["confined", "may gain privileges"])
def test_a_profile_that_allows_next_to_nothing(runtime: Runtime, caller: Path, process: dict[str, Any]) -> None:
    profile = LinuxSeccomp(default_action="SCMP_ACT_ERRNO", syscalls=(rule(*NEEDED),))
    assert answers(runtime, caller, profile, f"64:{GETPID}", f"64:{MKDIR}", f"64:{FUTURE}", **process) == [
        1, -errno.EPERM, -errno.ENOSYS]


@X86
def test_other_users_get_their_filter_too(runtime: Runtime, caller: Path) -> None:
    from runtime.spec import User

    profile = denying(rule("getppid", action="SCMP_ACT_ERRNO", errno_ret=42))
    assert answers(runtime, caller, profile, f"64:{GETPPID}", user=User(uid=1000, gid=1000)) == [-42]


@X86
def test_every_abi_has_its_numbers(runtime: Runtime, caller: Path) -> None:
    calls = ("i386:39", f"64:{X32 | MKDIR}", f"64:{MKDIR}", "i386:20")  # mkdir thrice, and getpid
    native = subprocess.run((caller, "i386:20"), capture_output=True, text=True, check=False)
    if native.returncode or int(native.stdout) < 0:
        pytest.skip("this kernel runs no 32-bit programs")
    profile = denying(rule("mkdir", action="SCMP_ACT_ERRNO", errno_ret=77),
                      architectures=("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"))
    assert answers(runtime, caller, profile, *calls) == [-77, -77, -77, 1]


@X86
@pytest.mark.parametrize("call", ["i386:20", f"64:{X32 | GETPID}"])
def test_an_abi_that_is_not_listed_kills(runtime: Runtime, caller: Path, call: str) -> None:
    shutil.copy2(caller, runtime.rootfs / "bin/caller")
    confine(runtime, denying(rule("mkdir", action="SCMP_ACT_ERRNO"), architectures=("SCMP_ARCH_X86_64",)),
            "/bin/caller", call)
    assert runtime.run().returncode == 128 + 31  # SIGSYS


@X86
def test_arguments_are_compared(runtime: Runtime, caller: Path) -> None:
    profile = denying(
        rule("socket", action="SCMP_ACT_ERRNO", errno_ret=71,
             args=tuple(LinuxSeccompArg(index=0, value=value, op="SCMP_CMP_EQ") for value in (38, 40))),
        rule("personality", action="SCMP_ACT_ERRNO", errno_ret=72,
             args=(LinuxSeccompArg(index=0, value=0xF0, value_two=0x30, op="SCMP_CMP_MASKED_EQ"),)),
        rule("unshare", action="SCMP_ACT_ERRNO", errno_ret=73,
             args=(LinuxSeccompArg(index=0, value=7, op="SCMP_CMP_GE"), LinuxSeccompArg(index=1, value=5,
                                                                                        op="SCMP_CMP_NE"))),
        rule("no_such_call_anywhere", action="SCMP_ACT_KILL_PROCESS"))
    assert answers(runtime, caller, profile, f"64:{SOCKET}:38", f"64:{SOCKET}:40", f"64:{PERSONALITY}:0x1f3f",
                   f"64:{UNSHARE}:7:4", f"64:{UNSHARE}:7:5")[:4] == [-71, -71, -72, -73]
    ok = answers(runtime, caller, profile, f"64:{PERSONALITY}:0xffffffff", f"64:{UNSHARE}:0:4", f"64:{UNSHARE}:0:5")
    assert ok == [0, 0, 0]


@X86
@pytest.mark.parametrize(("action", "expected"), [
    ("SCMP_ACT_KILL", 159), ("SCMP_ACT_KILL_THREAD", 159), ("SCMP_ACT_KILL_PROCESS", 159), ("SCMP_ACT_TRAP", 159),
    ("SCMP_ACT_LOG", 0), ("SCMP_ACT_ALLOW", 0), ("SCMP_ACT_TRACE", -errno.ENOSYS)])
def test_actions(runtime: Runtime, caller: Path, action: str, expected: int) -> None:
    shutil.copy2(caller, runtime.rootfs / "bin/caller")
    default = "SCMP_ACT_LOG" if action == "SCMP_ACT_ALLOW" else "SCMP_ACT_ALLOW"
    confine(runtime, LinuxSeccomp(default_action=default, syscalls=(rule("getppid", action=action),), flags=(
        "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC")),
        "/bin/caller", f"64:{GETPPID}")
    done = runtime.run()
    assert (done.returncode or int(done.stdout)) == expected


@X86
def test_exec_is_filtered_as_the_container_is(runtime: Runtime, caller: Path) -> None:
    shutil.copy2(caller, runtime.rootfs / "bin/caller")
    confine(runtime, denying(rule("mkdir", action="SCMP_ACT_ERRNO", errno_ret=55)), "sleep", "100")
    runtime.create()
    runtime("start", "c", check=True)
    assert runtime("exec", "c", "/bin/caller", f"64:{MKDIR}", check=True).stdout == "-55\n"
    (runtime.directory / "process.json").write_text(json.dumps(
        {"cwd": "/", "args": ["/bin/caller", f"64:{MKDIR}"], "noNewPrivileges": True}))
    done = runtime("exec", "--process", str(runtime.directory / "process.json"), "c", check=True)
    assert done.stdout == "-55\n"


def test_few_calls_are_made_after_the_filter_is_loaded(runtime: Runtime) -> None:
    """What a profile has to allow for our sake, as `process.seccomp` says; a Go runtime needs more."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    confine(runtime, denying(rule("mkdir", action="SCMP_ACT_ERRNO")), "true")
    log = runtime.directory / "calls"
    subprocess.run((strace, "-ff", "-o", log, *COMMAND, "--root", runtime.root, "run", "--bundle", runtime.bundle, "c"),
                   check=True, timeout=60)
    loaded = re.compile(r"^seccomp\(SECCOMP_SET_MODE_FILTER, [^\n]* = 0$(.*?)^execve\(", re.MULTILINE | re.DOTALL)
    (after,) = [found for one in runtime.directory.glob("calls.*") for found in loaded.findall(one.read_text())]
    assert {*re.findall(r"^(\w+)\(", after, re.MULTILINE)} == {
        "capset", "write", "read", "close", "rt_sigaction", "rt_sigprocmask"}


def test_compiling_happens_once(runtime: Runtime) -> None:
    kept = runtime.directory / "@seccomp"
    code = f"""if True:
        import sys
        from runtime.process.filters import program
        from runtime.spec import LinuxSeccomp
        print(len(program(LinuxSeccomp(default_action="SCMP_ACT_ALLOW"), {str(kept)!r})), "pyseccomp" in sys.modules)
    """
    first, second = (subprocess.run((COMMAND[0], "-c", code), capture_output=True, text=True, check=True,
                                    cwd=REPOSITORY).stdout.split() for _ in range(2))
    assert (first[1], second[1]) == ("True", "False") and first[0] == second[0] != "0"
    (program,) = kept.iterdir()
    assert kept.stat().st_mode & 0o7777 == 0o700 and program.stat().st_mode & 0o7777 == 0o600


def test_the_cache_is_no_container(runtime: Runtime) -> None:
    confine(runtime, denying(), "true")
    assert runtime.run().returncode == 0 and (runtime.root / "@seccomp").is_dir()
    assert runtime("list", "--quiet", check=True).stdout == ""


def test_filters_that_others_could_have_written_are_not_used(runtime: Runtime) -> None:
    confine(runtime, denying(), "true")
    (runtime.root / "@seccomp").mkdir(parents=True)
    (runtime.root / "@seccomp").chmod(0o777)
    done = runtime.run()
    assert done.returncode == 1 and "@seccomp: is to be a directory of uid 0 with mode 0700" in done.stderr


def test_an_architecture_that_this_machine_cannot_filter(runtime: Runtime) -> None:
    confine(runtime, denying(architectures=("SCMP_ARCH_S390X" if platform.machine() != "s390x" else "SCMP_ARCH_ARM",)),
            "true")
    done = runtime.run()
    assert done.returncode == 1 and "compile the seccomp profile: architectures[0]" in done.stderr


class Agent:
    """A seccomp agent: gets the listener over its socket, and answers one call with 4242."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        self.message: dict[str, Any] = {}
        self.caller = 0
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        connection, _ = self.server.accept()
        with connection:
            content, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 4)
        self.message = json.loads(content)
        (listener,) = descriptors
        received = bytearray(80)  # struct seccomp_notif
        fcntl.ioctl(listener, 0xC0502100, received)  # SECCOMP_IOCTL_NOTIF_RECV
        identity, self.caller = struct.unpack_from("=QI", received)
        fcntl.ioctl(listener, 0xC0182101, struct.pack("=QqiI", identity, 4242, 0, 0))  # SECCOMP_IOCTL_NOTIF_SEND
        os.close(listener)


@contextmanager
def agent(path: Path) -> Iterator[Agent]:
    found = Agent(path)
    try:
        yield found
        found.thread.join(timeout=60)
        assert not found.thread.is_alive()
    finally:
        found.server.close()
        path.unlink()


def notifying(path: Path) -> LinuxSeccomp:
    return denying(rule("getppid", action="SCMP_ACT_NOTIFY"), listener_path=str(path), listener_metadata="tea",
                   flags=("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",))


@X86
@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_a_listener_answers(runtime: Runtime, caller: Path, no_new_privileges: bool) -> None:
    with agent(runtime.directory / "agent") as listening:
        assert answers(runtime, caller, notifying(listening.path), f"64:{GETPPID}",
                       no_new_privileges=no_new_privileges) == [4242]
    told, state = listening.message, listening.message["state"]
    assert (told["fds"], told["metadata"], told["ociVersion"]) == (["seccompFd"], "tea", state["ociVersion"])
    assert (state["id"], state["status"], state["bundle"]) == ("c", "creating", str(runtime.bundle))
    assert told["pid"] == state["pid"] == listening.caller


@X86
def test_a_listener_answers_exec(runtime: Runtime, caller: Path) -> None:
    shutil.copy2(caller, runtime.rootfs / "bin/caller")
    path = runtime.directory / "agent"
    with agent(path):
        confine(runtime, notifying(path), "sh", "-c", "caller 64:110 > /tmp/first; exec sleep 100")
        runtime.create()
        runtime("start", "c", check=True)
    with agent(path) as listening:
        assert runtime("exec", "c", "/bin/caller", f"64:{GETPPID}", check=True).stdout == "4242\n"
    assert (listening.message["state"]["status"], listening.message["state"]["pid"]) == ("running", runtime.pid())
    assert listening.message["pid"] == listening.caller != runtime.pid()


def test_without_a_listener_nothing_is_left(runtime: Runtime) -> None:
    confine(runtime, notifying(runtime.directory / "nobody"), "true")
    done = runtime.run()
    assert done.returncode == 1
    assert "failed to connect with seccomp agent specified in the seccomp profile" in done.stderr
    assert {path.name for path in runtime.root.iterdir()} <= {"@seccomp"}


def test_the_version_is_that_of_the_library() -> None:
    assert re.fullmatch(r"2\.\d+\.\d+", libseccomp.version())
