"""`inspect --as run|oci`: what it prints is typed, and the same container is there again."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine import CHECKOUT, Engine

NETWORK = ("--network", "none")
CHANGING = ("Id", "Created", "State", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath", "GraphDriver")
OPTIONS = (
    ("-d", "-m", "64m", "--cpus", "0.5", "--pids-limit", "20", "--ulimit", "nofile=100:200", "--oom-score-adj", "5"),
    ("-d", "-t", "-i", "-e", "A=it's \"quoted\" $HOME\nline", "-e", "B=", "-l", "c=d e", "-u", "user:0", "-w", "/etc",
     "--hostname", "inside", "--stop-signal", "SIGINT", "--stop-timeout", "0", "--init"),
    ("-d", "--read-only", "--tmpfs", "/t:size=1m", "--mount", "type=tmpfs,target=/s,tmpfs-mode=700",
     "--cap-drop", "ALL", "--cap-add", "CHOWN", "--security-opt", "no-new-privileges", "--sysctl",
     "kernel.msgmax=99", "--shm-size", "3m"),
    ("-d", "--restart", "on-failure:3", "--health-cmd", "test -e '/a b'", "--health-interval", "1h", "--log-driver",
     "none", "--uts", "host", "--device", "/dev/null:/dev/nothing:r", "--group-add", "7", "--annotation", "a.b=c"),
    ("-d", "--rm", "--entrypoint", "/bin/sleep", "--privileged", "--pid", "host", "--ipc", "shareable"),
)


def inspected(engine: Engine, name: str) -> dict[str, Any]:
    found = json.loads(engine.ok("inspect", name))[0]
    if found["Config"]["Hostname"] == found["Id"][:12]:
        found["Config"]["Hostname"] = ""
    found["NetworkSettings"] = sorted(found["NetworkSettings"]["Networks"])
    return {key: value for key, value in found.items() if key not in CHANGING}


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: options[1])
def test_the_command_line_makes_it_again(engine: Engine, options: tuple[str, ...]) -> None:
    program = () if "--entrypoint" in options else ("sleep",)
    engine.ok("run", *options, *NETWORK, "--name", "it", "busybox", *program, "1000")
    before, line = inspected(engine, "it"), engine.ok("inspect", "--as", "run", "it")
    assert line.startswith("pydocker run ")
    engine.ok("rm", "-f", "it")
    shell = line.replace("pydocker", f"{sys.executable} -m pydocker", 1)
    subprocess.run(["bash", "-c", shell], cwd=CHECKOUT, env=engine.environment, check=True, capture_output=True)
    assert inspected(engine, "it") == before
    assert engine.ok("container", "inspect", "--as", "run", "it") == line


def test_the_bundle_makes_it_again(engine: Engine, tmp_path: Path, token: str) -> None:
    tell = ("sh", "-c", "hostname; id; pwd; echo $A; ulimit -n; grep Cap /proc/self/status; cat /etc/it; "
                        "awk '{print $2, $3}' /proc/self/mounts | grep -v '^/ ' | sort")
    options = (*NETWORK, "--hostname", "inside", "-e", "A=b c", "-u", "user", "-w", "/etc", "-m", "64m", "--ulimit",
               "nofile=100:100", "--cap-drop", "NET_RAW", "--tmpfs", "/t")
    engine.ok("run", "--name", "first", "busybox", "sh", "-c", "echo file > /etc/it")
    engine.ok("commit", "first", "with-file")
    out = engine.ok("run", "--name", "it", *options, "with-file", *tell)
    (tmp_path / "rootfs").mkdir()
    engine.ok("export", "-o", str(tmp_path / "it.tar"), "it")
    subprocess.run(["tar", "-xf", tmp_path / "it.tar", "-C", tmp_path / "rootfs"], check=True)
    config = engine.ok("inspect", "--as", "oci", "it")
    cgroup = json.loads(config)["linux"]["cgroupsPath"]
    (tmp_path / "config.json").write_text(config.replace(cgroup, f"/{token}/again"))
    argv = (sys.executable, "-m", "runtime", "--root", str(tmp_path / "state"), "run", "--bundle", str(tmp_path), token)
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.rstrip("\n")) == (0, "", out)
    assert "uid=1000(user)" in out and "\nb c\n" in out and "\nfile\n" in out


def test_volumes_are_told(engine: Engine) -> None:
    """Those that have a name are the same ones again; those without are new ones, at the same places."""
    engine.ok("run", "--name", "donor", *NETWORK, "-v", "named:/a", "-v", "/anonymous", "busybox", "sh", "-c",
              "echo kept > /a/file")
    engine.ok("create", "--name", "it", *NETWORK, "--volumes-from", "donor:ro", "--mount",
              "type=volume,src=other,dst=/o,volume-nocopy,\"volume-label=a=b,c\"", "busybox", "cat", "/a/file")
    line = engine.ok("inspect", "--as", "run", "it")
    mounts = engine.ok("inspect", "-f", "{{range .Mounts}}{{.Name}} {{.Destination}} {{.RW}};{{end}}", "it")
    engine.ok("rm", "it")
    shell = line.replace("pydocker", f"{sys.executable} -m pydocker", 1)
    done = subprocess.run(["bash", "-c", shell], cwd=CHECKOUT, env=engine.environment, check=True, capture_output=True)
    assert done.stdout == b"kept\n"
    assert engine.ok("inspect", "-f", "{{range .Mounts}}{{.Name}} {{.Destination}} {{.RW}};{{end}}", "it") == mounts
    engine.ok("rm", "-v", "it", "donor")
    engine.ok("volume", "rm", "named", "other")


def test_what_cannot_be_told(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "first", *NETWORK, "busybox", "sleep", "1000")
    engine.ok("run", "-d", "--name", "second", *NETWORK, "--pid", "container:first", "busybox", "sleep", "1000")
    refused = engine.pydocker("inspect", "--as", "oci", "second")
    assert (refused.code, "shares the pid namespace of container" in refused.err) == (1, True)
    assert "--pid container:" in engine.ok("inspect", "--as", "run", "second")
    for argv, words in ((("--as", "walk", "first"), '"walk" is not a valid value for --as'),
                        (("--as", "run", "-f", "x", "first"), "cannot specify both --as and --format"),
                        (("--as", "run", "nobody"), "No such container: nobody")):
        said = engine.pydocker("inspect", *argv)
        assert (said.code, words in said.err) == (1, True)
