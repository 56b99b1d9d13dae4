"""Volumes as other people's clients see them: docker's command line and docker-py."""

from pathlib import Path

import docker as docker_py
import pytest

from tests.root.api.conftest import Docker


def test_the_docker_client(docker: Docker) -> None:
    assert docker.ok("volume", "create", "--label", "a=b", "kept") == "kept"
    assert docker.ok("volume", "ls", "--format", "{{.Driver}} {{.Name}} {{.Labels}}") == "local kept a=b"
    assert docker.ok("volume", "inspect", "-f", "{{.Name}} {{.Scope}} {{.Labels.a}}", "kept") == "kept local b"
    assert docker.ok("run", "--rm", "--network", "none", "-v", "kept:/etc", "-v", "/gone", "busybox", "ls", "/etc"
                     ).startswith("group\nhostname")
    made = docker.ok("create", "--mount", "type=volume,src=kept,dst=/a,readonly", "--mount",
                     "type=volume,src=made,dst=/b,volume-nocopy,volume-label=c=d", "busybox", "cat", "/a/passwd")
    assert docker.ok("start", "-a", made).startswith("root:x:0:0")
    assert docker.ok("volume", "inspect", "-f", "{{.Labels}}", "made") == "map[c:d]"
    refused = docker("volume", "rm", "kept")
    assert (refused.code, f"volume is in use - [{made}]" in refused.err) == (1, True)
    assert docker.ok("create", "--volumes-from", f"{made}:ro", "busybox")
    assert docker.ok("volume", "ls", "-q", "--filter", "dangling=true") == ""
    assert "kept" in docker.ok("system", "df", "-v")
    docker.ok("rm", *docker.ok("ps", "-aq").split())
    docker.ok("volume", "prune", "-f")
    docker("volume", "rm", "kept", "made")
    assert docker.ok("volume", "ls", "-q") == ""


def test_docker_py(sdk: docker_py.DockerClient, tmp_path: Path) -> None:
    volume = sdk.volumes.create("kept", driver="local", labels={"a": "b"})
    assert (volume.name, volume.attrs["Labels"], volume.attrs["Scope"]) == ("kept", {"a": "b"}, "local")
    said = sdk.containers.run("busybox", ["sh", "-c", "echo x > /data/x; ls /data /host"], remove=True,
                              volumes={"kept": {"bind": "/data", "mode": "rw"},
                                       str(tmp_path): {"bind": "/host", "mode": "ro"}})
    assert said == b"/data:\nx\n\n/host:\n"
    mount = docker_py.types.Mount("/m", "kept", no_copy=True, read_only=True)
    container = sdk.containers.create("busybox", ["cat", "/m/x"], mounts=[mount])
    assert container.attrs["Mounts"][0]["Name"] == "kept" and not container.attrs["Mounts"][0]["RW"]
    with pytest.raises(docker_py.errors.APIError, match="volume is in use") as error:
        volume.remove()
    assert error.value.status_code == 409
    with pytest.raises(docker_py.errors.NotFound, match="get nothing: no such volume"):
        sdk.volumes.get("nothing")
    assert [found.name for found in sdk.volumes.list(filters={"dangling": False})] == ["kept"]
    container.remove(v=True)
    assert sdk.volumes.prune()["VolumesDeleted"] is None
    assert sdk.volumes.prune({"all": True})["VolumesDeleted"] == ["kept"]
    usage = sdk.df()
    assert usage["Volumes"] == []
