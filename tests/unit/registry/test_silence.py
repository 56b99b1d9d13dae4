"""A registry that says nothing for long, or little at a time: what is there is handed on, who waits can be freed."""

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from pydocker.errors import PydockerError, Unavailable
from pydocker.registry.repository import Repository
from tests.peers.certificates import Certificates
from tests.peers.stub import Reply, Stub
from tests.unit.registry.conftest import SHORT, Open
from tests.unit.registry.test_bad_luck import BLOB, CONTENT, PATH


@pytest.fixture
def near(stub: Stub, repository: Open) -> Repository:
    return repository(f"{stub.address}/a/b")


def test_what_is_there_is_handed_on(stub: Stub, repository: Open) -> None:
    """The registry sends ten bytes, and the next only when somebody has had these: who waits for more waits for ever.
    """
    stub.on(PATH, Reply(body=CONTENT, cut=10, silent=True), Reply(body=CONTENT, ranges=True))
    with repository(f"{stub.address}/a/b", patience=replace(SHORT, read=3600)).blob(BLOB) as pieces:
        assert next(pieces) == CONTENT[:10]
        stub.over.set()
        assert b"".join(pieces) == CONTENT[10:]


def freed(stub: Stub, registry: Repository, wait: Callable[[], object]) -> None:
    """Who waits is interrupted by another thread, and asks for nothing more."""
    before = len(stub.seen)
    with registry.interruptible() as interrupt:
        threading.Thread(target=lambda: (asked(stub, before), interrupt())).start()
        with pytest.raises(Unavailable, match=r": interrupted$"):
            wait()
    assert len(stub.seen) == before + 1


def asked(stub: Stub, before: int) -> None:
    while len(stub.seen) == before:
        time.sleep(0.01)


def fetch(registry: Repository) -> bytes:
    with registry.blob(BLOB) as pieces:
        return b"".join(pieces)


@pytest.mark.parametrize("reply", [Reply(body=CONTENT, cut=10, silent=True), Reply(raw=b"", silent=True)])
def test_who_waits_is_freed(reply: Reply, stub: Stub, near: Repository) -> None:
    near.head("1")  # where the registry is entered, only one thread waits, and TLS is tried
    stub.on(PATH, reply)
    freed(stub, near, lambda: fetch(near))
    stub.on(PATH, Reply(body=CONTENT))
    assert fetch(near) == CONTENT


def test_who_waits_is_freed_in_tls_too(made: Certificates, repository: Open) -> None:
    with Stub(made) as stub:
        stub.on(PATH, Reply(body=CONTENT, cut=10, silent=True), Reply(body=CONTENT))
        registry = repository(f"{stub.address}/a/b", insecure=(stub.address,))
        registry.head("1")
        freed(stub, registry, lambda: fetch(registry))
        assert fetch(registry) == CONTENT


def test_who_waits_is_freed_in_the_tls_of_a_proxy_too(
    made: Certificates, repository: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stub(made) as stub, tunnel(made, stub) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
        stub.on(PATH, Reply(body=CONTENT, cut=10, silent=True), Reply(body=CONTENT))
        registry = repository("registry.test/a/b", insecure=("registry.test",))
        registry.head("1")
        freed(stub, registry, lambda: fetch(registry))
        assert fetch(registry) == CONTENT


@contextmanager
def tunnel(made: Certificates, to: Stub) -> Iterator[str]:
    """A proxy that is spoken to in TLS, and leads everybody to one registry."""
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(made.certificate, made.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lead, args=(listener, settings, to), daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def lead(listener: socket.socket, settings: ssl.SSLContext, to: Stub) -> None:
    with suppress(OSError):  # until it is shut down
        while True:
            threading.Thread(target=carry, args=(listener.accept()[0], settings, to), daemon=True).start()


def carry(plain: socket.socket, settings: ssl.SSLContext, to: Stub) -> None:
    host, port = to.address.split(":")
    with suppress(OSError), settings.wrap_socket(plain, server_side=True) as inside, \
            socket.create_connection((host, int(port))) as outside:
        inside.recv(65536)
        inside.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            for one in select.select((inside, outside), (), ())[0]:
                if not (piece := one.recv(65536)):
                    return
                (outside if one is inside else inside).sendall(piece)


def test_who_has_left_is_not_asked_for_again(stub: Stub, repository: Open) -> None:
    """Before each further try, whoever waits is told nothing, and may say that nobody does."""
    def nobody(words: str) -> None:
        raise PydockerError("the client has gone")

    registry = repository(f"{stub.address}/a/b", notice=nobody)
    registry.head("1")
    stub.on(PATH, Reply(raw=b""))
    with pytest.raises(PydockerError, match="the client has gone"):
        fetch(registry)
    assert stub.paths().count(PATH) == 1
