"""The real docker clients, and docker-py, against the server: what they send is understood, what they get they show."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from urllib.parse import quote

import docker as docker_py
import pytest

from tests.unit.api.conftest import Running

Docker = Callable[..., SimpleNamespace]


def test_version_and_info(docker: Docker) -> None:
    assert "API version:      1.47 (minimum version 1.24)" in docker("version").out
    assert "Server Version: 0" in docker("info").out


def test_run_in_the_foreground(docker: Docker) -> None:
    assert vars(docker("run", "--rm", "busybox", "echo", "hello", "there")) == {
        "code": 0, "out": "hello there\n", "err": ""}
    assert docker("run", "busybox", "fail", "7").code == 7
    assert docker("ps", "-aq").out.count("\n") == 1  # the first was removed


def test_run_with_input(docker: Docker) -> None:
    assert docker("run", "-i", "--rm", "busybox", "cat", input="from standard input").out == "from standard input"


def test_a_program_that_is_not_there(docker: Docker) -> None:
    result = docker("run", "busybox", "nosuch")
    assert result.code == 127
    assert 'exec: "nosuch": executable file not found in $PATH' in result.err


def test_a_missing_image_is_pulled_and_run(docker: Docker) -> None:
    result = docker("run", "alpine", "echo", "pulled")
    assert (result.code, result.out) == (0, "pulled\n")
    assert "Unable to find image 'alpine:latest' locally" in result.err
    assert "Status: Downloaded newer image for alpine:latest" in result.err


def test_the_life_of_a_detached_one(docker: Docker) -> None:
    id = docker("run", "-d", "--name", "web", "busybox", "sleep", "a b").out.strip()
    assert len(id) == 64
    shown = docker("ps", "--no-trunc", "--format", "{{.ID}}|{{.Names}}|{{.Image}}|{{.Command}}|{{.State}}").out
    assert shown == f"{id}|web|busybox|\"sleep 'a b'\"|running\n"
    assert "Up " in docker("ps").out
    assert docker("exec", "web", "echo", "inside").out == "inside\n"
    assert docker("exec", "web", "fail", "9").code == 9
    missing = docker("exec", "web", "nosuch")
    assert (missing.code, "executable file not found" in missing.out) == (127, True)
    assert docker("logs", "web").out == "a b\n"
    assert docker("inspect", "-f", "{{.State.Status}} {{.Name}} {{.HostConfig.NetworkMode}}", "web").out in (
        "running /web default\n", "running /web none\n")
    assert docker("rename", "web", "shop").code == 0
    assert docker("stop", "-t", "3", "shop").out == "shop\n"
    assert docker("stop", "shop").code == 0  # 304 is no error
    assert docker("wait", "shop").out == "143\n"
    assert "Exited (143) " in docker("ps", "-a").out
    assert docker("start", "shop").code == 0
    assert "You cannot remove a running container" in docker("rm", "shop").err
    assert docker("kill", "-s", "INT", "shop").code == 0
    assert docker("rm", "-f", "shop").out == "shop\n"
    assert docker("ps", "-aq").out == ""


def test_filters(docker: Docker) -> None:
    docker("run", "-d", "--name", "a", "-l", "x=1", "busybox", "sleep")
    docker("run", "--name", "b", "busybox", "fail", "3")

    def names(*argv: str) -> set[str]:
        result = docker("ps", "--format", "{{.Names}}", *argv)
        assert result.code == 0, result.err
        return set(result.out.split())

    assert names() == {"a"}
    assert names("-a") == {"a", "b"}
    assert names("-a", "--filter", "status=exited") == {"b"}
    assert names("--filter", "status=exited") == {"b"}
    assert names("-a", "--filter", "exited=3") == {"b"}
    assert names("-a", "--filter", "label=x=1") == {"a"}
    assert names("-a", "--filter", "label=x", "--filter", "status=exited") == set()
    assert names("-a", "--filter", "name=^a$") == {"a"}
    assert names("-a", "--filter", "ancestor=busybox") == {"a", "b"}
    assert names("-a", "--filter", "ancestor=nothing") == set()
    assert names("-a", "--filter", "since=a") == {"b"}
    assert names("-n", "1") == {"b"}
    assert "invalid filter" in docker("ps", "--filter", "colour=red").err
    assert "No such container: c" in docker("ps", "--filter", "before=c").err


def test_images(docker: Docker) -> None:
    assert docker("images", "--format", "{{.Repository}}:{{.Tag}} {{.Size}}").out == "busybox:latest 4MB\n"
    assert docker("tag", "busybox", "local/other:1").code == 0
    inspected = json.loads(docker("image", "inspect", "busybox").out)[0]
    assert (inspected["Os"], inspected["Config"]["Cmd"]) == ("linux", ["sh"])
    assert "Untagged: busybox:latest" in docker("rmi", "busybox").out
    assert "No such image: busybox" in docker("rmi", "busybox").err
    assert "pull access denied for secret" in docker("pull", "secret").err
    assert "it broke" in docker("pull", "broken").err
    assert "ZeroDivisionError" in docker("pull", "bug").err


def test_import(docker: Docker, running: Running) -> None:
    result = docker("import", "-m", "note", "-", "made:by", input="an archive")
    assert result.out.startswith("sha256:")
    assert running.engine.images.imported == b"an archive"


def test_import_from_a_url_is_the_servers_work(docker: Docker) -> None:
    assert docker("import", "http://files.example/root.tar").out == "Downloading from http://files.example/root.tar\n"


def test_save(docker: Docker) -> None:
    assert docker("save", "busybox").out == "archive of busybox "
    assert docker("save", "busybox", "busybox:latest").out == "archive of busybox busybox:latest "
    assert "No such image: nothing:latest" in docker("save", "nothing").err


def test_load(docker: Docker, running: Running) -> None:
    result = docker("load", input="an archive")
    assert (result.code, result.out) == (0, "Loaded image: box:latest\n")
    assert running.engine.images.imported == b"an archive"
    broken = docker("load", input="half")
    assert (broken.code, "disk full" in broken.err) == (1, True)
    refused = docker("load", input="")
    assert (refused.code, "not an archive" in refused.err) == (1, True)


def test_an_answer_reaches_a_client_that_still_sends(docker: Docker, running: Running) -> None:
    refused = docker("load", input="junk" * 5_000_000)
    assert (refused.code, refused.err) == (1, "Error response from daemon: junk\n")
    sent = []

    def body() -> Iterator[bytes]:
        for number in range(100_000):
            sent.append(number)
            yield b"junk" * 16384

    client = running.client()
    answer = client.request("POST", "/images/load", {"Host": "docker"}, body())
    assert (answer.status, json.loads(answer.read())) == (400, {"message": "junk"})
    assert len(sent) < 1000


def test_a_platform_is_text_or_an_object(running: Running) -> None:
    for text in ("linux/arm64", quote('{"os":"linux","architecture":"arm64"}')):
        answer = running.call("GET", f"/images/get?names=busybox&platform={text}")
        assert (answer.status, answer.content) == (200, b"archive of busybox linux/arm64")
    for text in ("%7B", quote('{"os":1}'), "a/b/c/d"):
        assert running.call("GET", f"/images/get?names=busybox&platform={text}").status == 400


def test_inspect_of_nothing(docker: Docker) -> None:
    result = docker("inspect", "nothing")
    assert (result.code, result.out.strip()) == (1, "[]")
    assert "No such object: nothing" in result.err


def test_how_it_confines(docker: Docker) -> None:
    assert "seccomp\n   Profile: builtin" in docker("info").out
    docker("create", "--name", "confined", "--security-opt", "apparmor=mine", "busybox")
    assert docker("inspect", "-f", "{{.AppArmorProfile}}", "confined").out == "mine\n"


def test_what_is_not_supported_is_said(docker: Docker) -> None:
    result = docker("run", "--isolation", "hyperv", "busybox", "echo")
    assert (result.code, "invalid isolation: \"hyperv\" - linux only supports 'default'" in result.err) == (125, True)


def test_docker_py(sdk: docker_py.DockerClient) -> None:
    assert sdk.ping()
    assert sdk.containers.run("busybox", ["echo", "hi"], remove=True) == b"hi\n"
    container = sdk.containers.run("busybox", "sleep", detach=True, name="py", labels={"k": "v"})
    assert container.status == "created"
    container.reload()
    assert (container.status, container.labels) == ("running", {"k": "v"})
    assert [found.name for found in sdk.containers.list(filters={"label": "k=v"})] == ["py"]
    assert container.exec_run("fail 3").exit_code == 3
    container.stop(timeout=1)
    assert container.wait()["StatusCode"] == 143
    assert b"\n" in container.logs()
    container.remove()
    with pytest.raises(docker_py.errors.NotFound, match="No such container: py"):
        sdk.containers.get("py")
    assert [image.tags for image in sdk.images.list()] == [["busybox:latest"]]
    assert sdk.images.pull("alpine", tag="3").tags == ["alpine:3"]
    with pytest.raises(docker_py.errors.NotFound, match="pull access denied"):
        sdk.images.pull("secret")
