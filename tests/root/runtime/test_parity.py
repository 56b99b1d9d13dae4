"""The words and exit codes of errors, side by side with runc: podman, containerd and dockerd go by them.

One table of illegal situations, and both runtimes are led through it. What differs on purpose has a reason.
"""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.root.runtime.conftest import REPOSITORY, Runtime

OURS, RUNC = "pydocker-runtime", "runc"


@dataclass(frozen=True)
class Case:
    """`words` is what standard error has to hold, and the log's last error; `differ` are runc's own, where ours are not
    (and why that is no loss); `change` is made to config.json before, `code` is the exit code of both."""

    command: str
    words: str
    code: int = 1
    differ: tuple[str, str] = ("", "")
    change: dict[str, Any] = field(default_factory=dict)


def process(**fields: Any) -> dict[str, Any]:
    return {f"process__{name}": value for name, value in fields.items()}


NO_SUCH = "container does not exist"
# A bundle, and no container.
NOTHING = (
    *(Case(f"{verb} nope", NO_SUCH)
      for verb in ("state", "start", "delete", "kill", "pause", "resume", "ps", "events")),
    Case("kill nope KILL", NO_SUCH),
    Case("kill nope 0", NO_SUCH),
    Case("kill --all nope KILL", NO_SUCH),
    Case("exec nope true", NO_SUCH, 255),
    Case("delete --force nope", "", 0),
    Case("create --bundle /nonexistent c", "chdir /nonexistent: no such file or directory"),
    Case("run --bundle /nonexistent c", "chdir /nonexistent: no such file or directory"),
    Case("create --bundle EMPTY c", "config.json not found"),
    Case("run --bundle EMPTY c", "config.json not found"),
    Case("create --bundle BUNDLE a/b", "invalid", differ=("invalid container ID format", "")),
    Case("create --bundle BUNDLE ../x", "invalid"),
    Case("create --bundle BUNDLE ..", "invalid"),
    Case("create --bundle BUNDLE c@d", "invalid"),
    Case("state ../x", "", differ=("invalid container ID format", "")),
    Case("create", '"create" requires exactly 1 argument(s)'),
    Case("create --bundle BUNDLE a b", '"create" requires exactly 1 argument(s)'),
    Case("run", '"run" requires exactly 1 argument(s)'),
    Case("start", '"start" requires exactly 1 argument(s)'),
    Case("state", '"state" requires exactly 1 argument(s)'),
    Case("state a b", '"state" requires exactly 1 argument(s)'),
    Case("delete", '"delete" requires exactly 1 argument(s)'),
    Case("kill", '"kill" requires a minimum of 1 argument(s)'),
    Case("exec", '"exec" requires a minimum of 1 argument(s)'),
    Case("pause", '"pause" requires exactly 1 argument(s)'),
    Case("resume", '"resume" requires exactly 1 argument(s)'),
    Case("list x", '"list" requires exactly 0 argument(s)'),
    Case("spec x", '"spec" requires exactly 0 argument(s)'),
    Case("features x", '"features" requires exactly 0 argument(s)'),
    Case("exec c", "process args cannot be empty", 255, ("", "runc looks for the container first")),
    Case("list --format yaml", "", differ=("invalid format option", "ours names the flag and what it takes")),
    Case("bogus", "bogus", 3),
    Case("help bogus", "bogus", 3),
    Case("kill a KILL c", '"kill" requires a maximum of 2 argument(s)'),
    Case("--bogus state c", "flag provided but not defined: -"),
    Case("state --bogus c", "flag provided but not defined: -"),
    Case("create --bundle", "flag needs an argument: -"),
    Case("create --preserve-fds x c", "invalid value \"x\" for flag -"),
    Case("create --bundle BUNDLE --preserve-fds 2 c", "unable to stat preserved-fd 3",
         differ=("", "runc takes its own for them")),
    Case("create --bundle BUNDLE --console-socket /nonexistent c", "console socket"),
    Case("create --bundle BUNDLE --console-socket /nonexistent c", "/nonexistent: ", change=process(terminal=True)),
    Case("create --bundle BUNDLE --console-socket /etc/passwd c", "connection refused", change=process(terminal=True)),
    Case("create --bundle BUNDLE c", "cannot allocate tty if", change=process(terminal=True)),
    Case("create --bundle BUNDLE c", "", change={"root": {"path": "missing"}}, differ=("invalid rootfs", "")),
    Case("create --bundle BUNDLE c", "no such file or directory", change={"root": {"path": "missing"}}),
    Case("create --bundle BUNDLE c", "not a directory", change={"root": {"path": "/etc/passwd"}}),
    Case("create --bundle BUNDLE c", 'exec: "nosuch": executable file not found in $PATH',
         change=process(args=["nosuch"])),
    Case("create --bundle BUNDLE c", "stat /no/such: no such file or directory", change=process(args=["/no/such"])),
    Case("create --bundle BUNDLE c", 'exec: "/etc/passwd": permission denied', change=process(args=["/etc/passwd"])),
    Case("create --bundle BUNDLE c", 'exec: "/root": ', change=process(args=["/root"])),
    Case("create --bundle BUNDLE c", "", change=process(args=[]), differ=("", "runc starts nothing until `start`")),
    Case("create --bundle BUNDLE c", "not a directory", change=process(cwd="/etc/passwd")),
    Case("create --bundle BUNDLE c", "duplicated ns", change={"linux__namespaces": [{"type": "mount"}, {"type": "pid"},
                                                                                    {"type": "pid"}]}),
    Case("create --bundle BUNDLE c", "unable to set hostname without a private UTS namespace",
         change={"linux__namespaces": [{"type": "mount"}, {"type": "pid"}]}),
    Case("create --bundle BUNDLE c", "is not in a separate kernel namespace", change={"linux__sysctl": {"vm.x": "1"}}),
    Case("create --bundle BUNDLE c", "", change={"mounts": 5}, differ=("cannot unmarshal number", "ours has the path")),
    Case("create --bundle BUNDLE c", "hook ran past specified timeout of 1.0s",
         change={"hooks": {"prestart": [{"path": "/bin/sleep", "args": ["sleep", "9"], "timeout": 1}]}}),
    Case("create --bundle BUNDLE c", "exit status 3, stdout: , stderr: ",
         change={"hooks": {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "exit 3"]}]}}),
    Case("create --bundle BUNDLE c", "fork/exec /nonexistent: no such file or directory",
         change={"hooks": {"createContainer": [{"path": "/nonexistent"}]}}),
)
# A container that runs `sleep 100`.
RUNNING = (
    Case("create --bundle BUNDLE c", "container with given ID already exists"),
    Case("run --bundle BUNDLE c", "container with given ID already exists"),
    Case("start c", "cannot start an already running container"),
    Case("delete c", "cannot delete container c that is not stopped: running"),
    Case("resume c", "container not paused"),
    Case("exec c nosuch", 'exec: "nosuch": executable file not found in $PATH', 255),
    Case("exec c /no/such", "stat /no/such: no such file or directory", 255),
    Case("exec c /etc/passwd", 'exec: "/etc/passwd": permission denied', 255),
    Case("exec --cwd /nope c true", "no such file or directory", 255),
    Case("exec --cwd bin c true", "Cwd must be an absolute path", 255),
    Case("exec --env X c true", "--env 'X': expected NAME=value", 255, ("invalid environment variable", "")),
    Case("exec --env =x c true", "--env '=x': expected NAME=value", 255, ("environment variable name", "")),
    Case("exec --cap CAP_NOSUCH c true", "--cap 'CAP_NOSUCH': unknown capability", 255, ("", "runc ignores it")),
    Case("events --interval 0 c", "duration interval must be greater than 0"),
    Case("events --interval -1s c", "duration interval must be greater than 0"),
    Case("events --interval 5 c", "invalid value", differ=("invalid value \"5\" for flag -interval", "")),
    Case("exec --user abc c true", "abc", 255),
    Case("exec --user 1:b c true", "b", 255),
    Case("exec --detach --tty c true", "cannot allocate tty if", 255),
    Case("exec --console-socket /x c true", "cannot use console socket if", 255),
    Case("exec --process /nope c", "/nope: no such file or directory", 255),
    Case("exec --process /etc/passwd c", "", 255, ("looking for beginning of value", "the decoder's own words")),
    Case("exec --cgroup nope c true", "nope", 255),
    Case("exec --cgroup x:y:z c true", "invalid --cgroup argument: x:y:z", 255),
    Case("exec --cgroup a --cgroup b c true", "(missing <controller>: prefix)", 255),
    Case("exec --preserve-fds 5 c true", "unable to stat preserved-fd 3", 255,
         ("", "runc takes its own for them")),
    Case("kill c BOGUS", "unknown signal \"BOGUS\""),
    Case("kill c 999", "", differ=("invalid argument", "ours says that there is no such signal")),
    Case("kill c 0", "", 0),
    Case("exec c test", "", 1),  # the program's own
    Case("exec c true", "", 0),
    Case("pause c", "", 0),
    Case("pause c", ""),
    Case("exec c true", "cannot exec in a paused container (use --ignore-paused to override)", 255),
    Case("start c", "cannot start a container in the paused state"),
    Case("delete c", "cannot delete container c that is not stopped: paused"),
    Case("resume c", "", 0),
    Case("kill c KILL", "", 0),
)
# It was killed.
STOPPED = (
    Case("kill c TERM", "container not running"),
    Case("kill c KILL", "container not running"),
    Case("kill c 0", "container not running"),
    Case("kill --all c KILL", "", 0),
    Case("exec c true", "cannot exec in a stopped container", 255),
    Case("start c", "cannot start a container that has stopped"),
    Case("pause c", "container not running"),
    Case("resume c", "container not paused"),
    Case("create --bundle BUNDLE c", "container with given ID already exists"),
    Case("delete c", "", 0),
    Case("delete c", NO_SUCH),
)


# A hundred calls: by forks of one process, as the engine's monitor calls it, and not by a hundred interpreters.
WARM = """
import json, os, sys
from runtime import cli
from runtime.linux.interpreter import exec_protected, protected, read_only_copy
if not protected():
    program = f"import sys; sys.path[:] = {sys.path!r}\\n" + sys.argv[1]
    exec_protected(["-I", "-S", "-B", "-c", program], os.environ, read_only_copy())
cli.preload()
for line in sys.stdin:
    file, words = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os.dup2(os.open("/dev/null", os.O_RDWR), 0)
        os.dup2(os.open("/dev/null", os.O_RDWR), 1)
        os.closerange(3, 100)
        os._exit(cli.main(words))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Judge:
    """One of the two, with a root of its own, and the bundle of the fixture."""

    def __init__(self, name: str, runtime: Runtime) -> None:
        self.name = name
        self.runtime = runtime
        if name == RUNC and not shutil.which(RUNC):
            pytest.skip("runc is not installed")
        self.warm = None if name == RUNC else subprocess.Popen([sys.executable, "-c", WARM, WARM], text=True,
                                                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                               cwd=REPOSITORY)
        self.root = runtime.root if name == OURS else runtime.directory / "runc"
        self.log = runtime.directory / "log"
        self.empty = runtime.directory / "empty"
        self.empty.mkdir()
        self.plain = (runtime.bundle / "config.json").read_text()

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        self.log.unlink(missing_ok=True)
        words = ("--log", str(self.log), "--log-format", "json", "--root", str(self.root), *words)
        stderr = self.runtime.directory / "stderr"  # no pipe: a container would hold it open
        if self.warm:
            assert self.warm.stdin and self.warm.stdout
            self.warm.stdin.write(json.dumps([str(stderr), words]) + "\n")
            self.warm.stdin.flush()
            code = int(self.warm.stdout.readline())
        else:
            with open(stderr, "w") as file:
                code = subprocess.run([str(shutil.which(RUNC)), *words], stdin=subprocess.DEVNULL, cwd=REPOSITORY,
                                      stdout=subprocess.DEVNULL, stderr=file, timeout=60, check=False).returncode
        return subprocess.CompletedProcess(words, code, "", stderr.read_text())

    def close(self) -> None:
        self("delete", "--force", "c")
        if self.warm:
            self.warm.communicate()

    def told(self) -> str:
        """The log's last error, as containerd reads it."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        assert all(line.keys() == {"level", "msg", "time"} for line in lines)
        return next((line["msg"] for line in reversed(lines) if line["level"] == "error"), "")

    def meet(self, case: Case) -> str:
        """What is wrong, if anything is."""
        (self.runtime.bundle / "config.json").write_text(self.plain)
        self.runtime.change(**case.change)
        words = [word.replace("BUNDLE", str(self.runtime.bundle)).replace("EMPTY", str(self.empty))
                 for word in case.command.split()]
        done = self(*words)
        (self.runtime.bundle / "config.json").write_text(self.plain)
        expected = case.differ[0] if self.name == RUNC and any(case.differ) else case.words
        if self.name == RUNC and case.differ[1].startswith("runc"):
            if case.command.startswith("create"):
                self("delete", "--force", "c")
            return ""
        faults = [f"exit code {done.returncode}, not {case.code}"] if done.returncode != case.code else []
        if expected not in done.stderr:
            faults.append(f"{expected!r} is not on standard error")
        if case.code and self.name == OURS and case.command != "exec c test":
            if not case.command.startswith("--") and (expected not in self.told() or not self.told()):
                faults.append(f"{expected!r} is not in the log: {self.told()!r}")
            if done.stderr.count("\n") != 1:
                faults.append("more than one line")
        return f"{case.command} {case.change or ''}: {', '.join(faults)}: {done.stderr!r}" if faults else ""


@pytest.mark.parametrize("name", (OURS, RUNC))
def test_the_words_and_codes_of_errors_are_runcs(runtime: Runtime, name: str) -> None:
    runtime.configure("sleep", "100")
    judge = Judge(name, runtime)
    faults = [judge.meet(case) for case in NOTHING]
    assert judge("run", "--detach", "--bundle", str(runtime.bundle), "c").returncode == 0
    faults += [judge.meet(case) for case in RUNNING]
    deadline = time.monotonic() + 60  # a dying process takes its time where much else is going on
    while judge("kill", "c", "0").returncode == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    faults += [judge.meet(case) for case in STOPPED]
    judge.close()
    assert not list(filter(None, faults)), "\n".join(filter(None, faults))
    assert len((*NOTHING, *RUNNING, *STOPPED)) > 90
    assert not Path(judge.root / "c").exists()
