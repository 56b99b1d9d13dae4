"""What a container may do, by the flags of `run`: seen from inside, where it is refused."""

import json
from pathlib import Path

import pytest

from tests.engine import Engine, Result

STATUS = "grep -E '^(Cap(Eff|Bnd|Inh|Amb)|NoNewPrivs|Seccomp):' /proc/self/status"
FOURTEEN = 0xA80425FB


def status(engine: Engine, *flags: str) -> dict[str, int]:
    """Of a process in a container: capability masks, no_new_privs, and 2 where a filter is loaded."""
    lines = engine.ok("run", "--rm", *flags, "busybox", "sh", "-c", STATUS).splitlines()
    return {name: int(value, 16) for name, value in (line.split(":") for line in lines)}


def attempt(engine: Engine, *flags: str, script: str = "unshare -U true") -> Result:
    return engine.pydocker("run", "--rm", *flags, "busybox", "sh", "-c", script)


def test_the_usual_confinement(engine: Engine) -> None:
    found = status(engine)
    assert found == {"CapInh": 0, "CapAmb": 0, "CapEff": FOURTEEN, "CapBnd": FOURTEEN, "NoNewPrivs": 0, "Seccomp": 2}
    script = ("unshare -U true; mkdir x; mount -t tmpfs x x; cat /proc/kcore; ls -A /sys/firmware; "
              "echo x > /proc/sys/kernel/core_pattern; hostname x; ls /dev | sort | tr '\\n' ' '")
    said = attempt(engine, script=script)
    for refused in ("unshare(0x10000000): Operation not permitted", "mount: permission denied",
                    "sethostname: Operation not permitted"):
        assert refused in said.err
    assert "core_pattern: Read-only file system" in said.err
    assert sorted({*said.out.split()} - {"core"}) == ["fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm",
                                                    "stderr", "stdin", "stdout", "tty", "urandom", "zero"]


def test_capabilities(engine: Engine) -> None:
    assert status(engine, "--cap-drop", "ALL", "--cap-add", "chown", "--cap-add", "CAP_NET_ADMIN")["CapBnd"] == 0x1001
    assert status(engine, "--cap-add", "all", "--cap-drop", "CAP_SYS_ADMIN")["CapEff"] & (1 << 21) == 0
    assert attempt(engine, "--cap-add", "SYS_ADMIN", script="mount -t tmpfs x /tmp").code == 0


def devices() -> set[str]:
    return {path.name for path in Path("/dev").iterdir() if path.is_block_device() or path.is_char_device()}


def test_privileged(engine: Engine) -> None:
    found = status(engine, "--privileged")
    assert found["CapEff"] == int(Path("/proc/self/status").read_text().split("CapBnd:\t")[1].split()[0], 16)
    assert (found["Seccomp"], found["CapInh"]) == (0, 0)
    script = "mount -t tmpfs x /tmp && ls /dev && test -w /sys/fs/cgroup && ls -d /sys/firmware"
    before = devices()
    said = attempt(engine, "--privileged", script=script)
    assert said.code == 0, said.err
    hosts = before & devices()  # others may come and go: loops, as somebody mounts images
    assert hosts - {"console", "ptmx"} <= set(said.out.split())
    assert status(engine, "--privileged", "--security-opt", "seccomp=builtin")["Seccomp"] == 2


def test_a_seccomp_profile_of_ones_own(engine: Engine, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}))
    said = attempt(engine, "--security-opt", f"seccomp={profile}", script="mkdir /x; unshare -U true && echo open")
    assert said.err == "mkdir: can't create directory '/x': No space left on device\n"
    assert said.out == "open\n"
    assert status(engine, "--security-opt", "seccomp=unconfined")["Seccomp"] == 0


def test_profiles_that_are_none(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("{")
    missing = attempt(engine, "--security-opt", "seccomp=/nosuch")
    assert (missing.code, missing.err.splitlines()[0]) == (
        125, "pydocker: opening seccomp profile (/nosuch) failed: open /nosuch: no such file or directory")
    broken = attempt(engine, "--security-opt", f"seccomp={tmp_path}/broken")
    assert broken.code == 125 and f"compacting json for seccomp profile ({tmp_path}/broken) failed" in broken.err


def test_no_new_privileges_and_open_paths(engine: Engine) -> None:
    assert status(engine, "--security-opt", "no-new-privileges")["NoNewPrivs"] == 1
    name = engine.ok("run", "-d", "--security-opt", "systempaths=unconfined", "busybox", "sleep", "60")
    assert " /proc/" not in engine.ok("exec", name, "cat", "/proc/self/mountinfo")
    assert engine.ok("inspect", "-f", "{{.HostConfig.MaskedPaths}} {{.HostConfig.ReadonlyPaths}}", name) == "[] []"


def test_writable_cgroups(engine: Engine) -> None:
    script = "mkdir $(ls -d /sys/fs/cgroup/pids || echo /sys/fs/cgroup)/x"
    assert "Read-only file system" in attempt(engine, script=script).err
    assert attempt(engine, "--security-opt", "writable-cgroups=true", script=script).code == 0


@pytest.mark.parametrize(("option", "words"), [
    ("label=type:x_t", "this engine sets no SELinux labels"), ("nonsense", 'Invalid --security-opt: "nonsense"'),
    ("no-new-privileges=maybe", "invalid --security-opt"),
])
def test_options_that_cannot_be(engine: Engine, option: str, words: str) -> None:
    said = attempt(engine, "--security-opt", option)
    assert said.code == 125 and words in said.err


@pytest.mark.skipif(Path("/sys/kernel/security/apparmor").exists(), reason="this kernel has AppArmor")
def test_an_apparmor_profile_without_apparmor(engine: Engine) -> None:
    said = attempt(engine, "--security-opt", "apparmor=mine")
    assert said.code == 125 and "apparmor" in said.err.lower()
    assert attempt(engine, "--security-opt", "apparmor=unconfined", script="true").code == 0
