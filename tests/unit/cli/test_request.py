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
    ("--memory-swap 9223372036854775807 x", {"HostConfig": {"MemorySwap": 2**63 - 1}}),
    ("--cpus 1.5 x", {"HostConfig": {"NanoCpus": 15 * 10**8}}),
    ("--cpus .5 x", {"HostConfig": {"NanoCpus": 5 * 10**8}}),
    ("--network none --rm x", {"HostConfig": {"NetworkMode": "none", "AutoRemove": True}}),
    ("--net host x", {"HostConfig": {"NetworkMode": "host"}}),
    ("--cap-add A --cap-add B --cap-drop ALL x", {"HostConfig": {"CapAdd": ["A", "B"], "CapDrop": ["ALL"]}}),
    ("--ulimit nofile=1:2 x", {"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}]}}),
    ("--ulimit core=-1 x", {"HostConfig": {"Ulimits": [{"Name": "core", "Soft": -1, "Hard": -1}]}}),
    ("--sysctl net.b=1 --log-opt max-size=1m x",
     {"HostConfig": {"Sysctls": {"net.b": "1"}, "LogConfig": {"Config": {"max-size": "1m"}}}}),
    ("--volumes-from a:ro --volumes-from b --volume-driver c -v de:/e -v /f x", {
        "Volumes": {"/f": {}},
        "HostConfig": {"VolumesFrom": ["a:ro", "b"], "VolumeDriver": "c", "Binds": ["de:/e"]}}),
    ("--mount type=volume,src=a,dst=/b,ro,volume-nocopy,volume-subpath=c,volume-driver=d,volume-opt=e=f=g,"
     "volume-label=h=i,consistency=cached x", {"HostConfig": {"Mounts": [{
         "Type": "volume", "Source": "a", "Target": "/b", "ReadOnly": True, "Consistency": "cached", "VolumeOptions": {
             "NoCopy": True, "Subpath": "c", "Labels": {"h": "i"},
             "DriverConfig": {"Name": "d", "Options": {"e": "f=g"}}}}]}}),
    ("--mount type=image,src=a,dst=/b,image-subpath=c --mount type=bind,src=/a,dst=/c,idmap x", {"HostConfig": {
        "Mounts": [{"Type": "image", "Source": "a", "Target": "/b", "ImageOptions": {"Subpath": "c"}},
                   {"Type": "bind", "Source": "/a", "Target": "/c", "BindOptions": {"Idmap": True}}]}}),
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


def test_a_log_that_is_not_kept_has_no_options(pydocker: CommandLine) -> None:
    said = pydocker("run", "--log-driver", "none", "--log-opt", "max-size=1m", "x")
    assert (said.code, said.err.split("\n")[0]) == (125, "pydocker: invalid logging opts for driver none")
    assert pydocker.server.requests == []


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


@pytest.mark.parametrize(("text", "more"), [
    ("all", {"Count": -1}), ("2", {"Count": 2}), ("count=1,driver=x", {"Count": 1, "Driver": "x"}),
    ('"device=0,1",capabilities=compute', {"DeviceIDs": ["0", "1"], "Capabilities": [["compute", "gpu"]]}),
    ("driver=d,\"options=a=b,c=d\"", {"Count": 1, "Driver": "d", "Options": {"a": "b", "c": "d"}}),
])
def test_gpus_are_asked_for_as_docker_does(pydocker: CommandLine, text: str, more: dict[str, object]) -> None:
    plain = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}
    assert request(pydocker, "--gpus", text, "x") == PLAIN | {
        "Image": "x", "HostConfig": {"DeviceRequests": [plain | more]}}


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


@pytest.mark.parametrize(("flag", "text", "err"), [
    ("-v", "", "invalid empty volume spec"), ("-v", ":/x", "invalid spec: :/x: empty section between colons"),
    ("-v", "/x:", "invalid spec: /x:: empty section between colons"),
    ("-v", "/etc:/x:", "invalid spec: /etc:/x:: empty section between colons"),
    ("-v", "/a:/b:/c:/d", "invalid spec: /a:/b:/c:/d: too many colons"),
    ("-v", "one:/a:ro:rw", "invalid spec: one:/a:ro:rw: too many colons"),
    ("--device", "", "bad format for path: "), ("--device", ":", "bad format for path: :"),
    ("--device", "/dev/null:/dev/x:rw:m", "bad format for path: /dev/null:/dev/x:rw:m"),
    ("--device", "null", "null is not an absolute path"), ("--device", "/dev/null:x", "x is not an absolute path"),
    ("--device", "/dev/null:/dev/x:", "bad mode specified: "),
    ("--device", "/dev/a:/dev/x:rr", "bad mode specified: rr"),
    ("--mac-address", "nonsense", "nonsense is not a valid mac address"),
    ("--mac-address", "02:00:00:00:00", "02:00:00:00:00 is not a valid mac address"),
    ("--health-interval", "-1s", "--health-interval cannot be negative"),
    ("--env-file", "", "open : no such file or directory"),
    ("--platform", "nonsense",
     'error parsing specified platform: "nonsense": unknown operating system or architecture: invalid argument'),
])
def test_dockers_words_for_what_is_wrong_behind_a_flag(pydocker: CommandLine, flag: str, text: str, err: str) -> None:
    said = pydocker("run", flag, text, "x")
    assert (said.code, said.err) == (125, f"pydocker: {err}\n\nRun 'pydocker run --help' for more information\n")
    assert pydocker.server.requests == []


@pytest.mark.parametrize(("flag", "text", "err"), [
    ("--device-read-bps", "/dev/null:x", "invalid rate for device: /dev/null:x. The correct format is "
     "<device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"),
    ("--device-write-iops", "/dev/null:-1", "invalid rate for device: /dev/null:-1. The correct format is "
     "<device-path>:<number>. Number must be a positive integer"),
    ("--blkio-weight-device", "/dev/null:5", "invalid weight for device: /dev/null:5"),
    ("--ulimit", "nofile=1:2:3", "too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`"),
    ("--health-timeout", "-x", 'time: invalid duration "-x"'), ("--mount", "", "EOF"),
    ("--blkio-weight", "x", 'strconv.ParseUint: parsing "x": invalid syntax'),
    ("--blkio-weight", "65536", 'strconv.ParseUint: parsing "65536": value out of range'),
    ("--shm-size", "9223372036854775808", "invalid size: '9223372036854775808'"),
    ("--shm-size", f"{'9' * 400}.5", f"invalid size: '{'9' * 400}.5'"),
    ("--health-interval", f"{'9' * 400}h", f'time: invalid duration "{"9" * 400}h"'),
    ("--shm-size", "8192p", "invalid size: '8192p'"), ("--memory-swap", "1e3", "invalid size: '1e3'"),
    ("--health-timeout", "2562048h", 'time: invalid duration "2562048h"'),
])
def test_dockers_words_for_what_no_flag_takes(pydocker: CommandLine, flag: str, text: str, err: str) -> None:
    said = pydocker("run", flag, text, "x")
    assert (said.code, said.err.split("\n")[0]) == (125, f'invalid argument "{text}" for "{flag}" flag: {err}')
    assert pydocker.server.requests == []


@pytest.mark.parametrize(("flags", "sent"), [
    ("-v a:/b", {"Volumes": {"a:/b": {}}}),  # Windows' path, as Docker's client has it: the server refuses it
    ("-v :", {"Volumes": {":": {}}}), ("-v ./a:/b:foo", {"HostConfig": {"Binds": ["HERE/a:/b:foo"]}}),
    ("-v a:/b:/c:ro", {"HostConfig": {"Binds": ["a:/b:/c:ro"]}}),
    ("--device relative:/dev/x:rw", {"HostConfig": {"Devices": [
        {"PathOnHost": "relative", "PathInContainer": "/dev/x", "CgroupPermissions": "rw"}]}}),
    ("--device /dev/a:m --device v.com/class=name", {"HostConfig": {
        "Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/a", "CgroupPermissions": "m"}],
        "DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["v.com/class=name"]}]}}),
    ("--tmpfs=", {"HostConfig": {"Tmpfs": {"": ""}}}), ("--isolation hyperv", {"HostConfig": {"Isolation": "hyperv"}}),
])
def test_what_is_left_to_the_server(pydocker: CommandLine, flags: str, sent: dict[str, object]) -> None:
    text = json.dumps(sent).replace("HERE", str(pydocker.directory))
    assert request(pydocker, *flags.split(), "x") == PLAIN | {"Image": "x"} | json.loads(text)


@pytest.mark.parametrize(("argv", "code"), [
    (("create", "x", "\udcff"), 1), (("run", "-e", "A=\udcff", "x"), 125), (("ps", "--filter", "name=\udcff"), 1),
    (("login", "-u", "me", "--password-stdin", "r.test"), 1),
])
def test_bytes_that_are_no_text_are_one_line(pydocker: CommandLine, argv: tuple[str, ...], code: int) -> None:
    said = pydocker(*argv, stdin=b"secret\xff\n")
    assert said.code == code
    assert "a value is not valid UTF-8, and cannot be sent to the server" in said.err.splitlines()[0]
    assert "secret" not in said.err
    assert pydocker.server.requests == []


def test_a_mount_in_two_lines(pydocker: CommandLine) -> None:
    said = pydocker("create", "--mount", "type=bind,source=/a\n,target=/b", "x")
    assert said.code == 125
    assert 'for "--mount" flag: parse error: new-line character seen in unquoted field' in said.err


@pytest.mark.parametrize(("line", "code", "words"), [
    ("stop -t x it", 125,
     'invalid argument "x" for "-t, --timeout" flag: strconv.ParseInt: parsing "x": invalid syntax'),
    ("events --since x", 1, 'failed to parse value as time or duration: "x"'),
    ("cp", 1, "\n\tpydocker cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH\n"),
])
def test_dockers_words_of_other_commands(pydocker: CommandLine, line: str, code: int, words: str) -> None:
    said = pydocker(*line.split())
    assert (said.code, said.err.startswith(words) or (line == "cp" and words in said.err)) == (code, True), said.err
