"""Options of `run`: each is given, and its effect is looked for in the kernel, in the container, in `inspect`."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.engine import Engine, Result
from tests.waiting import wait_until

SHM = "/dev/shm"  # noqa: S108 (the containers' own)
INIT = shutil.which("docker-init") or shutil.which("tini-static")


def run(engine: Engine, *argv: str) -> Result:
    return engine.pydocker("run", "--rm", *argv)


def shell(engine: Engine, script: str, *flags: str) -> str:
    """What a script in a container says. `flags` are those of `run`."""
    return engine.ok("run", "--rm", *flags, "busybox", "sh", "-c", script)


def refused(engine: Engine, *flags: str) -> str:
    said = run(engine, *flags, "busybox", "true")
    assert said.code == 125, said
    return said.err


@pytest.mark.skipif(INIT is None, reason="no init is installed")
def test_init_reaps_and_passes_signals_on(engine: Engine) -> None:
    script = "trap 'echo got it; exit 7' TERM; (sleep 0.1 &); echo ready; while :; do sleep 0.1; done"
    name = engine.ok("run", "-d", "--init", "busybox", "sh", "-c", script)
    wait_until(lambda: engine.ok("logs", name) == "ready")
    assert engine.ok("exec", name, "cat", "/proc/1/cmdline").startswith("/sbin/docker-init\0--\0sh")
    engine.ok("stop", "-t", "60", name)
    assert engine.ok("inspect", "-f", "{{.State.ExitCode}} {{.HostConfig.Init}} {{.Path}}", name) == "7 true sh"
    assert run(engine, "--init", "busybox", "nosuch").code == 127


def test_what_the_host_shares(engine: Engine) -> None:
    kinds = ("pid", "ipc", "uts", "cgroup")
    script = "for kind in pid ipc uts cgroup; do readlink /proc/self/ns/$kind; done; hostname"
    flags = [f"--{kind}=host" for kind in ("pid", "ipc", "uts", "cgroupns", "userns")]
    hosts = [os.readlink(f"/proc/self/ns/{kind}") for kind in kinds]
    assert shell(engine, script, *flags).splitlines() == [*hosts, os.uname().nodename]
    assert not {*shell(engine, script).splitlines()} & {*hosts}
    assert "conflicting options: hostname and the UTS mode" in refused(engine, "--uts", "host", "-h", "x")
    assert "--pid: invalid PID mode" in refused(engine, "--pid", "foo")
    assert "is not allowed" in refused(engine, "--ipc", "host", "--sysctl", "kernel.msgmax=1")
    assert "No such container: nosuch" in refused(engine, "--pid", "container:nosuch")


def test_another_containers_processes(engine: Engine) -> None:
    other = engine.ok("run", "-d", "--name", "donor", "busybox", "sleep", "1234")
    wait_until(lambda: "sleep 1234" in shell(engine, "ps", "--pid", "container:donor"))
    name = engine.ok("create", "--pid", "container:donor", "busybox", "true")
    assert engine.ok("inspect", "-f", "{{.HostConfig.PidMode}}", name) == f"container:{other}"
    engine.ok("kill", "donor")
    said = engine.pydocker("start", name)
    assert said.code == 1 and f"cannot join PID of a non running container: {other}" in said.err


def test_shared_memory(engine: Engine) -> None:
    script = "df -k /dev/shm | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2; ls -d /dev/shm"
    assert shell(engine, script, "--shm-size", "3m").splitlines() == ["3072", SHM]
    assert SHM not in shell(engine, "cat /proc/self/mountinfo", "--ipc", "none")
    engine.ok("run", "-d", "--name", "shares", "--ipc", "shareable", "busybox", "sh", "-c",
              "echo hello > /dev/shm/x; exec sleep 100")
    wait_until(lambda: engine.pydocker("exec", "shares", "test", "-s", f"{SHM}/x").code == 0)
    theirs = engine.ok("exec", "shares", "readlink", "/proc/self/ns/ipc")
    script = "cat /dev/shm/x; echo back > /dev/shm/y; readlink /proc/self/ns/ipc"
    assert shell(engine, script, "--ipc", "container:shares").splitlines() == ["hello", theirs]
    assert engine.ok("exec", "shares", "cat", f"{SHM}/y") == "back"
    engine.ok("run", "-d", "--name", "keeps", "busybox", "sleep", "100")
    assert "non-shareable IPC (hint: use IpcMode:shareable" in refused(engine, "--ipc", "container:keeps")


def test_temporary_file_systems(engine: Engine) -> None:
    script = "grep -E ' /(a|b) ' /proc/self/mountinfo; stat -c %a /b"
    said = shell(engine, script, "--tmpfs", "/a:size=1m,exec",
                 "--mount", "type=tmpfs,dst=/b,tmpfs-size=2m,tmpfs-mode=700")
    *lines, mode = said.splitlines()
    a, b = sorted(lines, key=lambda line: line.split()[4])
    assert "size=1024k" in a and "nosuid,nodev" in a and "noexec" not in a
    assert "size=2048k" in b and "noexec" in b
    assert mode == "700"
    assert 'invalid tmpfs option ["bogus"]' in refused(engine, "--tmpfs", "/a:bogus")
    assert "Duplicate mount point: /a" in refused(engine, "--tmpfs", "/a", "--mount", "type=tmpfs,dst=/a")


def test_bind_mounts(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello\n")
    script = "cat /in/file; echo x > /in/new; echo y > /ro/new; cat /etc/hosts"
    said = run(engine, "-v", f"{tmp_path}:/in", "--mount", f"type=bind,src={tmp_path},dst=/ro,readonly",
               "-v", f"{tmp_path}/file:/etc/hosts:ro", "-v", f"{tmp_path}/made/here:/made", "busybox",
               "sh", "-c", script)
    assert said.out == "hello\nhello\n"
    assert said.err == "sh: can't create /ro/new: Read-only file system\n"
    assert (tmp_path / "new").read_text() == "x\n" and (tmp_path / "made/here").is_dir()
    name = engine.ok("create", "-v", f"{tmp_path}:/in:ro,rslave", "busybox")
    assert json.loads(engine.ok("inspect", "-f", "{{json .Mounts}}", name)) == [
        {"Type": "bind", "Source": str(tmp_path), "Destination": "/in", "Mode": "ro,rslave", "RW": False,
         "Propagation": "rslave"}]
    assert engine.ok("inspect", "-f", "{{.HostConfig.Binds}}", name) == f"[{tmp_path}:/in:ro,rslave]"


def test_a_mount_made_inside_is_seen_outside_where_that_was_asked_for(engine: Engine, tmp_path: Path) -> None:
    subprocess.run(("mount", "-t", "tmpfs", "outer", tmp_path), check=True)
    try:
        subprocess.run(("mount", "--make-shared", tmp_path), check=True)
        (tmp_path / "here").mkdir()
        name = engine.ok("run", "-d", "--privileged", "-v", f"{tmp_path}:/in:rshared", "busybox", "sh", "-c",
                         "mount -t tmpfs inner /in/here && touch /in/here/file && exec sleep 100")
        wait_until((tmp_path / "here/file").exists)
        engine.ok("rm", "-f", name)
    finally:
        subprocess.run(("umount", "-R", tmp_path), check=True)


@pytest.mark.parametrize(("flags", "words"), [
    (("-v", "d:/data:ro"), "volume name is too short, names should be at least two alphanumeric characters"),
    (("-v", "data:/"), "invalid specification: destination can't be '/'"),
    (("-v", "a b:/data"), "includes invalid characters for a local volume name"),
    (("-v", "/a:/b:ro,rw"), "invalid mode: ro,rw"),
    (("-v", "/a:b"), "invalid mount path: 'b' mount path must be absolute"),
    (("-v", "/a:/"), "invalid specification: destination can't be '/'"),
    (("-v", "/a:/b:c:d"), "invalid volume specification: '/a:/b:c:d'"),
    (("--mount", "type=bind,src=/nosuch,dst=/b"),
     'invalid mount config for type "bind": bind source path does not exist: /nosuch'),
    (("--mount", "type=bind,dst=/b"), 'invalid mount config for type "bind": field Source must not be empty'),
    (("--mount", "type=bind,src=/"), "target is required"), (("--mount", "foo=bar,dst=/a"), "unexpected key 'foo'"),
    (("--mount", "type=bind,src=/tmp,dst=/a,tmpfs-size=1"), "cannot mix 'tmpfs-*' options with mount type 'bind'"),
    (("--mount", "type=cluster,src=x,dst=/a"), "mount of type 'cluster' is not supported"),
    (("--gpus", "all"), "could not select device driver"),
    (("--device", "/dev/null:/x:q"), "bad mode specified: q"),
    (("--device-cgroup-rule", "x"), "device cgroup format 'x'"),
    (("--blkio-weight", "5"), "range of blkio weight is from 10 to 1000"),
    (("--device-read-bps", "/dev/null:1mb"), "/dev/null: not a block device"),
    (("--memory-swappiness", "101"), "valid memory swappiness range is 0-100"),
    (("--ulimit", "nofile=99999999999:99999999999"), "nofile"),
])
def test_what_cannot_be(engine: Engine, flags: tuple[str, ...], words: str) -> None:
    said = engine.pydocker("run", "--rm", *flags, "busybox", "true")
    assert said.code == 125 and words.lower() in said.err.lower(), said


def test_devices(engine: Engine) -> None:
    script = "stat -c '%t:%T %a' /dev/mine; head -c 1 /dev/mine | wc -c; echo x > /dev/mine"
    said = run(engine, "--device", "/dev/zero:/dev/mine:r", "busybox", "sh", "-c", script)
    assert said.out.splitlines()[0] == "1:5 666"
    made = "mknod /dev/x c 245 77 && cat /dev/x"  # whose driver there is not
    assert "Operation not permitted" in run(engine, "busybox", "sh", "-c", made).err
    assert "No such device" in run(engine, "--device-cgroup-rule", "c 245:77 rwm", "busybox", "sh", "-c", made).err
    said = run(engine, "--device", "/dev/nosuch", "busybox", "true")
    assert said.code == 127  # as Docker: its client looks for these words
    assert 'error gathering device information while adding custom device "/dev/nosuch": no such file' in said.err


def test_limits(engine: Engine) -> None:
    name = engine.ok("run", "-d", "--ulimit", "nofile=64:128", "--group-add", "1234", "--oom-score-adj", "5",
                     "--pids-limit", "77", "--sysctl", "net.ipv4.ip_forward=1", "-m", "64m",
                     "--memory-reservation", "32m", "--cpu-shares", "512",
                     "--cpus", "0.5", "--cpuset-cpus", "0", "busybox", "sleep", "100")
    pid = engine.ok("inspect", "-f", "{{.State.Pid}}", name)
    assert "Max open files            64                   128" in Path(f"/proc/{pid}/limits").read_text()
    assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "5\n"
    assert engine.ok("exec", name, "id", "-G") == "0 1234"
    assert engine.ok("exec", name, "cat", "/proc/sys/net/ipv4/ip_forward") == "1"
    files = {
        "memory": ("memory.limit_in_bytes", "memory.max"), "pids": ("pids.max", "pids.max"),
        "cpuset": ("cpuset.cpus", "cpuset.cpus"),
    }
    found = {kind: cgroup_file(pid, kind, names) for kind, names in files.items()}
    assert found == {"memory": str(64 << 20), "pids": "77", "cpuset": "0"}


@pytest.mark.skipif(Path("/sys/fs/cgroup/cgroup.controllers").exists(), reason="cgroup v1 only")
def test_limits_of_version_1(engine: Engine) -> None:
    name = engine.ok("run", "-d", "--oom-kill-disable", "-m", "64m", "--memory-swappiness", "7", "busybox",
                     "sleep", "100")
    pid = engine.ok("inspect", "-f", "{{.State.Pid}}", name)
    assert cgroup_file(pid, "memory", ("memory.swappiness", "")) == "7"
    assert cgroup_file(pid, "memory", ("memory.oom_control", "")).startswith("oom_kill_disable 1")


def cgroup_file(pid: str, controller: str, names: tuple[str, str]) -> str:
    """A file of the container's cgroup: `names` are version 1's and version 2's."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return Path(f"/sys/fs/cgroup/{controller}{path}/{names[0]}").read_text().strip()
    return Path(f"/sys/fs/cgroup{path}/{names[1]}").read_text().strip()
