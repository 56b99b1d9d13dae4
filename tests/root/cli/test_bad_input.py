"""What bad input gets: Docker's words, and its exit code. (Compared with Docker 20.10's daemon and 28.2's command line;
where the daemon's words have changed since, they are those of API 1.47.)
"""

import os
import re
from pathlib import Path

import pytest

from pydocker.cli import main
from pydocker.client import address, containers
from pydocker.client.api import Client
from tests.engine import Engine
from tests.waiting import wait_until

ID = "<id>"


@pytest.fixture(scope="module")
def populated(engine: Engine) -> Engine:
    """One that runs, one that is paused, one that has ended, one that never ran, one with much memory in use."""
    for name, flags in (("run", ()), ("paused", ())):
        engine.ok("run", "-d", "--name", name, *flags, "busybox", "sleep", "1000")
    engine.ok("pause", "paused")
    engine.ok("run", "--name", "dead", "busybox", "true")
    engine.ok("create", "--name", "stopped", "busybox", "true")
    engine.ok("stop", "stopped")  # from the first command on, a container's lock stays
    engine.ok("run", "-d", "--name", "full", "-m", "64m", "--memory-swap", "64m", "busybox", "sh", "-c",
              "head -c 30m /dev/zero | tail -c 30m | sleep 1000")
    wait_until(lambda: resident(engine, "tail") > 20 << 10)
    return engine


def resident(engine: Engine, program: str) -> int:
    """The kilobytes that it has in memory."""
    for line in engine.ok("top", "full", "-o", "pid,comm,rss").splitlines():
        if program in line.split():
            return int(line.split()[-1])
    return 0


DAEMON = "Error response from daemon: "
RUN = ("run", "--network", "none")
NONE = DAEMON + "No such container: nope"


COMMANDS: list[tuple[str, int, str | re.Pattern[str]]] = [
    *[(f"{verb} nope", 1, NONE) for verb in ("stop", "rm", "logs", "wait", "pause", "unpause", "top", "diff",
                                              "commit", "restart", "attach", "port")],
    ("exec nope true", 1, NONE), ("cp nope:/x .", 1, NONE), ("cp . nope:/x", 1, NONE), ("update -m 64m nope", 1, NONE),
    ("rename nope other", 1, f"{NONE}\nError: failed to rename container named nope"),
    ("kill nope", 1, DAEMON + "cannot kill container: nope: No such container: nope"),
    ("inspect nope", 1, "Error: No such object: nope"),
    ("start nope", 1, f"{NONE}\nError: failed to start containers: nope"),
    ("kill stopped", 1, DAEMON + f"cannot kill container: stopped: container {ID} is not running"),
    ("kill -s NOPE run", 1, DAEMON + "cannot kill container: run: invalid signal: NOPE"),
    ("kill -s 99 run", 1, DAEMON + "cannot kill container: run: the linux daemon does not support signal 99"),
    ("pause stopped", 1, DAEMON + f"Container {ID} is not running"),
    ("pause paused", 1, DAEMON + f"Container {ID} is already paused"),
    ("unpause run", 1, DAEMON + f"Container {ID} is not paused"),
    ("rm run", 1, DAEMON + f"You cannot remove a running container {ID}. Stop the container before attempting removal "
                           "or force remove"),
    ("rm paused", 1, DAEMON + f"You cannot remove a paused container {ID}. Unpause and then stop the container before "
                              "attempting removal or force remove"),
    ("exec stopped true", 1, DAEMON + f"container {ID} is not running"),
    ("exec paused true", 1, DAEMON + "Container paused is paused, unpause the container before exec"),
    ("attach dead", 1, "You cannot attach to a stopped container, start it first"),
    ("attach paused", 1, "You cannot attach to a paused container, unpause it first"),
    ("top stopped", 1, DAEMON + f"Container {ID} is not running"),
    ("top run --nope", 1, DAEMON + "ps: error: unknown gnu long option"),
    ("update -m 8m full", 1, re.compile(DAEMON + f"Cannot update container {ID}: .*unable to set memory limit to "
                                                 r"8388608 \(current usage: \d+, peak usage: \d+\)")),
    ("update -m 1m full", 1, re.compile(".*Minimum memory limit allowed is 6MB")),
    ("cp run:/nope .", 1, DAEMON + "Could not find the file /nope in container run"),
    ("cp run:/etc/passwd nope/x/y", 1, re.compile(".*no such file or directory|.*does not exist")),
    ("rename run stopped", 1, re.compile(DAEMON + '.*The container name "/stopped" is already in use by container')),
    ("rename run a/b", 1, re.compile(".*only \\[a-zA-Z0-9\\]\\[a-zA-Z0-9_.-\\] are allowed")),
    ("export -o /nope/x run", 1, "failed to export container: invalid output path: stat /nope: no such file or "
                                 "directory"),
    ("exec  true", 1, "invalid container name or ID: value is empty"),
    ("ps --filter exited=x", 1, DAEMON + 'strconv.Atoi: parsing "x": invalid syntax'),
    ("ps --filter health=x", 1, DAEMON + "unrecognized filter value for health: x"),
    ("ps --filter is-task=x", 1, DAEMON + "invalid filter 'is-task=[x]'"),
    ("ps --filter status=nope", 1, DAEMON + "invalid filter 'status=nope'"),
    ("container prune -f --filter until=x", 1, DAEMON + 'failed to parse value as time or duration: "x"'),
]

FLAGS = [
    (("--rm", "--restart", "always"), 125, "conflicting options: cannot specify both --restart and --rm"),
    (("-d", "-a", "stdout"), 1, "conflicting options: cannot specify both --attach and --detach"),
    (("-m", "3m"), 125, DAEMON + "Minimum memory limit allowed is 6MB"),
    (("-m", "x"), 125, "invalid argument \"x\" for \"-m, --memory\" flag: invalid size: 'x'"),
    (("-m", "64m", "--memory-swap", "32m"), 125, DAEMON + "Minimum memoryswap limit should be larger than memory limit,"
                                                          " see usage"),
    (("--shm-size", "x"), 125, "invalid size: 'x'"),
    (("--memory-swappiness", "101"), 125, "invalid value: 101. Valid memory swappiness range is 0-100"),
    (("--stop-signal", "NOPE"), 125, DAEMON + "invalid signal: NOPE"),
    (("-u", "nobodyhere"), 125, "unable to find user nobodyhere: no matching entries in passwd file"),
    (("--group-add", "nope"), 125, "unable to find group nope: no matching entries in group file"),
    (("--mount", "type=bind,source=/nope,target=/x"), 125, "bind source path does not exist: /nope"),
    (("--device", "/nope"), 127, "error gathering device information while adding custom device \"/nope\": no such "
                                 "file or directory"),
    (("--label-file", "labels"), 125, "invalid label file (labels): line 2: no variable name on line '=c'"),
    (("-l", "=x"), 125, "invalid argument \"=x\" for \"-l, --label\" flag: invalid label '=x': empty name"),
    (("--security-opt", "nope"), 125, 'Invalid --security-opt: "nope"'),
    (("--security-opt", "nope=x"), 125, DAEMON + 'invalid --security-opt 2: "nope=x"'),
    (("--sysctl", "kernel.hostname=x"), 125, "invalid argument \"kernel.hostname=x\" for \"--sysctl\" flag: sysctl "
                                             "'kernel.hostname=x' is not allowed"),
    (("--pid", "x"), 125, "--pid: invalid PID mode"), (("--uts", "x"), 125, "--uts: invalid UTS mode"),
    (("--userns", "x"), 125, "--userns: invalid USER mode"),
    (("--cgroupns", "x"), 125, "--cgroupns: invalid CGROUP mode"),
    (("--log-driver", "nope"), 125, DAEMON + 'error looking up logging plugin nope: plugin "nope" not found'),
    (("--log-opt", "max-size=x"), 125, DAEMON + "failed to initialize logging driver: invalid size: 'x'"),
    (("--cidfile", "/nope/x"), 127, "failed to create the container ID file: open /nope/x: no such file or directory"),
    (("-v", "/:/"), 125, DAEMON + "invalid volume specification: '/:/': invalid mount config for type \"bind\": "
                                  "invalid specification: destination can't be '/'"),
    (("-v", "/etc:/x:nocopy"), 125, DAEMON + "invalid volume specification: '/etc:/x:nocopy': invalid mount config for "
                                             'type "bind": field VolumeOptions must not be specified'),
    (("--tmpfs", ""), 125, DAEMON + "invalid mount path: '' mount path must be absolute"),
    (("--tmpfs", "/x:nope"), 125, DAEMON + 'invalid tmpfs option ["nope"]'),
    (("--tmpfs", "/x:a=b=c"), 125, DAEMON + 'invalid tmpfs option ["a" "b=c"]'),
    (("--isolation", "hyperv"), 125, DAEMON + "invalid isolation: \"hyperv\" - linux only supports 'default'"),
    (("--device", "/etc"), 125, DAEMON + 'error gathering device information while adding custom device "/etc": not a '
                                         "device node"),
    (("--device", "v.com/class=name"), 125, DAEMON + 'could not select device driver "cdi" with capabilities: []: '
                                                     "pydocker does not support the Container Device Interface"),
    (("--name", "run"), 125, DAEMON + 'Conflict. The container name "/run" is already in use by container'),
]


def say(engine: Engine, directory: Path, *argv: str) -> tuple[int, str]:
    """The command line in this process, against the engine: exit code and standard error."""
    null = os.open(os.devnull, os.O_RDWR)
    with open(directory / "err", "w+b") as err:
        code = main(argv, {**engine.environment, "DOCKER_HOST": engine.host}, stdin=null, stdout=null,
                    stderr=err.fileno(), directory=str(directory))
        err.seek(0)
        said = err.read().decode()
    os.close(null)
    return code, re.sub("[0-9a-f]{64}", ID, said).strip()


def test_commands(populated: Engine, tmp_path: Path) -> None:
    wrong = []
    for command, code, words in COMMANDS:
        got, text = say(populated, tmp_path, *command.split(" "))
        if got != code or not (words.match(text) if isinstance(words, re.Pattern) else text == words):
            wrong.append(f"{command}: exit code {got}: {text}")
    assert not wrong, "\n".join(wrong)


def test_run(populated: Engine, tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("a=b\n=c\n")
    wrong = []
    for flags, code, words in FLAGS:
        got, text = say(populated, tmp_path, *RUN, *flags, "busybox", "true")
        if got != code or words not in text:
            wrong.append(f"{flags}: exit code {got}: {text}")
    assert not wrong, "\n".join(wrong)


def test_what_says_nothing_is_taken(engine: Engine) -> None:
    """The only isolation that Linux has, and a mount option that means none."""
    flags = ("--rm", "--isolation", "default", "--tmpfs", "/x:defaults")
    mounts = engine.ok(*RUN, *flags, "busybox", "cat", "/proc/mounts")
    assert "tmpfs /x tmpfs rw,nosuid,nodev,noexec,relatime" in mounts


def test_an_ambiguous_prefix(engine: Engine, tmp_path: Path) -> None:
    """Of seventeen ids, two begin alike."""
    client = Client(lambda: address.connect(address.parse(engine.host)))
    ids = [containers.create(client, {"Image": "busybox"}, None, None).id for _ in range(17)]
    first = next(id[0] for id in ids if sum(other[0] == id[0] for other in ids) > 1)
    code, said = say(engine, tmp_path, "inspect", "--type", "container", first)
    assert code == 1
    assert f"Multiple IDs found with provided prefix: {first}" in said
    engine.ok("rm", *ids)
