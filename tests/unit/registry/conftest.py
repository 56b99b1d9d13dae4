"""Registries and stubs for this room, and repositories that do not wait long."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pydocker.model import reference
from pydocker.registry.patience import Patience
from pydocker.registry.repository import Repository
from tests.peers import certificates
from tests.peers.certificates import Certificates
from tests.peers.layout import Layout, archive
from tests.peers.registry import Registry
from tests.peers.stub import Reply, Stub

SHORT = Patience(attempts=3, first=0.001, most=0.01, connect=5, read=5)
Open = Callable[..., Repository]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's own environment says of authorities and proxies is none of a test's business."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Open]:
    """`repository("host:port/name")`: patient for milliseconds, closed after the test."""
    with ExitStack() as ends:
        def open(name: str, **options: Any) -> Repository:
            options = {"patience": SHORT, "certificates": (tmp_path / "certs.d",)} | options
            return ends.enter_context(Repository(reference.parse(name), **options))

        yield open


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A misbehaving registry without authentication, in plain HTTP."""
    with Stub() as server:
        server.on("/v2/", Reply())
        yield server


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    """Certificates of an authority that nobody knows."""
    return certificates.make(tmp_path)


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An index of two small images, in skopeo's notation."""
    layout = Layout(tmp_path_factory.mktemp("layout"))
    amd64 = layout.image([archive({"a": b"a" * 1000}), archive({"b": b"b"})])
    arm64 = layout.image([archive({"c": b"c"})], "arm64")
    return layout.tag("latest", layout.index([amd64, arm64]))


def _registry(directory: Path, image: str, **options: Any) -> Iterator[Registry]:
    with Registry(directory, **options) as registry:
        for name in ("public/x:1", "private/x:1"):
            registry.push(image, name, "--all")
        yield registry


@pytest.fixture(scope="session")
def open_registry(tmp_path_factory: pytest.TempPathFactory, image: str) -> Iterator[Registry]:
    yield from _registry(tmp_path_factory.mktemp("registry"), image)


@pytest.fixture(scope="session")
def tls_registry(tmp_path_factory: pytest.TempPathFactory, image: str) -> Iterator[Registry]:
    yield from _registry(tmp_path_factory.mktemp("registry"), image, tls=True)


@pytest.fixture(scope="session")
def basic_registry(tmp_path_factory: pytest.TempPathFactory, image: str) -> Iterator[Registry]:
    yield from _registry(tmp_path_factory.mktemp("registry"), image, auth="basic", tls=True)


@pytest.fixture(scope="session")
def token_registry(tmp_path_factory: pytest.TempPathFactory, image: str) -> Iterator[Registry]:
    yield from _registry(tmp_path_factory.mktemp("registry"), image, auth="token")
