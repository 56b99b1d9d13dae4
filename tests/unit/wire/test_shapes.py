"""What the API shows of containers and images: Docker's fields, Docker's words."""

import json
from pathlib import Path

import msgspec
import pytest

from pydocker.model import digest
from pydocker.model.container import (
    AskedMount,
    Config,
    Container,
    ContainerId,
    ExecConfig,
    ExecId,
    ExecSession,
    HostConfig,
    Record,
    State,
    Status,
)
from pydocker.model.image import Descriptor, Image, ImageConfig, ImageDefaults, RootFS
from pydocker.model.network import EndpointConfig
from pydocker.paths import Paths
from pydocker.wire import containers, images
from pydocker.wire.info import Facts, Host, info, version

PATHS = Paths(Path("/data"), Path("/run"))
LOWER, UPPER = digest.of(b"lower"), digest.of(b"upper")
IMAGE = digest.of(b"image")
ID = ContainerId("ab" * 32)
NOW = 1_700_000_000.0

RECORD = Record(
    id=ID, name="web", created=NOW - 3600, image=IMAGE, image_name="busybox", platform="linux/amd64",
    argv=("sh", "-c", "echo a b"), config=Config(image="busybox", labels={"k": "v"}, cmd=("sh", "-c", "echo a b")),
    host=HostConfig(memory=5), layers=(LOWER, UPPER))


def builtins(value: object) -> dict[str, object]:
    """As a client decodes it."""
    return dict(json.loads(msgspec.json.encode(value)))


@pytest.mark.parametrize(("state", "words"), [
    (State(), "Created"),
    (State(status=Status.RUNNING, started=NOW - 180), "Up 3 minutes"),
    (State(status=Status.RUNNING, started=NOW), "Up Less than a second"),
    (State(status=Status.RUNNING, started=NOW + 5), "Up Less than a second"),  # the clock was set back
    (State(status=Status.EXITED, exit_code=137, started=NOW - 9, finished=NOW - 7200), "Exited (137) 2 hours ago"),
    (State(status=Status.REMOVING), "Removal In Progress"),
    (State(status=Status.DEAD), "Dead"),
])
def test_states_in_words(state: State, words: str) -> None:
    assert containers.phrase(state, NOW) == words


@pytest.mark.parametrize(("argv", "text"), [
    (("true",), "true"), (("sh", "-c", "echo a b"), "sh -c 'echo a b'"), (("a b", "c"), "a b c"), ((), "")])
def test_commands_as_ps_shows_them(argv: tuple[str, ...], text: str) -> None:
    assert containers.command(argv) == text


def test_a_line_of_ps() -> None:
    record = msgspec.structs.replace(RECORD, networks={"front": EndpointConfig()})
    shown = builtins(containers.summary(Container(record, State()), NOW))
    assert shown | {"Id": ID, "Names": ["/web"], "Image": "busybox", "ImageID": IMAGE, "Created": int(NOW - 3600),
                    "Command": "sh -c 'echo a b'", "State": "created", "Status": "Created", "Labels": {"k": "v"},
                    "HostConfig": {"NetworkMode": "default"}} == shown
    assert list(shown["NetworkSettings"]["Networks"]) == ["front"]  # type: ignore[index]


def test_a_line_of_ps_has_the_mounts() -> None:
    host = HostConfig(binds=("/srv:/data:ro",), tmpfs={"/run": ""}, mounts=(AskedMount("tmpfs", target="/x"),))
    shown = builtins(containers.summary(Container(msgspec.structs.replace(RECORD, host=host), State()), NOW))
    assert shown["Mounts"] == [
        {"Type": "bind", "Source": "/srv", "Destination": "/data", "Mode": "ro", "RW": False,
         "Propagation": "rprivate"},
        {"Type": "tmpfs", "Source": "", "Destination": "/x", "Mode": "", "RW": True, "Propagation": ""}]


def test_inspect() -> None:
    state = State(status=Status.RUNNING, pid=7, started=NOW)
    shown = builtins(containers.inspect(Container(RECORD, state), PATHS))
    assert (shown["Path"], shown["Args"], shown["Name"], shown["Image"]) == ("sh", ["-c", "echo a b"], "/web", IMAGE)
    assert shown["State"] == {
        "Status": "running", "Running": True, "Paused": False, "Restarting": False, "OOMKilled": False, "Dead": False,
        "Pid": 7, "ExitCode": 0, "Error": "", "StartedAt": "2023-11-14T22:13:20.000000000Z",
        "FinishedAt": "0001-01-01T00:00:00Z"}
    assert shown["LogPath"] == f"/data/containers/{ID}/{ID}-json.log"
    lower, upper = (digest.encoded(layer) for layer in (LOWER, UPPER))
    assert shown["GraphDriver"]["Data"]["LowerDir"] == (  # type: ignore[index]
        f"/data/layers/{upper}/diff:/data/layers/{lower}/diff")


def test_every_field_of_a_create_request_comes_back() -> None:
    body = json.loads(Path(__file__).parent.joinpath("bodies/create-docker-28.2.json").read_text())
    shown = builtins(containers.inspect(Container(RECORD, State()), PATHS))
    assert set(body["HostConfig"]) - set(shown["HostConfig"]) == set()  # type: ignore[call-overload]
    assert set(body) - {"HostConfig", "NetworkingConfig"} - set(shown["Config"]) == set()  # type: ignore[call-overload]
    assert shown["HostConfig"]["Memory"] == 5  # type: ignore[index]


def test_an_exec_session() -> None:
    session = ExecSession(id=ExecId("e"), container=ID, running=True, pid=3,
                          config=ExecConfig(cmd=("ls", "-l"), tty=True, attach_stdout=True))
    shown = builtins(containers.inspect_exec(session))
    assert (shown["ExitCode"], shown["Running"], shown["OpenStdout"], shown["OpenStdin"]) == (None, True, True, False)
    assert shown["ProcessConfig"] == {"tty": True, "entrypoint": "ls", "arguments": ["-l"], "privileged": False,
                                      "user": ""}


def image(*names: str) -> Image:
    config = ImageConfig(architecture="amd64", os="linux", rootfs=RootFS("layers", (LOWER, UPPER)), author="me",
                         config=ImageDefaults(cmd=("sh",), stop_signal="SIGINT"), created="2023-11-14T22:13:20Z")
    return Image(id=IMAGE, manifest=Descriptor(media_type="", digest=IMAGE, size=1), config=config,
                 layers=(LOWER, UPPER), size=9, names=names)


def test_images() -> None:
    line = builtins(images.summary(image("busybox:latest")))
    assert (line["RepoTags"], line["Created"], line["Size"]) == (["busybox:latest"], 1_700_000_000, 9)
    assert builtins(images.summary(image()))["RepoTags"] == []
    assert builtins(images.summary(image(), placeholders=True))["RepoTags"] == ["<none>:<none>"]
    shown = builtins(images.inspect(image("busybox:latest"), PATHS, {}))
    assert (shown["Os"], shown["Author"], shown["RootFS"]["Layers"]) == ("linux", "me", [LOWER, UPPER])  # type: ignore[index]
    assert shown["Config"]["StopSignal"] == "SIGINT"  # type: ignore[index]


def test_an_image_without_layers_can_be_shown() -> None:
    bare = msgspec.structs.replace(image(), layers=())
    assert builtins(images.inspect(bare, PATHS, {}))["GraphDriver"]["Data"] == {"UpperDir": ""}  # type: ignore[index]


def test_progress_lines() -> None:
    assert json.loads(images.progress("Downloading", "abc", 1, 2)) == {
        "status": "Downloading", "id": "abc", "progressDetail": {"current": 1, "total": 2}}
    assert json.loads(images.progress("Digest: x")) == {"status": "Digest: x"}
    assert json.loads(images.failed("it broke")) == {"errorDetail": {"message": "it broke"}, "error": "it broke"}


def test_version_and_info() -> None:
    host = Host(name="vm", kernel="6.1", machine="aarch64", system="Debian", system_version="12", cpus=2, memory=10,
                cgroup_version=1, controllers=frozenset({"memory"}))
    facts = Facts(id="id", version="1", python="CPython 3.11", root="/data", running=1, stopped=2, images=3,
                  insecure_registries=("10.0.0.1:5000",))
    assert builtins(version(host, facts))["Arch"] == "arm64"
    shown = builtins(info(host, facts))
    assert (shown["Containers"], shown["MemoryLimit"], shown["PidsLimit"]) == (3, True, False)
    assert shown["RegistryConfig"]["IndexConfigs"]["10.0.0.1:5000"]["Secure"] is False  # type: ignore[index]
