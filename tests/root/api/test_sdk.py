"""docker-py against the real engine."""

import time

import docker as docker_py
import pytest


def test_a_container_from_python(sdk: docker_py.DockerClient) -> None:
    assert sdk.containers.run("busybox", ["echo", "hi"], remove=True) == b"hi\n"
    container = sdk.containers.run("busybox", "sh -c 'echo out; echo err >&2; exec sleep 100'", detach=True, name="py",
                                   mem_limit="64m", environment={"A": "b"})
    container.reload()
    assert (container.status, container.attrs["HostConfig"]["Memory"]) == ("running", 64 << 20)
    deadline = time.monotonic() + 10
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


def test_what_is_not_there_yet(sdk: docker_py.DockerClient) -> None:
    with pytest.raises(docker_py.errors.APIError, match=r"HostConfig\.Binds is not supported yet"):
        sdk.containers.run("busybox", "true", volumes={"/a": {"bind": "/b"}})
    with pytest.raises(docker_py.errors.NotFound, match="page not found"):
        sdk.volumes.list()
