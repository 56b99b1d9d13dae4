"""Evil registries and images on the way here: the third table of our security notes, against whole engines.

Each case has the advisory that it repeats. The canary is the engine's own store, which has to stay empty, and what the
stubs saw: who was sent a credential. Rows about running an image are the runtime's suite's, beside this file.
"""

import gzip
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydocker.cli import credentials
from pydocker.cli.session import Session
from pydocker.client import address, images
from pydocker.client.api import ApiError, Client
from pydocker.model import reference
from tests.engine import Engine
from tests.peers.evil import Evil
from tests.peers.layout import INDEX, MANIFEST, Document, archive
from tests.peers.stub import Reply, Stub

SECRET = "a-secret-that-nobody-else-may-see"
BASIC = Reply(401, {"WWW-Authenticate": 'Basic realm="x"'})

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: sudo make test")


@pytest.fixture(scope="module")
def engine(session_directory: Path, token: str, compiled: tuple[str, ...]) -> Iterator[Engine]:
    with Engine(Path(tempfile.mkdtemp(dir=session_directory)), token, compiled) as engine:
        engine.environment |= {"HOME": str(engine.root)}
        engine.start()
        yield engine


@pytest.fixture
def evil() -> Iterator[Evil]:
    with Evil() as server:
        yield server


@pytest.fixture
def other() -> Iterator[Stub]:
    """Somebody else's server."""
    with Stub() as server:
        yield server


def stored(engine: Engine) -> list[str]:
    """Every file of images and layers, drafts included (but what waits, unread, for a broken download to go on)."""
    data = engine.roots[0]
    known = ("oci-layout", "index.json", "events.jsonl", "network.json", "partial-")
    return [str(path.relative_to(data)) for path in data.rglob("*")
            if path.is_file() and not path.name.startswith(known) and not path.name.endswith(".lock")]


def refused(engine: Engine, name: str) -> str:
    """The one line that a pull fails with; nothing of it is stored, and the server is the same as before."""
    [server] = engine.server()
    said = asked(engine, name)
    assert said and said.isprintable()
    catalog = engine.roots[0] / "images" / "index.json"
    assert not catalog.exists() or json.loads(catalog.read_bytes())["manifests"] == []
    assert stored(engine) == []
    assert engine.server() == [server]
    return said


def asked(engine: Engine, name: str) -> str:
    """What a pull ends with, by the API; the credentials are those that the client's file has."""
    client = Client(lambda: address.connect(address.parse(engine.host)))
    wanted = reference.parse(name)
    authorization = credentials.header(Session(engine.environment), wanted.domain)
    try:
        told = list(images.told(images.pull(client, wanted.familiar_name, wanted.tag or "", None, authorization)))
    except ApiError as error:
        return str(error)
    return told[-1].error


def log_in(engine: Engine, registry: Stub) -> None:
    engine.ok("login", "-u", "user", "--password-stdin", registry.address, input=SECRET)


def authorized(stub: Stub) -> list[str]:
    return [seen.path for seen in stub.seen if "Authorization" in seen.headers]


def test_the_control(engine: Engine, evil: Evil) -> None:
    """What is not evil is pulled: so the cases below fail for their own reason."""
    evil.tag(evil.image())
    assert asked(engine, evil.name()) == ""
    engine.ok("rmi", evil.name())
    assert stored(engine) == []


def test_no_fall_back_to_http(engine: Engine, evil: Evil) -> None:
    """CVE-2014-5277: whoever can cut TLS off must not be spoken to in plain text."""
    evil.tag(evil.image())
    elsewhere = evil.name().replace("127.0.0.1", "0.0.0.0")
    assert refused(engine, elsewhere).startswith('Get "https://0.0.0.0')
    assert not evil.seen


def test_a_redirected_layer_takes_no_credentials_along(engine: Engine, evil: Evil, other: Stub) -> None:
    """CVE-2020-15157: the password of a registry went to wherever the layer was said to be."""
    layer = archive({"file": b"redirected"})
    evil.on("/v2/", BASIC, Reply())
    log_in(engine, evil)
    content = gzip.compress(layer, 1, mtime=0)
    evil.tag(evil.image(layer=layer, replies=(BASIC, Reply(307, {"Location": f"{other.url}/layer"}))))
    other.on("/layer", BASIC, Reply(body=content))
    assert "/layer" in refused(engine, evil.name())
    assert len(authorized(evil)) >= 2  # the registry itself was shown them: there was something to steal
    assert other.seen and not authorized(other)


def test_a_foreign_layer_is_not_fetched_from_where_it_says(engine: Engine, evil: Evil, other: Stub) -> None:
    """CVE-2020-15157, the other half: `urls` of a layer."""
    image = evil.image()
    image["layers"][0]["urls"] = [f"{other.url}/layer"]
    evil.tag(image)
    assert asked(engine, evil.name()) == ""
    engine.ok("rmi", evil.name())
    image["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    evil.tag(image)
    assert "unsupported media type" in refused(engine, evil.name())
    assert not other.seen


def test_another_registrys_token_server_gets_nothing_of_this_one(engine: Engine, evil: Evil, other: Stub) -> None:
    """CVE-2019-13509 and its like: credentials are found by the exact host and port, and sent there alone."""
    evil.on("/v2/", BASIC, Reply())
    log_in(engine, evil)
    other.on("/v2/a/b/manifests/1", BASIC)
    for name in (f"{other.address}/a/b:1", f"{other.address}/{evil.address.replace(':', '/')}/a/b:1"):
        refused(engine, name)
    assert other.seen and not authorized(other)


def test_no_secret_is_left_in_a_log(engine: Engine, evil: Evil) -> None:
    """CVE-2019-13509, CVE-2021-41092: not in the server's log, not in its state, not in what is printed."""
    evil.on("/v2/", BASIC, Reply(401), Reply(401))
    refusal = engine.pydocker("-D", "login", "-u", "user", "--password-stdin", evil.address, input=SECRET)
    assert refusal.code == 1
    evil.on("/v2/", BASIC, Reply())
    log_in(engine, evil)
    evil.on("/v2/a/b/manifests/1", BASIC, Reply(400, body=SECRET.encode()))
    failed = engine.pydocker("-D", "pull", evil.name())
    assert failed.code == 1
    assert SECRET not in refusal.out + refusal.err + failed.out + failed.err
    written = [path for path in engine.root.rglob("*") if path.is_file() and not path.is_symlink()]
    kept = [path for path in written if SECRET.encode() in path.read_bytes()]
    assert kept == []  # config.json has it in base64, for its owner alone
    assert (engine.root / ".docker" / "config.json").stat().st_mode & 0o777 == 0o600
    arguments = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in engine.processes()]
    assert not any(SECRET.encode() in words for words in arguments)


@pytest.mark.parametrize("change", [
    {"manifests": []}, {"Manifests": []}, {"mediaType": INDEX}, {"fsLayers": []}, {"schemaVersion": 1},
    {"LAYERS": []},
], ids=str)
def test_an_ambiguous_document(engine: Engine, evil: Evil, change: Document) -> None:
    """CVE-2021-41190: one engine reads a manifest, the next one an index."""
    evil.tag(evil.image() | change)
    refused(engine, evil.name())


@pytest.mark.parametrize("media_type", [INDEX, "application/json", "text/html", ""])
def test_a_document_of_another_type(engine: Engine, evil: Evil, media_type: str) -> None:
    """CVE-2021-41190: the type is what the header says, and the document has to agree."""
    evil.tag(evil.image(), media_type)
    refused(engine, evil.name())


@pytest.mark.parametrize("digest", [
    "sha256:../../../../../../etc/passwd", "../../x", "sha256:" + "G" * 64, "sha512:" + "0" * 128,
    "sha256:" + "0" * 64 + "/../x", "", "sha256:" + "0" * 64 + "\n",
], ids=repr)
def test_a_digest_that_is_a_path(engine: Engine, evil: Evil, digest: str) -> None:
    """CVE-2024-3727, CVE-2014-9358: what is used as a name of a file is a digest, or refused."""
    image = evil.image()
    image["layers"][0]["digest"] = digest
    evil.tag(image)
    assert "invalid digest" in refused(engine, evil.name())
    image = evil.image()
    image["config"]["digest"] = digest
    evil.tag(image)
    assert "invalid digest" in refused(engine, evil.name())
    if digest.isprintable():
        evil.tag(evil.image(), **{"Docker-Content-Digest": digest})
        if digest.startswith("sha256:"):
            refused(engine, evil.name())


@pytest.mark.parametrize("content", [
    b"", b"null", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b'{"layers": 7}',
    b'{"schemaVersion": 1e999}', b'{"schemaVersion": 2, "schemaVersion": 2}',
], ids=lambda content: repr(content[:20]))
def test_a_malformed_document(engine: Engine, evil: Evil, content: bytes) -> None:
    """CVE-2021-21285: a manifest that no daemon may fall over."""
    evil.tag(content)
    refused(engine, evil.name())


def test_an_index_that_points_to_itself(engine: Engine, evil: Evil) -> None:
    """No document can contain its own digest; a registry may say so all the same."""
    digest = "sha256:" + "1" * 64
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {"mediaType": INDEX, "digest": digest, "size": 10, "platform": {"os": "linux", "architecture": "amd64"}}]}
    content = evil.tag(index, INDEX)
    evil.on(f"/v2/a/b/manifests/{digest}", Reply(headers={"Content-Type": INDEX}, body=content))
    assert "manifest verification failed" in refused(engine, evil.name())
    inner = {"mediaType": INDEX, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}
    evil.on(f"/v2/a/b/manifests/{inner['digest']}", Reply(headers={"Content-Type": INDEX}, body=content))
    evil.tag({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]}, INDEX)
    assert "an index inside an index" in refused(engine, evil.name())
    assert len(evil.seen) < 12


def test_four_gigabytes_of_json(engine: Engine, evil: Evil) -> None:
    """Declared, they are not read; undeclared, they are read up to the limit."""
    for length in (4 << 30, -1):
        evil.on("/v2/a/b/manifests/1", Reply(headers={"Content-Type": MANIFEST}, body=b" " * (6 << 20), length=length))
        assert "is longer than" in refused(engine, evil.name())


@pytest.mark.parametrize(("reply", "words"), [
    (Reply(body=b"x" * 300), "declares 300 bytes"), (Reply(body=b"x" * 300, length=-1), "longer than"),
    (Reply(404), "404"),
    (Reply(302, {"Location": "file:///etc/passwd"}), "unsupported address"),
    (Reply(429, {"Retry-After": "9999"}), "toomanyrequests"),
    (Reply(403), "denied"), (Reply(status=206, headers={"Content-Range": "bytes 5-9/10"}), "another range"),
], ids=str)
def test_a_layer_that_is_not_what_was_promised(engine: Engine, evil: Evil, reply: Reply, words: str) -> None:
    evil.tag(evil.image(replies=(reply,)))
    assert words in refused(engine, evil.name())


def test_a_layer_with_another_digest(engine: Engine, evil: Evil) -> None:
    image = evil.image()
    digest = image["layers"][0]["digest"]
    evil.on(f"/v2/a/b/blobs/{digest}", Reply(body=b"x" * image["layers"][0]["size"]))
    evil.tag(image)
    assert digest in refused(engine, evil.name())


def test_what_an_image_says_of_its_own_safety_is_nothing(engine: Engine, evil: Evil) -> None:
    """CVE-2014-6408: only what a config may preset is taken from it."""
    options = {"Privileged": True, "SecurityOpt": ["seccomp=unconfined"], "CapAdd": ["ALL"], "Binds": ["/:/host"]}
    evil.tag(evil.image(config={"config": {"Cmd": ["/file"], **options}, "HostConfig": options} | options))
    engine.ok("pull", evil.name())
    created = engine.ok("create", evil.name())
    [shown] = json.loads(engine.ok("inspect", created))
    engine.ok("rm", created)
    engine.ok("rmi", evil.name())
    host = shown["HostConfig"]
    assert (host["Privileged"], host["SecurityOpt"] or [], host["CapAdd"] or [], host["Binds"] or []) == (
        False, [], [], [])


def test_a_registry_cannot_write_to_the_terminal(engine: Engine, evil: Evil) -> None:
    evil.on("/v2/a/b/manifests/1", Reply(403, body=json.dumps(
        {"errors": [{"code": "DENIED", "message": "\x1b]0;evil\x07\x1b[2Jno\r\nway"}]}).encode()))
    assert "no way" in refused(engine, evil.name())
