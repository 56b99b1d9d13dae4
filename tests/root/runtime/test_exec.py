"""exec: another process in the same container, and what is said when there is no such program."""

import json
import os
import pty
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from runtime.linux.prctl import set_child_subreaper
from tests.root.runtime.conftest import COMMAND, REPOSITORY, Runtime


@pytest.fixture
def running(runtime: Runtime) -> Runtime:
    runtime.background("sh", "-c", "sleep 1000")
    return runtime


def test_it_is_in_the_same_namespaces_and_cgroup(running: Runtime) -> None:
    pid = running.pid()
    script = "for n in mnt pid net uts ipc cgroup; do readlink /proc/self/ns/$n; done"
    inside = running("exec", "c", "sh", "-c", script).stdout.split()
    assert inside == [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("mnt", "pid", "net", "uts", "ipc", "cgroup")]
    host = {line.split(":")[2] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()}
    running("exec", "--detach", "--pid-file", str(running.directory / "p"), "c", "sleep", "77", check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    other = int((running.directory / "p").read_text())
    assert {line.split(":")[2] for line in Path(f"/proc/{other}/cgroup").read_text().splitlines()} == host


def test_exit_codes_and_streams(running: Runtime) -> None:
    done = running("exec", "c", "sh", "-c", "echo out; echo err >&2; exit 9")
    assert (done.returncode, done.stdout, done.stderr) == (9, "out\n", "err\n")
    assert running("exec", "c", "sh", "-c", "kill -TERM $$").returncode == 128 + 15


def test_flags(running: Runtime) -> None:
    done = running("exec", "--user", "1000:1001", "--additional-gids", "7", "--cwd", "/etc", "--env", "X=y", "c",
                   "sh", "-c", "id -u; id -g; id -G; pwd; echo $X $HOME; grep CapEff /proc/self/status")
    assert done.stdout.split() == ["1000", "1001", "1001", "7", "/etc", "y", "/home/user", "CapEff:", "0" * 16]


def test_process_file(running: Runtime) -> None:
    file = running.directory / "process.json"
    file.write_text(json.dumps({"cwd": "/", "args": ["sh", "-c", "id -u; echo $A"], "env": ["PATH=/bin", "A=b"],
                                "user": {"uid": 5, "gid": 5}}))
    assert running("exec", "--process", str(file), "c").stdout.split() == ["5", "b"]


@pytest.mark.parametrize(("program", "words"), [
    ("nope", 'exec: "nope": executable file not found in $PATH'),
    ("/nope", 'exec: "/nope": stat /nope: no such file or directory'),
    ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
    ("/etc", 'exec: "/etc": is a directory'),
])
@pytest.mark.parametrize("verb", ["exec", "run"])
def test_words_about_programs_that_cannot_be_executed(runtime: Runtime, verb: str, program: str, words: str) -> None:
    if verb == "run":
        done = runtime.run(program)
    else:
        runtime.background("sleep", "100")
        done = runtime("exec", "c", program)
    code = 1 if verb == "run" else 255  # as runc: 1 could be the program's own
    assert (done.returncode, done.stderr) == (code, f"pydocker-runtime: {words}\n")


def test_execve_that_fails_after_start_has_a_shells_exit_code(runtime: Runtime) -> None:
    for content, code, words in ((b"#!/no/such/shell\n", 127, "no such file or directory"),
                                 (b"\x7fELFjunk", 126, "exec format error")):
        script = runtime.rootfs / "bin/script"
        script.write_bytes(content)
        script.chmod(0o755)
        done = runtime.run("script")
        assert done.returncode == code and words in done.stderr


@pytest.mark.parametrize("user", [
    "-1", "1x", "+1", " 1", "4294967295", "99999999999", "1:", ":1", "1:2:3", "root", "1:-1"])
def test_users_are_numbers_and_nothing_else(running: Runtime, user: str) -> None:
    """A name, or a number that is none, must not become uid 0 (CVE-2026-30892, CVE-2024-40635)."""
    done = running("exec", "--user", user, "c", "id")
    assert done.returncode == 255 and "expected uid[:gid]" in done.stderr


def test_terminal(running: Runtime) -> None:
    """The caller's terminal is relayed; the process inside has one of the container's."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(REPOSITORY)
        os.execv(COMMAND[0], [*COMMAND, "--root", str(running.root), "exec", "-t", "c", "sh", "-c",
                              "tty; read word; echo got $word; exit 6"])
    output = b""
    sent = False
    try:
        while piece := os.read(master, 1000):
            output += piece
            if not sent and b"/dev/pts/" in output:
                os.write(master, b"word\r")
                sent = True
    except OSError:
        os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 6
    assert b"got word" in output


@pytest.mark.parametrize("words", [("c", "/nonexistent"), ("--detach", "c", "/nonexistent"),
                                   ("--detach", "--pid-file", "/nonexistent/pid", "c", "sleep", "99")])
def test_one_that_fails_leaves_no_zombie(running: Runtime, words: tuple[str, ...]) -> None:
    """As the caller may never wait for it, and then the container's killed init could not end."""
    before = children()
    set_child_subreaper()
    try:
        done = running("exec", *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert done.returncode == 255 and children() <= before
    finally:
        set_child_subreaper(False)


def children() -> set[str]:
    """Of this process, and who became so as its orphaned grandchildren; zombies, too."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has just ended
            found |= {*(task / "children").read_text().split()}
    return found
