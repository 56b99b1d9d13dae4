"""Push, search and login: what the real clients send is understood, what they get they show."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import docker as docker_py
import pytest

from tests.unit.api.conftest import Running
from tests.unit.api.fakes import LAYER

Docker = Callable[..., SimpleNamespace]


def test_a_push(docker: Docker, running: Running) -> None:
    docker("tag", "busybox", "localhost:5000/a/b:1")
    result = docker("push", "localhost:5000/a/b:1")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "The push refers to repository [localhost:5000/a/b]", "abc: Pushed", f"1: digest: {LAYER} size: 7"]
    assert running.engine.images.pushed[:2] == ("localhost:5000/a/b:1", None)
    assert docker("push", "-q", "localhost:5000/a/b:1").out.endswith("localhost:5000/a/b:1\n")
    missing = docker("push", "localhost:5000/a/c")
    assert (missing.code, "No such image: localhost:5000/a/c:latest" in missing.err + missing.out) == (1, True)


def test_the_end_of_a_push_for_programs(sdk: docker_py.DockerClient) -> None:
    sdk.images.get("busybox").tag("localhost:5000/a/b", "1")
    lines = list(sdk.images.push("localhost:5000/a/b", "1", stream=True, decode=True))
    assert lines[-1] == {"progressDetail": {}, "aux": {"Tag": "1", "Digest": LAYER, "Size": 7}}
    assert {"status": "Pushing", "progressDetail": {"current": 1, "total": 2}, "id": "abc"} in lines


def test_a_push_of_every_tag_and_of_a_platform(running: Running) -> None:
    def push(target: str, **headers: str) -> None:
        with closing(running.client()) as client:
            client.request("POST", target, {"Host": "docker", **headers}, b"").read()

    push("/v1.47/images/busybox/push", **{"X-Registry-Auth": "e30="})
    assert running.engine.images.pushed == ("docker.io/library/busybox", None, "e30=")
    wanted = "%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22arm64%22%2C%22variant%22%3A%22v8%22%7D"
    push(f"/v1.47/images/a/b/c/push?tag=2&platform={wanted}")
    assert running.engine.images.pushed == ("docker.io/a/b/c:2", "linux/arm64/v8", "")
    assert running.call("POST", "/images/a/push?platform=%7B1%7D").status == 400
    assert running.call("POST", "/images/a/push?tag=:").status == 400


def test_login(docker: Docker, tmp_path: Path) -> None:
    result = docker("login", "-u", "user", "--password-stdin", "registry.test", input="right")
    assert (result.code, "Login Succeeded" in result.out) == (0, True)
    kept = json.loads((tmp_path / ".docker" / "config.json").read_text())
    assert kept["auths"] == {"registry.test": {"auth": "dXNlcjpyaWdodA=="}}
    refused = docker("login", "-u", "user", "-p", "wrong", "registry.test")
    assert (refused.code, "unauthorized: incorrect username or password" in refused.err) == (1, True)
    docker("login", "-u", "user", "-p", "right", "tokens.test")
    kept = json.loads((tmp_path / ".docker" / "config.json").read_text())
    assert kept["auths"]["tokens.test"] == {"auth": "dXNlcjo=", "identitytoken": "later"}


def test_a_login_in_json(running: Running) -> None:
    answer = running.call("POST", "/auth", {"username": "u", "password": "p", "serveraddress": "registry.test"})
    assert (answer.status, answer.json) == (200, {"IdentityToken": "", "Status": "Login Succeeded"})
    assert running.call("POST", "/auth", {"username": 1}).status == 400
    answer = running.call("POST", "/auth", {"username": "u", "password": "wrong", "serveraddress": "registry.test"})
    assert answer.status == 401
    assert "wrong" not in answer.json["message"]


def test_logins_and_searches_of_the_sdk(sdk: docker_py.DockerClient) -> None:
    assert sdk.login("user", "right", registry="registry.test", reauth=True)["Status"] == "Login Succeeded"
    with pytest.raises(docker_py.errors.APIError, match="incorrect username or password"):
        sdk.login("user", "wrong", registry="registry.test", reauth=True)
    assert [one["name"] for one in sdk.images.search("app", limit=5)] == ["app3", "app9"]


def test_a_search(docker: Docker, running: Running) -> None:
    shown = docker("search", "--format", "{{.Name}} {{.StarCount}} {{.IsOfficial}}", "app")
    assert sorted(shown.out.splitlines()) == ["app3 3 ", "app9 9 [OK]"]
    assert docker("search", "--limit", "7", "--filter", "stars=5", "--format", "{{.Name}}", "app").out == "app9\n"
    assert running.engine.images.searched[:2] == ("app", 7)


@pytest.mark.parametrize(("filters", "expected"), [
    ('{"stars": ["4"]}', ["x9"]), ('{"is-official": ["false"]}', ["x3"]), ('{"is-official": {"true": true}}', ["x9"]),
    ('{"is-automated": ["true"]}', []), ('{"stars": ["x"]}', 400), ('{"is-official": ["x"]}', 400),
    ('{"nosuch": ["x"]}', 400),
])
def test_filters_of_a_search(running: Running, filters: str, expected: object) -> None:
    answer = running.call("GET", f"/images/search?term=x&filters={quote(filters)}")
    assert expected == (answer.status if answer.status >= 400 else [one["name"] for one in answer.json])


def test_a_search_for_nothing(running: Running) -> None:
    assert running.call("GET", "/images/search").status == 400
    assert running.call("GET", "/images/search?term=x&limit=y").status == 400


def test_a_pull_of_every_tag(docker: Docker) -> None:
    result = docker("pull", "-a", "alpine")
    assert result.code == 0
    assert "Pulling from library/alpine" in result.out
