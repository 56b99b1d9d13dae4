"""docker-py against the real engine."""

import io
import tarfile
import time

import docker as docker_py
import pytest

from tests.engine import Engine
from tests.waiting import wait_until


def test_a_container_from_python(sdk: docker_py.DockerClient) -> None:
    assert sdk.containers.run("busybox", ["echo", "hi"], remove=True) == b"hi\n"
    container = sdk.containers.run("busybox", "sh -c 'echo out; echo err >&2; exec sleep 100'", detach=True, name="py",
                                   mem_limit="64m", environment={"A": "b"})
    container.reload()
    assert (container.status, container.attrs["HostConfig"]["Memory"]) == ("running", 64 << 20)
    deadline = time.monotonic() + 60
    while container.logs(stdout=False) != b"err\n" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert container.logs(stderr=False) == b"out\n"
    assert container.exec_run("sh -c 'echo $A; exit 3'") == (3, b"b\n")
    assert container.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True) == (0, (b"out\n", b"err\n"))
    assert container.exec_run("sleep 0.1", detach=True).output in ("", b"")
    with pytest.raises(docker_py.errors.APIError, match=r"is already in use"):
        sdk.containers.create("busybox", name="py")
    container.kill()
    assert container.wait()["StatusCode"] == 137
    container.remove()
    with pytest.raises(docker_py.errors.NotFound, match="No such container"):
        sdk.containers.get("py")


def test_a_failing_one(sdk: docker_py.DockerClient) -> None:
    with pytest.raises(docker_py.errors.ContainerError) as caught:
        sdk.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 5"], remove=True)
    assert (caught.value.exit_status, caught.value.stderr) == (5, b"bad\n")


def test_attached_by_a_socket(sdk: docker_py.DockerClient) -> None:
    container = sdk.containers.create("busybox", "cat", stdin_open=True, tty=False)
    attached = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    attached._sock.sendall(b"hello\n")
    received = b""
    while len(received) < 8 + 6:
        received += attached._sock.recv(100)
    assert received == b"\x01\0\0\0\0\0\0\x06hello\n"
    attached._sock.close()
    attached._response.close()
    attached.close()
    container.remove(force=True)


def test_events_of_a_pull_that_fails(sdk: docker_py.DockerClient) -> None:
    with pytest.raises(docker_py.errors.APIError):
        sdk.images.pull("127.0.0.1:1/nothing", tag="1")


def test_events_from_python(sdk: docker_py.DockerClient, engine: Engine) -> None:
    since = int(time.time())
    live = sdk.events(decode=True, filters={"event": ["die"]})
    sdk.containers.run("busybox", "true", name="py-events", remove=True)
    assert next(live)["Actor"]["Attributes"]["name"] == "py-events"
    past = list(sdk.events(since=since, until=int(time.time()) + 1, decode=True, filters={"container": "py-events"}))
    assert [one["status"] for one in past] == ["create", "start", "die", "destroy"]
    live.close()


def test_events_of_what_happened_without_a_server(fresh_engine: Engine) -> None:
    fresh_engine.import_busybox()
    since = int(time.time())
    fresh_engine.ok("run", "-d", "--name", "alone", "busybox", "sh", "-c", "sleep 0.5; exit 5")
    fresh_engine.kill()
    fresh_engine.ok("wait", "alone")
    sdk = docker_py.DockerClient(base_url=fresh_engine.host)
    found = list(sdk.events(since=since, until=int(time.time()) + 1, decode=True, filters={"container": "alone"}))
    assert [one["Action"] for one in found] == ["create", "start", "die"]
    assert found[-1]["Actor"]["Attributes"]["exitCode"] == "5"
    sdk.close()


def test_stats_from_python(sdk: docker_py.DockerClient) -> None:
    container = sdk.containers.run("busybox", "sleep 100", detach=True, mem_limit="64m")
    once = container.stats(stream=False)
    assert (once["memory_stats"]["limit"], once["pids_stats"]["current"]) == (64 << 20, 1)
    assert once["cpu_stats"]["system_cpu_usage"] > once["precpu_stats"]["system_cpu_usage"] > 0
    assert container.stats(stream=False, one_shot=True)["precpu_stats"].get("system_cpu_usage") is None
    live = container.stats(decode=True)
    first, second = next(live), next(live)
    assert second["precpu_stats"] == first["cpu_stats"]
    container.remove(force=True)
    assert [one for one in live if one["name"] != f"/{container.name}"] == [], "the stream ends with the container"


def test_pause_top_and_update_from_python(sdk: docker_py.DockerClient) -> None:
    container = sdk.containers.run("busybox", "sleep 100", detach=True, mem_limit="64m")
    container.pause()
    container.reload()
    assert container.status == "paused"
    container.unpause()
    wait_until(lambda: container.top(ps_args="-o pid,args")["Processes"][0][1] == "sleep 100")
    assert container.update(mem_limit="32m") == {"Warnings": None}
    container.reload()
    assert container.attrs["HostConfig"]["Memory"] == 32 << 20
    container.remove(force=True)


def test_what_is_not_there_yet(sdk: docker_py.DockerClient) -> None:
    with pytest.raises(docker_py.errors.NotFound, match="page not found"):
        sdk.swarm.leave()


def test_published_ports(sdk: docker_py.DockerClient) -> None:
    container = sdk.containers.run("busybox", "sleep 100", detach=True, ports={
        "80/tcp": 28080, "53/udp": ("127.0.0.1", 28053), "99/tcp": None})
    container.reload()
    assert container.ports["80/tcp"] == [{"HostIp": "0.0.0.0", "HostPort": "28080"},
                                         {"HostIp": "::", "HostPort": "28080"}]
    assert container.ports["53/udp"] == [{"HostIp": "127.0.0.1", "HostPort": "28053"}]
    assert int(container.ports["99/tcp"][0]["HostPort"]) > 1024
    with pytest.raises(docker_py.errors.APIError, match="port is already allocated"):
        sdk.containers.run("busybox", "true", ports={"80/tcp": 28080})
    container.remove(force=True)


def test_files_in_and_out(sdk: docker_py.DockerClient) -> None:
    script = "mkdir /d /into; echo a > /d/a; ln -s a /d/l; sleep 100"
    container = sdk.containers.run("busybox", ["sh", "-c", script], detach=True)
    deadline = time.monotonic() + 60
    while container.exec_run("test -L /d/l").exit_code and time.monotonic() < deadline:
        time.sleep(0.05)
    pieces, found = container.get_archive("/d")
    assert (found["name"], found["mode"] & 1 << 31, found["linkTarget"]) == ("d", 1 << 31, "")
    content = b"".join(pieces)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == ["d", "d/a", "d/l"]
    assert container.get_archive("/d/l")[1]["linkTarget"] == "/d/a"
    assert container.put_archive("/into", content)
    assert container.exec_run("cat /into/d/l").output == b"a\n"
    assert {(one["Path"], one["Kind"]) for one in container.diff()} >= {("/d", 1), ("/into/d", 1), ("/into", 1)}
    with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as archive:
        assert "into/d/a" in archive.getnames()
    for path, error in (("/nowhere", docker_py.errors.NotFound), ("/d/a", docker_py.errors.APIError)):
        with pytest.raises(error):
            container.put_archive(path, content)
    with pytest.raises(docker_py.errors.NotFound, match="Could not find the file /nowhere in container"):
        container.get_archive("/nowhere")
    image = container.commit("sdk", "made", message="why", author="me", changes=["ENV A=b", "LABEL c=d"],
                             conf={"Cmd": ["cat", "/d/a"]})
    assert (image.attrs["Author"], image.attrs["Comment"], image.labels) == ("me", "why", {"c": "d"})
    assert sdk.containers.run("sdk:made", remove=True) == b"a\n"
