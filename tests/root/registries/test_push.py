"""push, pull, login and logout of whole engines: what is in the registry afterwards, and what others make of it."""

import gzip
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.peers.evil import Evil
from tests.peers.layout import Layout, archive
from tests.peers.registry import PASSWORD, REFRESH_TOKEN, USER, Registry
from tests.peers.stub import Reply
from tests.peers.wire import Wire
from tests.root.registries.conftest import Command


def digest_of(told: str) -> str:
    """What a push ends with: `latest: digest: sha256:… size: 405`."""
    [line] = [line for line in told.splitlines() if ": digest: " in line]
    return line.split()[2]


def manifest(skopeo: Command, name: str) -> bytes:
    return (skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{name}")).encode()


def test_a_push_is_a_copy(engine: Engine, registry: Registry, skopeo: Command) -> None:
    name = registry.name("copy/x")
    engine.ok("tag", "busybox", name)
    told = engine.ok("push", name)
    lines = told.splitlines()
    assert lines[:2] == ["Using default tag: latest", f"The push refers to repository [{name}]"]
    assert [line.partition(": ")[2] for line in lines[2:-1]] == ["Preparing", "Pushed"]
    digest = digest_of(told)
    assert lines[-1] == f"latest: digest: {digest} size: {len(manifest(skopeo, name))}"
    assert skopeo("inspect", "--format", "{{.Digest}}", "--tls-verify=false", f"docker://{name}") == digest
    [found] = json.loads(engine.ok("image", "inspect", name))
    assert f"{name}@{digest}" in found["RepoDigests"]
    assert engine.ok("push", "-q", name) == f"{name}:latest"
    assert "Layer already exists" in engine.ok("push", name)


def test_what_came_from_a_registry_goes_back_byte_for_byte(engine: Engine, registry: Registry, skopeo: Command,
                                                           session_directory: Path) -> None:
    layout = Layout(Path(tempfile.mkdtemp(dir=session_directory)))
    image = layout.image([archive({"a": os.urandom(1000)}), archive({"b": os.urandom(10)})])
    for kind, options in (("oci", ()), ("v2s2", ("--format", "v2s2"))):
        registry.push(layout.tag("x", image), f"from/{kind}:1", *options)
        source, target = registry.name(f"from/{kind}:1"), registry.name(f"to/{kind}:2")
        engine.ok("pull", source)
        engine.ok("tag", source, target)
        told = engine.ok("push", target)
        assert manifest(skopeo, target) == manifest(skopeo, source)
        assert told.count(": Mounted from from/") == 2
        # a copy elsewhere reads, and verifies, every blob
        skopeo("copy", "--quiet", "--insecure-policy", "--src-tls-verify=false", f"docker://{target}",
               f"dir:{tempfile.mkdtemp(dir=session_directory)}")


def test_podman_takes_what_was_pushed_and_the_other_way_round(
    make_engine: Callable[..., Engine], engine: Engine, registry: Registry, podman: Command
) -> None:
    name = registry.name("podman/x")
    engine.ok("tag", "busybox", name)
    digest = digest_of(engine.ok("push", name))
    podman("pull", "--quiet", "--tls-verify=false", name)
    assert podman("image", "inspect", "--format", "{{.Digest}}", name) == digest
    other = registry.name("podman/y:1")
    podman("tag", name, other)
    podman("push", "--quiet", "--tls-verify=false", other)
    elsewhere = make_engine()
    elsewhere.ok("pull", other)
    assert elsewhere.ok("run", "--rm", other, "echo", "hello") == "hello"


def test_every_tag_of_a_repository(make_engine: Callable[..., Engine], engine: Engine, registry: Registry) -> None:
    for tag in ("1", "2", "3"):
        engine.ok("tag", "busybox", registry.name(f"many/x:{tag}"))
    engine.ok("tag", "busybox", registry.name("many/xy:4"))
    told = engine.ok("push", "-a", registry.name("many/x"))
    assert [line.partition(":")[0] for line in told.splitlines() if ": digest: " in line] == ["1", "2", "3"]
    other = make_engine()
    assert other.ok("pull", "-a", registry.name("many/x")).splitlines()[-1] == registry.name("many/x")
    shown = other.ok("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert sorted(shown) == [registry.name(f"many/x:{tag}") for tag in "123"]


def test_what_cannot_be_pushed(engine: Engine, registry: Registry) -> None:
    name = registry.name("none/x")
    result = engine.pydocker("push", name)
    assert (result.code, result.err) == (1, f"An image does not exist locally with the tag: {name}\n")
    every = engine.pydocker("push", "-a", name)
    assert (every.code, every.out, every.err) == (1, f"The push refers to repository [{name}]\n", result.err)
    engine.ok("tag", "busybox", f"{name}:1")
    assert engine.pydocker("push", f"{name}:2").err == f"tag does not exist: {name}:2\n"
    refused = engine.pydocker("push", "--platform", "linux/s390x", f"{name}:1")
    assert (refused.code, "does not match the specified platform: wanted linux/s390x" in refused.err) == (1, True)
    assert not [line for line in registry.requests() if "/none/x/" in line]


def test_an_unchanged_tag_costs_one_head(engine: Engine, registry: Registry) -> None:
    name = registry.name("same/x:1")
    engine.ok("tag", "busybox", name)
    engine.ok("push", name)
    before = len(registry.requests())
    told = engine.ok("pull", name)
    assert f"Status: Image is up to date for {name}" in told
    [asked] = registry.requests()[before:]
    assert '"HEAD /v2/same/x/manifests/1 HTTP/1.1" 200' in asked


def test_an_unchanged_index_costs_one_head_and_a_changed_one_is_fetched(
    engine: Engine, registry: Registry, session_directory: Path
) -> None:
    layout = Layout(Path(tempfile.mkdtemp(dir=session_directory)))
    images = [layout.image([archive({"a": os.urandom(10)})], architecture) for architecture in ("amd64", "arm64")]
    registry.push(layout.tag("x", layout.index(images)), "index/x:1", "--all")
    name = registry.name("index/x:1")
    assert "Downloaded newer image" in engine.ok("pull", "--platform", "linux/amd64", name)
    before = len(registry.requests())
    assert "Image is up to date" in engine.ok("pull", "--platform", "linux/amd64", name)
    assert len(registry.requests()) == before + 1
    assert "Downloaded newer image" in engine.ok("pull", "--platform", "linux/arm64", name)
    again = Layout(Path(tempfile.mkdtemp(dir=session_directory)))
    registry.push(again.tag("x", again.image([archive({"b": b"b"})])), "index/x:1")
    assert "Downloaded newer image" in engine.ok("pull", name)


def test_login_push_logout(engine: Engine, home: Path, private: Registry) -> None:
    registry, name = private, private.name("private/x:1")
    engine.ok("tag", "busybox", name)
    assert engine.pydocker("push", name).code == 1
    wrong = engine.pydocker("login", "-u", USER, "--password-stdin", registry.address, input="wrong\n")
    assert (wrong.code, "wrong" in wrong.err) == (1, False)
    assert not (home / ".docker").exists()
    assert engine.ok("login", "-u", USER, "--password-stdin", registry.address, input=PASSWORD) == "Login Succeeded"
    digest_of(engine.ok("push", name))
    assert "Image is up to date" in engine.ok("pull", name)
    engine.ok("logout", registry.address)
    assert engine.pydocker("pull", name).code == 1


def test_a_login_whose_token_is_kept(engine: Engine, home: Path, tokens: Registry,
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens.tokens, "offline", True)
    engine.ok("login", "-u", USER, "--password-stdin", tokens.address, input=PASSWORD)
    kept = json.loads((home / ".docker" / "config.json").read_text())["auths"][tokens.address]
    assert kept["identitytoken"] == REFRESH_TOKEN
    name = tokens.name("kept/x:1")
    engine.ok("tag", "busybox", name)
    digest_of(engine.ok("push", name))
    assert tokens.tokens.asked[-1]["grant_type"] == "refresh_token"


def test_a_push_over_a_wire_that_breaks(engine: Engine, registry: Registry, session_directory: Path) -> None:
    layout = Layout(Path(tempfile.mkdtemp(dir=session_directory)))
    image = layout.image([archive({"a": os.urandom(2 << 20)})])
    registry.push(layout.tag("x", image), "whole/x:1")
    engine.ok("pull", registry.name("whole/x:1"))
    with Wire(registry.port, up=1 << 20, cuts=2) as wire:
        name = f"127.0.0.1:{wire.port}/broken/x:1"
        engine.ok("tag", registry.name("whole/x:1"), name)
        digest_of(engine.ok("push", name))
        assert wire.broken == 2


def test_an_interrupted_push_ends_in_the_server_too(engine: Engine, registry: Registry,
                                                    session_directory: Path) -> None:
    layout = Layout(Path(tempfile.mkdtemp(dir=session_directory)))
    registry.push(layout.tag("x", layout.image([archive({"a": os.urandom(8 << 20)})])), "slow/x:1")
    engine.ok("pull", registry.name("slow/x:1"))
    with Wire(registry.port, slow=0.05) as wire:  # all of it would take half a minute
        engine.ok("tag", registry.name("slow/x:1"), f"127.0.0.1:{wire.port}/slow/y:1")
        with engine.popen("push", f"127.0.0.1:{wire.port}/slow/y:1", stdout=subprocess.DEVNULL) as command:
            while wire.carried["up"] < 200_000:
                time.sleep(0.02)
            assert connected_to(wire.port)
            command.send_signal(signal.SIGINT)
            assert command.wait(60) == 130
        deadline = time.monotonic() + 60
        while connected_to(wire.port) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not connected_to(wire.port)


def test_a_silent_registry_keeps_neither_a_pull_nor_the_server(token: str, session_directory: Path) -> None:
    """It sends some bytes, and then nothing: whoever is interrupted, or stops the server, waits for nothing."""
    layer = archive({"a": os.urandom(1 << 20)})
    with Evil() as evil, Evil() as good, Engine(Path(tempfile.mkdtemp(dir=session_directory)), token) as engine:
        evil.tag(evil.image(layer=layer, replies=(Reply(body=gzip.compress(layer, 1, mtime=0), cut=9, silent=True),)))
        good.tag(good.image(layer=layer))
        blob = evil.image(layer=layer)["layers"][0]["digest"]
        evil.on(f"/v2/a/b/blobs/{blob}", Reply(body=gzip.compress(layer, 1, mtime=0), cut=9, silent=True))
        with engine.popen("pull", evil.name(), stdout=subprocess.DEVNULL) as command:
            until(lambda: any(blob in path for path in evil.paths()))
            command.send_signal(signal.SIGINT)
            assert command.wait(60) == 130
        engine.ok("pull", good.name())
        engine.ok("rmi", good.name())
        with engine.popen("pull", evil.name(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as command:
            until(lambda: sum(blob in path for path in evil.paths()) == 2)
            engine.stop()
            assert command.wait(60) == 1
            assert command.stderr is not None and command.stderr.read()
        assert not engine.server()
        engine.ok("pull", good.name())


def test_a_push_to_a_registry_that_falls_silent_ends_when_its_client_has_gone(engine: Engine) -> None:
    with Evil() as evil:
        name = f"{evil.address}/a/b:2"
        engine.ok("tag", "busybox", name)
        evil.on("/v2/a/b/blobs/uploads/", Reply(raw=b"", silent=True))
        with engine.popen("push", name, stdout=subprocess.DEVNULL) as command:
            until(lambda: "/v2/a/b/blobs/uploads/" in evil.paths())
            command.send_signal(signal.SIGINT)
            assert command.wait(60) == 130
        until(lambda: not connected_to(int(evil.address.rpartition(":")[2])))


def until(there: Callable[[], object]) -> None:
    deadline = time.monotonic() + 50  # less than the engine itself waits for a registry
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def connected_to(port: int) -> bool:
    """Whether anybody here still holds a connection to a port of this machine (proc(5), /proc/net/tcp: 01)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def test_a_pull_over_a_wire_that_breaks(engine: Engine, registry: Registry, session_directory: Path) -> None:
    """Each connection is cut after 300 kB: what is transferred is the size and, for each cut, at most that."""
    layout = Layout(Path(tempfile.mkdtemp(dir=session_directory)))
    size = 3 << 20
    registry.push(layout.tag("x", layout.image([archive({"a": os.urandom(size)})])), "cut/x:1")
    with Wire(registry.port, down=300_000) as wire:
        engine.ok("pull", f"127.0.0.1:{wire.port}/cut/x:1")
        assert wire.broken >= size // 300_000
        assert size < wire.carried["down"] <= size + 20_000 + 300_000 * wire.broken


def test_what_a_registry_says_of_its_limit_is_shown(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    with Evil() as stub:
        limits = {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "76;w=21600"}
        stub.tag(stub.image(), **limits)
        assert engine.ok("pull", stub.name()).splitlines()[-2] == "Rate limit: 76 of 100 pulls left in 6 hours"
        stub.on("/v2/a/b/manifests/1", Reply(429, {"Retry-After": "1"}), Reply(429, {"Retry-After": "7200"}))
        busy = engine.pydocker("pull", stub.name())
        assert "toomanyrequests: the registry is busy, trying again in 1 second" in busy.out
        assert (busy.code, "the registry asks to come back in 2 hours" in busy.err) == (1, True)


def test_a_tag_that_is_no_image_is_skipped_and_told(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    with Evil() as stub:
        stub.on("/v2/a/b/tags/list", Reply(body=b'{"tags": ["sig", "1"]}'))
        stub.tag(stub.image())
        stub.tag(b"{}", "application/vnd.example.signature", "sig")
        told = engine.ok("pull", "-a", stub.name().removesuffix(":1")).splitlines()
        assert told[0].startswith("sig: Skipped: ") and "application/vnd.example.signature" in told[0]
        assert f"Status: Downloaded newer image for {stub.name()}" in told


def test_search(engine: Engine, registry: Registry) -> None:
    engine.ok("tag", "busybox", registry.name("found/it"))
    engine.ok("push", registry.name("found/it"))
    assert engine.ok("search", "--format", "{{.Name}}", f"{registry.address}/found") == registry.name("found/it")
    assert engine.ok("search", "--format", "{{.Name}}", f"{registry.address}/nosuch") == ""
    assert engine.pydocker("search", "--limit", "101", f"{registry.address}/x").code == 1


def test_a_mirror_of_the_configuration(make_engine: Callable[..., Engine], engine: Engine, registry: Registry) -> None:
    """The registry of the name does not exist: everything comes from the mirror."""
    engine.ok("tag", "busybox", registry.name("mirror/library/app:1"))
    engine.ok("push", registry.name("mirror/library/app:1"))
    mirrored = make_engine(registries={"nosuch.invalid": {"mirrors": [registry.name("mirror")]}})
    assert "Downloaded newer image" in mirrored.ok("pull", "nosuch.invalid/library/app:1")
    assert mirrored.ok("images", "--format", "{{.Repository}}:{{.Tag}}") == "nosuch.invalid/library/app:1"
    hub = make_engine(**{"registry-mirrors": [f"http://{registry.name('mirror')}"]})
    assert "Status: Downloaded newer image for app:1" in hub.ok("pull", "app:1")


def test_a_registry_with_a_certificate_of_ones_own(make_engine: Callable[..., Engine], engine: Engine,
                                                   session_directory: Path) -> None:
    directory = Path(tempfile.mkdtemp(dir=session_directory))
    with Registry(directory / "registry", tls=True) as registry:
        certificates = directory / "certs.d" / registry.address
        trusting = make_engine(**{"registry-certificates": str(directory / "certs.d")})
        trusting.import_busybox(registry.name("tls/x:1"))
        refused = trusting.pydocker("push", registry.name("tls/x:1"))
        assert (refused.code, "x509: certificate signed by unknown authority" in refused.err) == (1, True)
        certificates.mkdir(parents=True)
        (certificates / "ca.crt").write_bytes(registry.certificates.authority.read_bytes())
        digest_of(trusting.ok("push", registry.name("tls/x:1")))
        imported = trusting.pydocker("import", f"https://{registry.address}/v2/")
        assert (imported.code, "unexpected end of archive" in imported.err) == (1, True), imported.err  # it was fetched
