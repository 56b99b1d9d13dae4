"""Images that want more than an image may have (SECURITY.md, table 3): what they say is data, and steers nothing."""

import copy
import gzip
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pydocker.client import address, images
from pydocker.client.address import connect
from pydocker.client.api import ApiError, Client
from pydocker.errors import PydockerError
from pydocker.images.pull import pull
from pydocker.images.store import ImageStore
from pydocker.model import digest
from pydocker.model.reference import parse
from pydocker.paths import Paths
from pydocker.registry.repository import Repository
from tests.engine import Engine, busybox_archive
from tests.peers.layout import CONFIG, LAYER, MANIFEST, Layout
from tests.peers.registry import Registry
from tests.peers.stub import Reply, Stub
from tests.root.layers.archive import archive, entry

Document = dict[str, Any]
Serve = Callable[..., str]


@pytest.fixture
def hostile(engine: Engine, registry: Registry, session_directory: Path) -> Callable[..., str]:
    """`hostile(name, more={…}, annotations={…}, Env=[…])` is pulled: `more` stands in the config beside `config`."""
    def make(name: str, *, more: Document | None = None, annotations: dict[str, str] | None = None,
             **config: object) -> str:
        layout = Layout(Path(tempfile.mkdtemp(dir=session_directory)))
        tar = busybox_archive()
        document = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"], **config}, **(more or {}),
                    "rootfs": {"type": "layers", "diff_ids": [digest.of(tar)]}}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "annotations": annotations or {},
                    "config": layout.blob(CONFIG, json.dumps(document).encode()),
                    "layers": [layout.blob(LAYER, gzip.compress(tar, 1, mtime=0))]}
        registry.push(layout.tag("x", layout.blob(MANIFEST, json.dumps(manifest).encode())), name)
        engine.ok("pull", registry.name(name))
        return registry.name(name)

    return make


def test_an_image_that_sets_security_options(engine: Engine, hostile: Callable[..., str]) -> None:
    """CVE-2014-6408."""
    wishes: Document = {
        "Privileged": True, "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"], "CapAdd": ["ALL"],
        "NetworkMode": "host", "PidMode": "host", "Binds": ["/:/host"], "ReadonlyPaths": [], "MaskedPaths": []}
    plain = hostile("wishes/plain:1")
    greedy = hostile("wishes/greedy:1", more={"host_config": wishes, "HostConfig": wishes, **wishes},
                     HostConfig=wishes, **wishes)
    script = "grep -E 'Cap|Seccomp|NoNew' /proc/self/status; set -- /proc/[0-9]*; echo $#; ls /sys/class/net; ls /host"
    said = [engine.pydocker("run", "--name", f"c{at}", name, "sh", "-c", script)
            for at, name in enumerate((plain, greedy))]
    assert said[0].out == said[1].out
    assert "CapEff:\t00000000a80425fb" in said[1].out
    shown = [json.loads(engine.ok("inspect", f"c{at}"))[0]["HostConfig"] for at in (0, 1)]
    assert shown[0] == shown[1]


def test_an_image_with_every_label_that_an_engine_ever_obeyed(engine: Engine, hostile: Callable[..., str],
                                                              tmp_path: Path) -> None:
    """CVE-2026-53488: containerd's restart monitor took a program of the host from a label, and ran it as root."""
    canary, program = tmp_path / "canary", tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {canary}\n")
    program.chmod(0o755)
    labels = {
        "containerd.io/restart.status": "running", "containerd.io/restart.policy": "always",
        "containerd.io/restart.loguri": f"binary://{program}", "containerd.io/restart.logpath": f"{canary}",
        "org.systemd.property.ExecStartPre": f"'{program}'", "run.oci.hooks.stderr": str(canary),
        "run.oci.handler": "krun", "io.kubernetes.cri-o.TrySkipVolumeSELinuxLabel": "true",
        "com.docker.network.bridge.name": "evil", "io.podman.annotations.privileged": "TRUE",
        "io.podman.annotations.autoremove": "TRUE", "org.opencontainers.image.ref.name": "docker.io/library/evil:1",
        "cdi.k8s.io/x": "vendor.com/device=all", "io.pydocker.runtime": str(program),
    }
    name = hostile("labels:1", annotations=labels, Labels=labels)
    names = engine.ok("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert name in names and not any("evil" in known for known in names)
    assert engine.ok("run", "--name", "labelled", name, "echo", "once") == "once"
    (shown,) = json.loads(engine.ok("inspect", "labelled"))
    assert {key: shown["Config"]["Labels"][key] for key in labels} == labels
    assert shown["State"]["Status"] == "exited"
    assert shown["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert not shown["HostConfig"].get("Annotations")
    assert not canary.exists()


def test_an_image_whose_environment_asks_for_the_hosts(make_engine: Callable[..., Engine], registry: Registry,
                                                       hostile: Callable[..., str]) -> None:
    """CVE-2026-57231: an entry without `=` took the value from the engine's own environment."""
    name = hostile("env:1", Env=["SECRET_A", "*", "SECRET*", "HOME", "PATH", "", "GOOD=1"])
    other = make_engine()
    other.environment |= {"SECRET_A": "of-the-host", "SECRET_B": "of-the-host"}
    other.ok("pull", name)
    out = other.ok("run", "--rm", name, "/bin/env")
    assert "of-the-host" not in out
    assert "GOOD=1" in out.splitlines()
    other.ok("rmi", "-f", name)


@pytest.mark.parametrize("name", [
    "../../../etc/passwd", "sha256:../../../etc/passwd", "sha256:" + "../" * 22 + "x", "%2e%2e/%2e%2e/x",
    "sha256:" + "A" * 64, "sha256:" + "0" * 63, "/etc/passwd", "a/../../b", ".", "..", "sha256:", "x@sha256:../x",
    "x/json?force=1#", "-f", "*", "$(id)",
])
def test_ids_that_are_paths(name: str, engine: Engine) -> None:
    """CVE-2014-9358, CVE-2024-3727."""
    client = Client(lambda: connect(address.parse(engine.host)))
    before = engine.ok("images", "-q") if name == "." else ""
    for ask in (lambda: images.inspect(client, name), lambda: images.history(client, name),
                lambda: images.remove(client, name, force=True, prune=True),
                lambda: images.tag(client, name, "x", "y"), lambda: images.tag(client, "busybox", name, "")):
        with pytest.raises(ApiError) as caught:
            ask()
        assert caught.value.status in (400, 404, 405), caught.value
        assert "root:" not in str(caught.value)
    assert before == (engine.ok("images", "-q") if name == "." else "")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A registry whose documents are what the test says; `serve(manifest, config, *blobs)` gives the image's name."""
    with Stub() as stub:
        stub.on("/v2/", Reply())

        def run(manifest: Document | bytes, config: Document | bytes, *blobs: bytes) -> str:
            content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
            settings = config if isinstance(config, bytes) else json.dumps(config).encode()
            for path in ("evil", digest.of(content)):
                stub.on(f"/v2/x/manifests/{path}", Reply(body=content, headers={"Content-Type": MANIFEST}))
            for blob in (settings, *blobs):
                stub.on(f"/v2/x/blobs/{digest.of(blob)}", Reply(body=blob))
            return f"{stub.address}/x:evil"

        yield run


def described(content: bytes, media_type: str) -> Document:
    return {"mediaType": media_type, "digest": digest.of(content), "size": len(content)}


def documents() -> tuple[Document, Document, bytes]:
    """A right manifest, a right config, and the one layer of both."""
    tar = archive([entry("file", content=b"x")])
    layer = gzip.compress(tar, mtime=0)
    config: Document = {
        "architecture": os.uname().machine, "os": "linux", "created": "2020-01-01T00:00:00Z", "author": "me",
        "config": {"Cmd": ["x"], "Env": ["A=b"], "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}}, "User": "1"},
        "rootfs": {"type": "layers", "diff_ids": [digest.of(tar)]},
        "history": [{"created_by": "x", "empty_layer": False}]}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described(json.dumps(config).encode(), CONFIG),
                "layers": [described(layer, LAYER)], "annotations": {"a": "b"}}
    return manifest, config, layer


def fetched(store: ImageStore, name: str) -> bool:
    """Whether the pull succeeded; anything but a PydockerError is a crash."""
    try:
        with Repository(parse(name)) as repository:
            pull(store, store.layers, repository, parse(name), None, lambda progress: None)
    except PydockerError as error:
        assert "internal error" not in str(error)
        return False
    return True


@pytest.mark.parametrize("field", ["config", "layer", "diff_id"])
@pytest.mark.parametrize("evil", ["sha256:../../../../etc/passwd", "sha256:" + "/" * 64, "../x", "sha512:" + "0" * 128,
                                  "sha256:" + "0" * 64 + "/../../x", ""])
def test_digests_that_are_paths(field: str, evil: str, serve: Serve, store: ImageStore, paths: Paths) -> None:
    """CVE-2024-3727, CVE-2014-9358: in the documents themselves."""
    manifest, config, layer = documents()
    if field == "diff_id":
        config["rootfs"]["diff_ids"] = [evil]
        manifest["config"] = described(json.dumps(config).encode(), CONFIG)
    else:
        (manifest["config"] if field == "config" else manifest["layers"][0])["digest"] = evil
    assert not fetched(store, serve(manifest, config, layer))
    assert (store.list(), list(store.layers), os.listdir(paths.temporary)) == ([], [], [])


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a document."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def put(document: Document, path: tuple[str | int, ...], value: object) -> Document:
    changed: Any = copy.deepcopy(document)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed  # type: ignore[no-any-return]


ODD = (None, True, -1, 10**30, 1.5, "", "x" * 300, "\ud800", [], [[]], {}, {"a": None}, ["a", 1])


def test_documents_that_are_wrong_anywhere(serve: Serve, store: ImageStore, paths: Paths) -> None:
    """CVE-2021-21285: a malformed manifest is an error, not the end of the server; and leaves nothing."""
    manifest, config, layer = documents()
    assert fetched(store, serve(manifest, config, layer))
    chosen = random.Random(int(os.environ.get("PYDOCKER_SEED", "21285")))
    cases = [(which, path, odd) for which in (0, 1) for path in places((manifest, config)[which]) for odd in ODD]
    for which, path, odd in chosen.sample(cases, 40):
        wrong = put(manifest if which == 0 else config, path, odd)
        if which == 1:
            content = json.dumps(wrong).encode()
            name = serve({**manifest, "config": described(content, CONFIG)}, content, layer)
        else:
            name = serve(wrong, config, layer)
        if fetched(store, name):  # it was no place that matters: then the image has to be one
            for image in store.list():
                store.resolve(image.id)
        assert os.listdir(paths.temporary) == [], (path, odd)
    store.collect()


@pytest.mark.parametrize("content", [
    b"", b"null", b"[]", b"{", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b"{}" * 10,
    b'{"schemaVersion":2,"schemaVersion":1}', b'{"schemaVersion":1,"fsLayers":[]}',
    b'{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}',
], ids=range(12))
def test_documents_that_are_none(content: bytes, serve: Serve, store: ImageStore, paths: Paths) -> None:
    manifest, config, layer = documents()
    assert not fetched(store, serve(content, config, layer))
    assert not fetched(store, serve({**manifest, "config": described(content, CONFIG)}, content, layer))
    assert (store.list(), os.listdir(paths.temporary)) == ([], [])
