"""Docker's own client (each generation that is installed) with our server: login, push, pull, search, logout."""

import json
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.peers.registry import PASSWORD, USER, Registry
from tests.root.api.conftest import CLIENTS, Docker


@pytest.fixture(params=CLIENTS or [None])
def docker(request: pytest.FixtureRequest, engine: Engine, home: Path) -> Docker:
    if request.param is None:
        pytest.skip("no docker client is installed")
    engine.start()
    return Docker(request.param, engine)


def test_push_prints_as_usual(docker: Docker, registry: Registry) -> None:
    name = registry.name("docker/x")
    docker.ok("tag", "busybox", name)
    lines = docker.ok("push", name).splitlines()
    assert lines[:2] == ["Using default tag: latest", f"The push refers to repository [{name}]"]
    assert lines[2].endswith(": Preparing")
    assert lines[-1].startswith("latest: digest: sha256:") and lines[-1].split()[3] == "size:"
    assert docker.ok("push", "-q", name) == f"{name}:latest"
    assert f"Status: Image is up to date for {name}:latest" in docker.ok("pull", name)
    missing = docker("push", registry.name("docker/nosuch"))
    assert (missing.code, "An image does not exist locally with the tag: " in missing.out + missing.err) == (1, True)


def test_a_push_on_a_terminal(docker: Docker, registry: Registry) -> None:
    docker.ok("tag", "busybox", registry.name("terminal/x:1"))
    with docker.terminal("push", registry.name("terminal/x:1")) as terminal:
        terminal.expect("The push refers to repository")
        terminal.expect("1: digest: sha256:")
        assert terminal.end() == 0


def test_every_tag(docker: Docker, registry: Registry) -> None:
    for tag in ("1", "2"):
        docker.ok("tag", "busybox", registry.name(f"tags/x:{tag}"))
    assert docker.ok("push", "-a", registry.name("tags/x")).count(": digest: sha256:") == 2
    assert docker.ok("pull", "-a", registry.name("tags/x")).count("Image is up to date") == 2


def test_login_push_logout(docker: Docker, home: Path, private: Registry) -> None:
    registry, name = private, private.name("docker/x:1")
    docker.ok("tag", "busybox", name)
    assert docker("push", name).code == 1
    wrong = docker("login", "-u", USER, "-p", "incorrect", registry.address)
    assert (wrong.code, "unauthorized" in wrong.err or "incorrect username or password" in wrong.err) == (1, True)
    assert "Login Succeeded" in docker.ok("login", "-u", USER, "--password-stdin", registry.address, input=PASSWORD)
    assert registry.address in json.loads((home / ".docker" / "config.json").read_text())["auths"]
    assert "digest: sha256:" in docker.ok("push", name)
    assert "Image is up to date" in docker.ok("pull", name)
    docker.ok("logout", registry.address)
    assert docker("pull", name).code == 1


def test_what_one_client_keeps_the_other_uses(docker: Docker, basic: Registry, engine: Engine) -> None:
    name = basic.name("shared/x:1")
    docker.ok("tag", "busybox", name)
    docker.ok("login", "-u", USER, "--password-stdin", basic.address, input=PASSWORD)
    assert "digest: sha256:" in engine.ok("push", name)
    assert engine.ok("login", basic.address).endswith("Login Succeeded")
    engine.ok("logout", basic.address)
    engine.ok("login", "-u", USER, "--password-stdin", basic.address, input=PASSWORD)
    assert "digest: sha256:" in docker.ok("push", name)
    docker.ok("logout", basic.address)


def test_search(docker: Docker, registry: Registry) -> None:
    docker.ok("tag", "busybox", registry.name("search/it"))
    docker.ok("push", registry.name("search/it"))
    assert docker.ok("search", "--format", "{{.Name}}", f"{registry.address}/search/it") == registry.name("search/it")
