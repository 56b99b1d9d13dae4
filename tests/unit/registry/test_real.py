"""Debian's docker-registry, as people run it: open, with TLS, with passwords, with signed tokens."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pydocker.errors import NotFound, Unauthorized, Unavailable
from pydocker.model import platform
from pydocker.model.image import Descriptor, Index, Manifest
from pydocker.registry.credentials import Credentials
from pydocker.registry.manifest import decode
from pydocker.registry.repository import Repository
from tests.peers.registry import PASSWORD, REFRESH_TOKEN, USER, Registry
from tests.unit.registry.conftest import Open

RIGHT, WRONG = Credentials(USER, PASSWORD), Credentials(USER, "wrong")


def pulled(repository: Repository, tag: str = "1") -> list[bytes]:
    """Every layer of the amd64 image, through the index."""
    index = decode(repository.manifest(tag))
    assert isinstance(index, Index)
    manifest = decode(repository.manifest(platform.choose(index.manifests, platform.parse("linux/amd64")).digest))
    assert isinstance(manifest, Manifest)
    return [content(repository, layer) for layer in manifest.layers]


def content(repository: Repository, descriptor: Descriptor) -> bytes:
    with repository.blob(descriptor) as pieces:
        return b"".join(pieces)


def test_an_open_registry(open_registry: Registry, repository: Open) -> None:
    assert len(pulled(repository(open_registry.name("public/x")))) == 2


def test_the_same_bytes_as_pushed(open_registry: Registry, repository: Open, image: str) -> None:
    fetched = repository(open_registry.name("public/x")).manifest("1")
    blob = Path(image.split(":")[1]) / "blobs" / "sha256" / hashlib.sha256(fetched.content).hexdigest()
    assert blob.read_bytes() == fetched.content


def test_docker_schema_2(open_registry: Registry, repository: Open, image: str) -> None:
    open_registry.push(image, "public/docker:1", "--format", "v2s2")
    manifest = decode(repository(open_registry.name("public/docker")).manifest("1"))
    assert isinstance(manifest, Manifest)
    assert manifest.layers[0].media_type == "application/vnd.docker.image.rootfs.diff.tar.gzip"


def test_threads_share_a_repository(token_registry: Registry, repository: Open) -> None:
    shared = repository(token_registry.name("private/x"), credentials=RIGHT)
    before = len(token_registry.tokens.asked)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(map(tuple, pool.map(lambda _: pulled(shared), range(24))))) == 1
    assert len(token_registry.tokens.asked) == before + 1


@pytest.mark.parametrize("name", ["public/x", "nosuch/x"])
def test_an_unknown_tag(open_registry: Registry, repository: Open, name: str) -> None:
    with pytest.raises(NotFound) as missing:
        repository(open_registry.name(name)).manifest("nosuch")
    whole = open_registry.name(f"{name}:nosuch")
    assert str(missing.value) == f"manifest for {whole} not found: manifest unknown: manifest unknown"


def test_an_unknown_blob(open_registry: Registry, repository: Open) -> None:
    missing = Descriptor(media_type="", digest="sha256:" + "0" * 64, size=1)  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="blob unknown"):
        content(repository(open_registry.name("public/x")), missing)


def test_tls_with_an_unknown_authority(tls_registry: Registry, repository: Open) -> None:
    with pytest.raises(Unavailable) as refused:
        pulled(repository(tls_registry.name("public/x")))
    assert str(refused.value).startswith(
        f'Get "https://{tls_registry.address}/v2/public/x/manifests/1": tls: failed to verify certificate: '
        "x509: certificate signed by unknown authority"
    )


def test_tls_with_the_authority_in_certs_d(tls_registry: Registry, repository: Open, tmp_path: Path) -> None:
    directory = tmp_path / "certs.d" / tls_registry.address
    directory.mkdir(parents=True)
    (directory / "ca.crt").write_bytes(tls_registry.certificates.authority.read_bytes())
    assert pulled(repository(tls_registry.name("public/x")))


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_tls_with_the_authority_in_the_environment(
    tls_registry: Registry, repository: Open, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tls_registry.certificates.authority))
    assert pulled(repository(tls_registry.name("public/x")))


def test_tls_with_a_registry_that_was_called_insecure(tls_registry: Registry, repository: Open) -> None:
    assert pulled(repository(tls_registry.name("public/x"), insecure=(tls_registry.address,)))
    assert pulled(repository(tls_registry.name("public/x"), insecure=("127.0.0.0/8",)))


def test_a_password(basic_registry: Registry, repository: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(basic_registry.certificates.authority))
    assert pulled(repository(basic_registry.name("private/x"), credentials=RIGHT))
    with pytest.raises(Unauthorized, match=r"/v2/private/x/manifests/1\": unauthorized: authentication required"):
        pulled(repository(basic_registry.name("private/x"), credentials=WRONG))
    with pytest.raises(Unauthorized, match=r"/v2/private/x/manifests/1\": no basic auth credentials"):
        pulled(repository(basic_registry.name("private/x")))


@pytest.mark.parametrize("credentials", [RIGHT, Credentials(identity_token=REFRESH_TOKEN)])
def test_a_token_for_somebody(token_registry: Registry, repository: Open, credentials: Credentials) -> None:
    assert pulled(repository(token_registry.name("private/x"), credentials=credentials))
    assert token_registry.tokens.asked[-1]["scope"] == "repository:private/x:pull"


def test_a_token_for_nobody_in_particular(token_registry: Registry, repository: Open) -> None:
    assert pulled(repository(token_registry.name("public/x")))
    name = token_registry.name("private/x")
    with pytest.raises(NotFound) as denied:
        pulled(repository(name))
    assert str(denied.value) == (
        f"pull access denied for {name}, repository does not exist or may require 'docker login': "
        "denied: requested access to the resource is denied"
    )


def test_a_ready_made_token(token_registry: Registry, repository: Open) -> None:
    token = token_registry.tokens.sign("x", [{"type": "repository", "name": "private/x", "actions": ["pull"]}])
    assert pulled(repository(token_registry.name("private/x"), credentials=Credentials(registry_token=token)))


def test_a_wrong_password_for_a_token(token_registry: Registry, repository: Open) -> None:
    with pytest.raises(Unauthorized, match=r"/token\": incorrect username or password"):
        pulled(repository(token_registry.name("private/x"), credentials=WRONG))


def test_a_token_that_expires_in_between(
    token_registry: Registry, repository: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_registry.tokens, "lifetime", -120)  # distribution allows a minute of leeway
    held = repository(token_registry.name("public/x"))
    with pytest.raises(Unauthorized):
        held.manifest("1")
    monkeypatch.setattr(token_registry.tokens, "lifetime", 300)
    assert pulled(held)
