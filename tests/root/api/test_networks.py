"""Networks through other people's clients: docker's command line, and docker-py."""

import json
import time

import docker as docker_py
import pytest

from tests.root.api.conftest import Docker


def test_the_life_of_a_network(docker: Docker) -> None:
    id = docker.ok("network", "create", "--subnet", "10.91.0.0/24", "--label", "a=b", "front")
    assert docker.ok("network", "ls", "--filter", "label=a", "--format", "{{.Name}} {{.Driver}} {{.Scope}}") == (
        "front bridge local")
    docker.ok("run", "-d", "--name", "web", "--network", "front", "--ip", "10.91.0.9", "--network-alias", "www",
              "busybox", "sleep", "1000")
    [network] = json.loads(docker.ok("network", "inspect", "front"))
    assert (network["Id"], network["IPAM"]["Config"]) == (id, [{"Subnet": "10.91.0.0/24", "Gateway": "10.91.0.1"}])
    assert [one["IPv4Address"] for one in network["Containers"].values()] == ["10.91.0.9/24"]
    docker.ok("network", "connect", "bridge", "web")
    assert set(docker.ok("ps", "--format", "{{.Networks}}").split(",")) == {"bridge", "front"}
    assert docker.ok("ps", "-q", "--filter", "network=front") == docker.ok("ps", "-q")
    docker.ok("network", "disconnect", "front", "web")
    assert "10.91" not in docker.ok("exec", "web", "ip", "-4", "address")
    assert docker("network", "rm", "bridge").code == 1
    docker.ok("rm", "-f", "web")
    assert docker.ok("network", "prune", "-f").splitlines()[:2] == ["Deleted Networks:", "front"]


def test_what_is_refused(docker: Docker) -> None:
    for words, complaint in (
            (("network", "create", "none"), "operation is not permitted on predefined none network"),
            (("network", "inspect", "nowhere"), "nowhere"),
            (("run", "--rm", "--network", "nowhere", "busybox", "true"), "network nowhere not found"),
            (("network", "rm", "bridge"), "bridge is a pre-defined network and cannot be removed"),
            (("network", "connect", "bridge", "nobody"), "No such container: nobody")):
        result = docker(*words)
        assert result.code != 0 and complaint in result.err
    assert docker.ok("ps", "-aq") == ""


def test_events_of_a_network(docker: Docker) -> None:
    id = docker.ok("network", "create", "told")
    docker.ok("run", "--rm", "--network", "told", "busybox", "true")
    docker.ok("network", "rm", "told")
    told = docker.ok("events", "--since", "1m", "--until", str(int(time.time()) + 1), "--filter", "type=network",
                     "--filter", f"network={id}", "--format", "{{.Action}}")
    assert told.splitlines() == ["create", "connect", "disconnect", "destroy"]


def test_from_python(sdk: docker_py.DockerClient) -> None:
    pool = docker_py.types.IPAMPool(subnet="10.92.0.0/24", gateway="10.92.0.1")
    network = sdk.networks.create("sdk", ipam=docker_py.types.IPAMConfig(pool_configs=[pool]), labels={"by": "python"})
    container = sdk.containers.run("busybox", "sleep 1000", network="sdk", detach=True)
    container.reload()
    assert container.attrs["NetworkSettings"]["Networks"]["sdk"]["IPAddress"] == "10.92.0.2"
    network.reload()
    assert network.containers == [container]
    other = sdk.networks.create("other")
    other.connect(container, aliases=["db"])
    container.reload()
    assert sorted(container.attrs["NetworkSettings"]["Networks"]) == ["other", "sdk"]
    other.disconnect(container)
    with pytest.raises(docker_py.errors.APIError, match="has active endpoints"):
        network.remove()
    container.remove(force=True)
    assert sorted(sdk.networks.prune()["NetworksDeleted"]) == ["other", "sdk"]
