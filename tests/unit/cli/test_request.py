"""From flags to the create request: what is sent, and above all what is not."""

import json

import pytest

from tests.unit.cli.conftest import CommandLine
from tests.unit.client.conftest import answer

CREATED = answer("201 Created", b'{"Id":"0123456789ab","Warnings":["mind this"]}')


def request(pydocker: CommandLine, *argv: str) -> dict[str, object]:
    """The body of the create request that `pydocker create ARGV` sends."""
    pydocker.server.answers = [CREATED]
    said = pydocker("create", *argv)
    assert (said.code, said.out, said.err) == (0, "0123456789ab\n", "WARNING: mind this\n")
    body: dict[str, object] = json.loads(pydocker.server.requests[-1].partition(b"\r\n\r\n")[2])
    return body


PLAIN = {"Image": "x", "AttachStdin": False, "AttachStdout": True, "AttachStderr": True, "OpenStdin": False,
         "StdinOnce": False}


@pytest.mark.parametrize(("line", "more"), [
    ("x", {}), ("x -l a", {"Cmd": ["-l", "a"]}), ("-t x", {"Tty": True}), ("--rm=false x", {}),
    ("-i x", {"OpenStdin": True, "AttachStdin": True, "StdinOnce": True}),
    ("-a stdout x", {"AttachStderr": False}), ("-a STDIN x", {"AttachStdin": True, "AttachStdout": False,
                                                              "AttachStderr": False}),
    ("-h web -u 1:2 -w /x x", {"Hostname": "web", "User": "1:2", "WorkingDir": "/x"}),
    ("-e A=b -e A=c x", {"Env": ["A=b", "A=c"]}), ("-l a -l b=c=d x", {"Labels": {"a": "", "b": "c=d"}}),
    ("--entrypoint= x", {"Entrypoint": [""]}), ("--entrypoint sh x -c y", {"Entrypoint": ["sh"], "Cmd": ["-c", "y"]}),
    ("--stop-timeout 0 x", {"StopTimeout": 0}),
    ("-m 64m x", {"HostConfig": {"Memory": 64 << 20}}), ("-m 1.5g x", {"HostConfig": {"Memory": 3 << 29}}),
    ("--memory-swap -1 x", {"HostConfig": {"MemorySwap": -1}}),
    ("--cpus 1.5 x", {"HostConfig": {"NanoCpus": 15 * 10**8}}),
    ("--cpus .5 x", {"HostConfig": {"NanoCpus": 5 * 10**8}}),
    ("--network none --rm x", {"HostConfig": {"NetworkMode": "none", "AutoRemove": True}}),
    ("--net host x", {"HostConfig": {"NetworkMode": "host"}}),
    ("--cap-add A --cap-add B --cap-drop ALL x", {"HostConfig": {"CapAdd": ["A", "B"], "CapDrop": ["ALL"]}}),
    ("--ulimit nofile=1:2 x", {"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}]}}),
    ("--ulimit core=-1 x", {"HostConfig": {"Ulimits": [{"Name": "core", "Soft": -1, "Hard": -1}]}}),
    ("--sysctl a.b=1 --log-opt max-size=1m x",
     {"HostConfig": {"Sysctls": {"a.b": "1"}, "LogConfig": {"Config": {"max-size": "1m"}}}}),
    ("--oom-score-adj 0 --pids-limit -1 --read-only x",
     {"HostConfig": {"OomScoreAdj": 0, "PidsLimit": -1, "ReadonlyRootfs": True}}),
])
def test_what_is_sent(pydocker: CommandLine, line: str, more: dict[str, object]) -> None:
    assert request(pydocker, *line.split()) == PLAIN | more


def test_name_and_platform_are_in_the_query(pydocker: CommandLine) -> None:
    request(pydocker, "--name", "we b", "--platform", "linux/arm64", "x")
    assert pydocker.server.requests[-1].split()[1] == (
        b"/v1.47/containers/create?name=we%20b&platform=linux%2Farm64")


def test_files_of_variables_and_labels(pydocker: CommandLine) -> None:
    pydocker.environment["FROM_CALLER"] = "1"
    (pydocker.directory / "env").write_bytes(b"\xef\xbb\xbf# one\n\n  A=b c \r\nFROM_CALLER\nNOT_THERE\nQ=\"q\"\n")
    (pydocker.directory / "labels").write_text("a=b\nalone\n")
    body = request(pydocker, "--env-file", "env", "-e", "A=d", "-e", "FROM_CALLER", "--label-file", "labels",
                   "-l", "a=c", "x")
    assert body["Env"] == ["A=b c ", "FROM_CALLER=1", 'Q="q"', "A=d", "FROM_CALLER=1"]
    assert body["Labels"] == {"a": "c", "alone": ""}


@pytest.mark.parametrize(("content", "reason"), [
    (b"A B=c\n", "line 1: variable 'A B' contains whitespaces"),
    (b"a=b\n=c\n", "line 2: no variable name on line '=c'"),
    (b"\n\xff=x\n", r"line 2: invalid utf8 bytes: b'\xff=x'"),
])
def test_a_bad_line_is_named(pydocker: CommandLine, content: bytes, reason: str) -> None:
    (pydocker.directory / "file").write_bytes(content)
    for flag, kind in (("--env-file", "env"), ("--label-file", "label")):
        said = pydocker("run", flag, "file", "x")
        assert said.code == 125
        assert said.err.startswith(f"pydocker: invalid {kind} file (file): {reason}\n\nRun 'pydocker run --help'")


def test_a_missing_file(pydocker: CommandLine) -> None:
    said = pydocker("run", "--env-file", "nope", "x")
    assert (said.code, said.err.split("\n")[0]) == (125, "pydocker: open nope: no such file or directory")


def test_the_cidfile(pydocker: CommandLine) -> None:
    cidfile = pydocker.directory / "cid"
    request(pydocker, "--cidfile", "cid", "x")
    assert cidfile.read_text() == "0123456789ab"
    said = pydocker("run", "--cidfile", "cid", "x")
    assert said.code == 125
    assert said.err.startswith(
        "pydocker: container ID file found, make sure the other container isn't running or delete cid\n")
    cidfile.unlink()
    pydocker.server.answers = [answer("400 Bad Request", b'{"message":"no"}')]
    assert pydocker("create", "--cidfile", "cid", "x").code == 1
    assert not cidfile.exists()


UPPER = "invalid reference format: repository name (library/Busybox) must be lowercase"


@pytest.mark.parametrize(("line", "code", "err"), [
    ("run Busybox", 125, f"pydocker: {UPPER}"), ("create Busybox", 1, UPPER),
    ("run --pull x b", 125, "pydocker: invalid pull option: 'x': must be one of \"always\", \"missing\" or \"never\""),
    ("run -d -a stdout b", 1, "conflicting options: cannot specify both --attach and --detach"),
    ("run -it b", 1, "the input device is not a TTY"),
])
def test_conflicts_before_the_server_is_asked(pydocker: CommandLine, line: str, code: int, err: str) -> None:
    said = pydocker(*line.split())
    assert (said.code, said.err.split("\n")[0]) == (code, err)
    assert pydocker.server.requests == []
