"""Bad documents through the real command line: exit code 1 and one line with a JSON path, never a traceback (R16)."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from runtime.spec import POSIXRlimit
from tests.root.runtime.conftest import COMMAND, REPOSITORY, Runtime

# Each document is run by a fork of one process that has everything imported, as the monitor does it: `runtime.cli.main`
# with the words of the command line. `explain` would not do: it is `create` whose answers are an interface.
SCRIPT = """
import json, os, sys
from runtime import cli
cli.preload()
cli.protect = lambda words: None
root, bundle, documents = sys.argv[1:]
for document in open(documents):
    with open(bundle + "/config.json", "w") as file:
        file.write(document)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 2)
        os._exit(cli.main(["--root", root, "create", "--bundle", bundle, "c"]))
    os.close(writing)
    with open(reading, errors="replace") as file:
        said = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(json.dumps([code, said]), flush=True)
"""
WRONG: tuple[Any, ...] = ({}, [], [[]], 10**30, -1, 1.5, True, "", "\0", "x\0y", [None, 1], {"": {}}, "\n")


def broken(document: Any) -> Iterator[str]:
    """For every value of the document: another type, or the member missing. Those that change nothing are left out."""
    def walk(value: Any) -> Iterator[tuple[Any, Any]]:
        members = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(
            value, list) else []
        for name, member in members:
            yield value, name
            yield from walk(member)

    chance = random.Random(3)
    for parent, name in list(walk(document)):
        old = parent[name]
        parent[name] = chance.choice([one for one in WRONG if type(one) is not type(old)])
        yield json.dumps(document)
        parent[name] = old


def test_wrong_types_everywhere(runtime: Runtime) -> None:
    runtime.configure("true")
    documents = [*broken(json.loads((runtime.bundle / "config.json").read_text()))]
    # What is accepted nevertheless (a string where any string is right) would be created: it has no root to be made in.
    documents = [one.replace('"path": "rootfs"', '"path": "nowhere"') for one in documents]
    file = runtime.directory / "documents"
    file.write_text("\n".join(documents) + "\n")
    done = subprocess.run([sys.executable, "-c", SCRIPT, runtime.root, runtime.bundle, file], cwd=REPOSITORY, text=True,
                          capture_output=True, timeout=120, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(documents) > 150
    for document, (code, said) in zip(documents, answers, strict=True):
        assert code == 1 and said.count("\n") == 1 and "Traceback" not in said, (said, document)
        assert "`$" in said or "$." in said or "nowhere" in said, (said, document)
    assert sum("`$" in said for _, said in answers) > len(answers) * 0.8


def judged_by_the_kernel(runtime: Runtime) -> dict[str, dict[str, Any]]:
    """What no look at the document can find wrong: where it is, and what to change in config.json."""
    document = json.loads((runtime.bundle / "config.json").read_text())
    mounts, namespaces = document["mounts"], document["linux"]["namespaces"]
    (here,) = [number for number, one in enumerate(namespaces) if one["type"] == "network"]

    def mount(**fields: Any) -> dict[str, Any]:
        return {"mounts": [*mounts, {"destination": "/tmp", **fields}]}  # noqa: S108

    def network(path: str) -> dict[str, Any]:
        return {"linux__namespaces": [{**one, "path": path} if one["type"] == "network" else one for one in namespaces]}

    at, named = f"$.mounts[{len(mounts)}]", f"$.linux.namespaces[{here}].path"
    (runtime.rootfs / "file").touch()
    return {
        f"size=x: tmpfs: bad value for 'size' {at}": mount(type="tmpfs", options=["size=x"]),
        f"no such device {at}": mount(type="nosuch"),
        f"bind /nosuch to /tmp: no such file or directory {at}": mount(type="bind", source="/nosuch"),
        f"cannot be mounted because it is inside /proc {at}": {
            "mounts": [*mounts, {"destination": "/link/x", "type": "tmpfs"}]},
        f"network namespace /nosuch: no such file or directory {named}": network("/nosuch"),
        f"network namespace /etc: not a namespace {named}": network("/etc"),
        f"this is a uts namespace {named}": network("/proc/self/ns/uts"),
        "invalid argument $.linux.sysctl['net.ipv4.ip_forward']": {"linux__sysctl": {"net.ipv4.ip_forward": "x"}},
        "no such file or directory $.linux.sysctl['net.nosuch']": {"linux__sysctl": {"net.nosuch": "1"}},
        "schedule by SCHED_ISO: invalid argument $.process.scheduler": {"process__scheduler": {"policy": "SCHED_ISO"}},
        "is there already $.linux.devices[0]": {
            "linux__devices": [{"path": "/file", "type": "c", "major": 1, "minor": 3}]},
        "not a directory $.process.cwd": {"process__cwd": "/file"},
        "operation not permitted $.process.rlimits[1]": {"process__rlimits": [
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
            {"type": "RLIMIT_NOFILE", "soft": 2**63, "hard": 2**63}]},
    }


def test_what_only_the_kernel_judges_is_told_with_its_place(runtime: Runtime) -> None:
    (runtime.rootfs / "link").symlink_to("proc")
    runtime.configure("true")
    for words, change in judged_by_the_kernel(runtime).items():
        runtime.configure("true")
        runtime.change(**change)
        done = runtime("run", "--bundle", str(runtime.bundle), "c")
        said, _, at = words.rpartition(" ")
        assert done.returncode == 1 and done.stderr.endswith(f" - at `{at}`\n"), (words, done.stderr)
        assert done.stderr.count("\n") == 1 and said in done.stderr, (words, done.stderr)


def test_a_joined_user_namespace_too(runtime: Runtime) -> None:
    runtime.configure("true")
    kinds = ("mount", "pid", "network", "uts", "ipc", "cgroup")
    runtime.change(linux__namespaces=[*({"type": kind} for kind in kinds), {"type": "user", "path": "/etc"}])
    done = runtime("run", "--bundle", str(runtime.bundle), "c")
    assert done.returncode == 1
    assert done.stderr.endswith("user namespace /etc: not a namespace (setns(2)) - at `$.linux.namespaces[6].path`\n")


@pytest.mark.parametrize(("words", "at"), [((), "$.process"), (("--process", "process.json"), "$")])
def test_exec_names_the_document_that_asks(runtime: Runtime, words: tuple[str, ...], at: str) -> None:
    """Without a process.json, what the container's own process has: a root with lower limits cannot have it."""
    limit = {"type": "RLIMIT_NOFILE", "soft": 1000, "hard": 1000}
    runtime.background("sleep", "60", rlimits=(POSIXRlimit(type="RLIMIT_NOFILE", soft=1000, hard=1000),))
    process = {"args": ["true"], "cwd": "/", "rlimits": [limit]}
    (runtime.directory / "process.json").write_text(json.dumps(process))
    words = tuple(str(runtime.directory / word) if "." in word else word for word in words)
    inside = ("c", "true") if at == "$.process" else ("c",)
    line = [*COMMAND, "--root", str(runtime.root), "exec", *words, *inside]
    done = subprocess.run(["setpriv", "--bounding-set", "-sys_resource", "--inh-caps", "-sys_resource", "prlimit",
                           "--nofile=500", *line], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 255 and done.stderr.endswith(f" - at `{at}.rlimits[0]`\n"), done.stderr


def test_what_is_refused_when_it_is_started_is_one_line_that_can_be_read(runtime: Runtime) -> None:
    """execve(2) takes no argument above 128 KiB, and says so as the very last thing."""
    done = runtime.run("true", "two\nlines" + "x" * 200_000)
    assert done.returncode == 126 and done.stderr.count("\n") == 1 and len(done.stderr) < 5000
    assert done.stderr.startswith("execute true")
    assert done.stderr.endswith(": argument list too long (execve(2), E2BIG)\n")


def test_a_console_socket_is_told_with_its_flag(runtime: Runtime) -> None:
    runtime.configure("true", terminal=True)
    done = runtime("create", "--bundle", str(runtime.bundle), "--console-socket", "/nosuch", "c")
    assert (done.returncode, done.stderr) == (
        1, "pydocker-runtime: --console-socket /nosuch: no such file or directory (connect(2))\n")
