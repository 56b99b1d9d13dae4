"""Flags whose effect no other test sees: what each does to the kernel, or to what one is told."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.engine import CHECKOUT, COLD, Engine
from tests.root.cli.terminals import Terminal
from tests.waiting import catches

RUN = ("run", "--network", "none")
CGROUP = "/sys/fs/cgroup"


def run(engine: Engine, *argv: str) -> str:
    return engine.ok(*RUN, "--rm", *argv)


def detached(engine: Engine, name: str, script: str, *flags: str) -> None:
    """A container that runs `script`, and has said `ready`."""
    program = f"{script}; echo ready; while :; do sleep 0.05; done"
    engine.ok(*RUN, "-d", "--name", name, *flags, "busybox", "sh", "-c", program)
    waits(lambda: "ready" in engine.ok("logs", name))


def waits(fulfilled: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not fulfilled():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def process(engine: Engine, name: str) -> int:
    return int(engine.ok("inspect", "-f", "{{.State.Pid}}", name))


def cgroup_file(engine: Engine, name: str, *files: str) -> str:
    """The first of these that the container's cgroup has (v1's name, v2's)."""
    for line in Path(f"/proc/{process(engine, name)}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for file in files:
            for mount in ((controllers, *controllers.split(",")) if controllers else ("", "unified")):
                with contextlib.suppress(OSError):
                    return Path(f"{CGROUP}/{mount}{path}/{file}").read_text().strip()
    pytest.skip(f"this kernel has no {' or '.join(files)}")


def test_names_and_descriptions(engine: Engine, tmp_path: Path) -> None:
    labels, variables = tmp_path / "labels", tmp_path / "variables"
    labels.write_text("# of a file\na=b c\nalone\n")
    variables.write_text("A=from a file\nB\n")
    detached(engine, "it", "true", "--domainname", "example.test", "--label-file", str(labels), "--annotation", "x.y=z",
             "--env-file", str(variables))
    assert engine.ok("exec", "it", "cat", "/proc/sys/kernel/domainname") == "example.test"
    assert json.loads(engine.ok("inspect", "-f", "{{json .Config.Labels}}", "it")) == {"a": "b c", "alone": ""}
    bundle = engine.roots[1] / "containers" / engine.ok("inspect", "-f", "{{.Id}}", "it") / "bundle" / "config.json"
    assert json.loads(bundle.read_text())["annotations"] == {"x.y": "z"}
    assert engine.ok("exec", "it", "sh", "-c", "echo $A-$B") == "from a file-"
    assert engine.ok("exec", "--env-file", str(variables), "-e", "A=said", "it", "sh", "-c", "echo $A") == "said"
    assert engine.ok("exec", "--env-file", str(variables), "it", "env").count("from a file") == 1


def test_cgroup_parent_and_memory_nodes(engine: Engine, token: str) -> None:
    detached(engine, "it", "true", "--cgroup-parent", f"/{token}/deeper", "--cpuset-mems", "0")
    lines = Path(f"/proc/{process(engine, 'it')}/cgroup").read_text().splitlines()
    assert any(f":/{token}/deeper/" in line for line in lines)
    assert cgroup_file(engine, "it", "cpuset.mems") == "0"
    assert engine.ok("update", "--cpuset-mems", "0-0", "it") == "it"
    assert engine.ok("inspect", "-f", "{{.HostConfig.CpusetMems}}", "it") == "0-0"
    assert engine.pydocker("update", "--cpuset-mems", "77", "it").code == 1
    engine.ok("rm", "-f", "it")
    for directory, _, _ in os.walk(CGROUP, topdown=False):
        if directory.endswith(f"/{token}/deeper"):
            os.rmdir(directory)


def block_device() -> tuple[str, str]:
    """One that the kernel has, and its numbers."""
    for name in sorted(os.listdir("/sys/block")):
        if os.path.exists(f"/dev/{name}"):
            return f"/dev/{name}", Path(f"/sys/block/{name}/dev").read_text().strip()
    pytest.skip("this machine has no block device")


def test_traffic_of_a_block_device(engine: Engine) -> None:
    path, numbers = block_device()
    detached(engine, "it", "true", "--device-read-bps", f"{path}:1mb", "--device-write-bps", f"{path}:2mb",
             "--device-read-iops", f"{path}:30", "--device-write-iops", f"{path}:40")
    found = [cgroup_file(engine, "it", f"blkio.throttle.{name}_device", "io.max")
             for name in ("read_bps", "write_bps", "read_iops", "write_iops")]
    if "rbps" in found[0]:
        assert found[0] == f"{numbers} rbps=1048576 wbps=2097152 riops=30 wiops=40"
    else:
        assert found == [f"{numbers} {value}" for value in (1 << 20, 2 << 20, 30, 40)]


def test_weight_of_the_block_devices(engine: Engine) -> None:
    """The weight of one device is for those whose scheduler is bfq: of another, the kernel says that it cannot."""
    detached(engine, "it", "true", "--blkio-weight", "300")
    weights = ("blkio.weight", "blkio.bfq.weight", "io.bfq.weight", "io.weight")
    before = cgroup_file(engine, "it", *weights)
    engine.ok("update", "--blkio-weight", "400", "it")
    after = cgroup_file(engine, "it", *weights)
    assert len({before, after, "100", "default 100"}) == 4  # io.weight has a scale of its own
    path, numbers = block_device()
    said = engine.pydocker(*RUN, "-d", "--name", "one", "--blkio-weight-device", f"{path}:200", "busybox", "cat")
    if said.code == 0:
        devices = ("blkio.weight_device", "blkio.bfq.weight_device", "io.bfq.weight", "io.weight")
        assert f"{numbers} " in cgroup_file(engine, "one", *devices)
    else:
        assert re.search(f"write '{numbers} 200' to .*weight.*: operation not supported", said.err)


def test_real_time(engine: Engine) -> None:
    """Where the kernel groups real-time processes, it is given; elsewhere the kernel cannot, and it is said."""
    flags = ("--cpu-rt-period", "1000000", "--cpu-rt-runtime", "1000")
    said = engine.pydocker(*RUN, "-d", "--name", "it", *flags, "busybox", "sleep", "100")
    if said.code == 0:
        assert cgroup_file(engine, "it", "cpu.rt_runtime_us") == "1000"
        assert cgroup_file(engine, "it", "cpu.rt_period_us") == "1000000"
    else:
        assert (said.code, "real" in said.err.lower() or "rt_" in said.err) == (125, True), said.err
    detached(engine, "other", "true")
    updated = engine.pydocker("update", *flags, "other")
    assert (updated.code == 0) is (said.code == 0), updated.err


def test_the_log(engine: Engine) -> None:
    engine.ok(*RUN, "--name", "unheard", "--log-driver", "none", "busybox", "echo", "x")
    assert engine.pydocker("logs", "unheard").code == 1
    engine.ok(*RUN, "--name", "much", "--log-opt", "max-size=1k", "--log-opt", "max-file=2", "busybox", "seq", "1000")
    path = Path(engine.ok("inspect", "-f", "{{.LogPath}}", "much"))
    assert len(list(path.parent.glob(f"{path.name}*"))) == 2
    engine.ok(*RUN, "--name", "told", "-l", "a=b", "--log-opt", "labels=a", "busybox", "echo", "line")
    assert engine.ok("logs", "--details", "told") == "a=b line"


def test_another_runtime(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    program, called = tmp_path / "runtime", tmp_path / "called"
    program.write_text(f'#!/bin/sh\necho "$@" >> {called}\ncd {CHECKOUT}; exec {sys.executable} -m runtime "$@"\n')
    program.chmod(0o755)
    engine = make_engine(runtimes={"mine": {"path": str(program)}})
    engine.import_busybox()
    assert run(engine, "--runtime", "mine", "busybox", "echo", "by it") == "by it"
    assert " create " in called.read_text()


def test_how_it_is_stopped(engine: Engine) -> None:
    trap = "trap 'echo told; exit 5' USR1; trap 'sleep 100; exit 4' TERM"
    detached(engine, "signal", trap, "--stop-signal", "USR1", "--stop-timeout", "60")
    engine.ok("stop", "signal")
    detached(engine, "soon", trap, "--stop-timeout", "0")
    engine.ok("stop", "soon")
    detached(engine, "later", trap, "--stop-timeout", "60")
    engine.ok("stop", "-s", "USR1", "later")
    codes = [engine.ok("inspect", "-f", "{{.State.ExitCode}}", name) for name in ("signal", "soon", "later")]
    assert codes == ["5", "137", "5"]
    engine.ok("start", "later")
    waits(lambda: engine.ok("logs", "later").count("ready") == 2)
    engine.ok("restart", "--signal", "USR1", "later")
    assert engine.ok("logs", "later").count("told") == 2


@pytest.mark.parametrize("passed", [True, False])
def test_signals_are_passed_on_or_not(engine: Engine, passed: bool) -> None:
    script = "trap 'exit 6' TERM; echo ready; while :; do sleep 0.05; done"
    flags = () if passed else ("--sig-proxy=false",)
    detached(engine, "attached", "trap 'exit 7' TERM")
    for name, argv in (("it", (*RUN, "--name", "it", *flags, "busybox", "sh", "-c", script)),
                       ("attached", ("attach", *flags, "attached"))):
        with client(engine, argv) as running:
            waits(lambda name=name: "ready" in engine.pydocker("logs", name).out)
            waits(lambda running=running: not passed or catches(running.pid, signal.SIGTERM))
            running.send_signal(signal.SIGTERM)
            code = running.wait(60)
        if passed:
            assert code == {"it": 6, "attached": 7}[name]
        else:
            assert code != 0 and engine.ok("inspect", "-f", "{{.State.Running}}", name) == "true"


@contextlib.contextmanager
def client(engine: Engine, argv: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of its own, whose signals can be seen."""
    with subprocess.Popen((*COLD, *argv), cwd=CHECKOUT, env=engine.environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.parametrize("argv", [("exec", "-it", "--detach-keys", "ctrl-a,x", "it", "sh"),
                                  ("start", "-ai", "--detach-keys", "ctrl-a,x", "stopped")])
def test_keys_that_let_go(engine: Engine, argv: tuple[str, ...]) -> None:
    detached(engine, "it", "true")
    engine.ok("create", "-it", "--network", "none", "--name", "stopped", "busybox", "sh")
    command = (sys.executable, "-m", "pydocker", *argv)
    with Terminal(command, engine.environment, str(CHECKOUT)) as terminal:
        terminal.type("echo in''side\n")
        terminal.expect("inside")
        terminal.type("\x01x")
        terminal.end()
    name = argv[-2] if argv[0] == "exec" else argv[-1]
    assert "sh" in engine.ok("top", name, "-o", "pid,comm")


def test_a_link_is_followed_by_cp(engine: Engine, tmp_path: Path) -> None:
    engine.ok(*RUN, "--name", "it", "busybox", "sh", "-c", "echo content > /file; ln -s /file /link")
    engine.ok("cp", "it:/link", str(tmp_path / "link"))
    engine.ok("cp", "-L", "it:/link", str(tmp_path / "followed"))
    assert (os.readlink(tmp_path / "link"), (tmp_path / "followed").read_text()) == ("/file", "content\n")


def test_the_lists_flags(engine: Engine) -> None:
    for name in ("one", "two", "three"):
        engine.ok("create", "--network", "none", "--name", name, "busybox")
    names = ("--format", "{{.Names}}")
    assert engine.ok("ps", "-l", *names) == "three"
    assert engine.ok("ps", "--last", "2", *names).split() == ["three", "two"]
    assert engine.ok("ps", *names) == ""
    assert engine.ok("ps", "--all", "--filter", "name=tw", *names) == "two"
    assert re.fullmatch(r"[0-9a-f]{64}", engine.ok("ps", "-lq", "--no-trunc"))
    assert re.fullmatch(r"[0-9a-f]{12}", engine.ok("ps", "-lq"))
    assert engine.ok("ps", "-as").splitlines()[0].endswith("SIZE")
    pruned = engine.ok("container", "prune", "--force", "--filter", "label=none")
    assert pruned == "Total reclaimed space: 0B"
    assert engine.ok("container", "prune", "-f").count("\n") >= 4


def test_entrypoint_and_quiet(engine: Engine) -> None:
    assert run(engine, "--quiet", "--entrypoint", "/bin/echo", "busybox", "said") == "said"
    missing = engine.pydocker(*RUN, "--quiet", "--pull", "never", "nothing:here")
    assert (missing.code, "Unable to find image" in missing.err) == (125, False)


def test_shares_of_the_processors(engine: Engine) -> None:
    detached(engine, "it", "true", "--cpu-shares", "512", "--cpu-period", "50000", "--cpu-quota", "20000")
    assert cgroup_file(engine, "it", "cpu.cfs_quota_us", "cpu.max") in ("20000", "20000 50000")
    assert cgroup_file(engine, "it", "cpu.cfs_period_us", "cpu.max") in ("50000", "20000 50000")
    shares = cgroup_file(engine, "it", "cpu.shares", "cpu.weight")
    engine.ok("update", "--cpu-shares", "256", "--cpu-period", "40000", "--cpu-quota", "10000", "--cpuset-cpus", "0",
              "it")
    assert cgroup_file(engine, "it", "cpu.cfs_quota_us", "cpu.max") in ("10000", "10000 40000")
    assert cgroup_file(engine, "it", "cpu.cfs_period_us", "cpu.max") in ("40000", "10000 40000")
    assert int(cgroup_file(engine, "it", "cpu.shares", "cpu.weight")) < int(shares)
    assert cgroup_file(engine, "it", "cpuset.cpus") == "0"


def test_memory_is_updated(engine: Engine) -> None:
    detached(engine, "it", "true", "--memory", "64m", "--memory-swap", "80m")
    engine.ok("update", "--memory", "48m", "--memory-swap", "96m", "--memory-reservation", "32m", "it")
    assert cgroup_file(engine, "it", "memory.limit_in_bytes", "memory.max") == str(48 << 20)
    assert cgroup_file(engine, "it", "memory.soft_limit_in_bytes", "memory.low") == str(32 << 20)
    both = cgroup_file(engine, "it", "memory.memsw.limit_in_bytes", "memory.swap.max")
    assert both in (str(96 << 20), str(48 << 20))  # v1 counts memory and swap, v2 swap alone


def test_cgroup_namespace(engine: Engine) -> None:
    """In one of its own a container is at the top; in the host's it sees where it is."""
    seen = [run(engine, "--cgroupns", kind, "busybox", "cat", "/proc/self/cgroup") for kind in ("private", "host")]
    assert ["pydocker-test" in text for text in seen] == [False, True]


def test_platform_and_pull(engine: Engine) -> None:
    wrong = engine.pydocker(*RUN, "--pull", "never", "--platform", "linux/riscv64", "busybox", "true")
    assert (wrong.code, "does not match the specified platform (linux/riscv64)" in wrong.err) == (125, True), wrong.err
    for policy in ("always", "missing"):
        said = engine.pydocker(*RUN, "--pull", policy, "127.0.0.1:1/nothing:here")
        assert (said.code, "127.0.0.1:1" in said.err) == (125, True)
    assert "No such image" in engine.pydocker(*RUN, "--pull", "never", "127.0.0.1:1/nothing:here").err


def test_streams_are_chosen(engine: Engine) -> None:
    said = engine.pydocker(*RUN, "--rm", "-a", "stderr", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (said.code, said.out, said.err) == (0, "", "err\n")
    script = "read line; while :; do echo got $line; sleep 0.1; done"  # so that both hear it, whoever came first
    engine.ok(*RUN, "-di", "--name", "it", "busybox", "sh", "-c", script)
    with engine.popen("attach", "--no-stdin", "it", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        client.stdin.write(b"unheard\n")
        client.stdin.flush()
        with engine.popen("attach", "it", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            other.stdin.write(b"heard\n")
            other.stdin.flush()
            assert other.stdout.readline() == client.stdout.readline() == b"got heard\n"
            other.kill()
        client.kill()


def test_a_terminal(engine: Engine) -> None:
    assert run(engine, "--tty", "busybox", "sh", "-c", "tty; test -t 1 && echo terminal").split() == [
        "/dev/pts/0", "terminal"]


def test_a_commit_that_pauses_nothing(engine: Engine) -> None:
    detached(engine, "it", "true")
    since = f"{time.time():.6f}"
    for flags in (("--no-pause",), ()):
        engine.ok("commit", *flags, "it", "made")
    actions = engine.ok("events", "--since", since, "--until", "0s", "-f", "container=it", "--format", "{{.Action}}")
    assert actions.split().count("commit") == 2
    assert actions.split().count("pause") <= 1


def test_a_link_is_removed(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "other", "busybox", "sleep", "1000")
    engine.ok("create", "--link", "other:db", "--name", "it", "busybox")
    engine.ok("rm", "--link", "it/db")
    assert engine.ok("inspect", "-f", "{{json .HostConfig.Links}}", "it") == "null"
    said = engine.pydocker("rm", "--link", "it")
    assert (said.code, "cannot remove the default link name" in said.err) == (1, True), said.err
    assert engine.pydocker("rm", "--link", "nope").err == "Error response from daemon: No such container: nope\n"


def test_addresses_and_names_in_a_network(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.import_busybox()
    engine.ok("network", "create", "--subnet", "10.77.0.0/24", "--ipv6", "--subnet", "fd77::/64", "apart")
    out = engine.ok("run", "--rm", "--network", "apart", "--ip", "10.77.0.9", "--ip6", "fd77::9", "--mac-address",
                    "02:42:0a:4d:00:09", "--link-local-ip", "169.254.9.9", "--add-host", "other:10.1.1.1", "busybox",
                    "sh", "-c", "ip addr; cat /etc/hosts")
    for text in ("inet 10.77.0.9/24", "inet6 fd77::9/64", "02:42:0a:4d:00:09", "inet 169.254.9.9", "10.1.1.1\tother"):
        assert text in out, out
    engine.ok("run", "-d", "--name", "web", "--network", "apart", "--ip", "10.77.0.5", "--network-alias", "shop",
              "busybox", "sleep", "100")
    assert "10.77.0.5" in engine.ok("run", "--rm", "--network", "apart", "busybox", "ping", "-4", "-c", "1", "shop")
    engine.ok("rm", "-f", "web")
    engine.ok("network", "rm", "apart")


def test_what_resolves_names(engine: Engine) -> None:
    out = engine.ok("run", "--rm", "--dns", "9.9.9.9", "--dns-option", "ndots:3", "--dns-search", "a.test", "busybox",
                    "cat", "/etc/resolv.conf")
    for text in ("nameserver 9.9.9.9", "options ndots:3", "search a.test"):
        assert text in out
    engine.ok("run", "-d", "--name", "web", "busybox", "sleep", "100")
    address = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "web")
    assert f"{address}\tdb" in engine.ok("run", "--rm", "--link", "web:db", "busybox", "cat", "/etc/hosts")


WINDOWS = ("--cpu-count", "--cpu-percent", "--io-maxbandwidth", "--io-maxiops")


@pytest.mark.parametrize("flag", [*WINDOWS, "--storage-opt", "--use-api-socket"])
def test_what_cannot_apply_says_why(engine: Engine, flag: str) -> None:
    words = (flag,) if flag == "--use-api-socket" else (flag, "1")
    said = engine.pydocker("run", *words, "busybox")
    assert (said.code, said.err.startswith(f"pydocker: {flag} is not supported: ")) == (125, True), said.err
    assert ("Windows" in said.err) is (flag in WINDOWS)


def test_checkpoints_are_refused(engine: Engine) -> None:
    engine.ok("create", "--network", "none", "--name", "it", "busybox")
    for flag in ("--checkpoint", "--checkpoint-dir"):
        said = engine.pydocker("start", f"{flag}=x", "it")
        assert (said.code != 0, "not supported" in said.err) == (True, True), said.err
