"""Both sides of HTTP/1.1 against each other and against raw bytes, over real sockets."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from pydocker.wire import http

Pair = tuple[socket.socket, socket.socket]
HOST = {"Host": "docker"}


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.settimeout(60)
    with ours, theirs:
        yield ours, theirs
        theirs.close()  # a server's thread sees the end, and has to be through before its socket is closed, too
        for thread in _threads:
            thread.join(60)
        _threads.clear()


_threads: list[threading.Thread] = []


def serving(end: socket.socket, answer: Callable[[http.Server, http.Head], None]) -> None:
    """Answer every request on `end` by `answer`, in a thread."""
    def run() -> None:
        server = http.Server(end)
        while (head := server.receive()) is not None:
            answer(server, head)
            if not server.reusable:
                return
    _threads.append(threading.Thread(target=run, daemon=True))
    _threads[-1].start()


def echo(server: http.Server, head: http.Head) -> None:
    content = b"".join(server.body())
    server.respond(200, {"X-Method": head.method, "X-Target": head.target}, content, head=head.method == "HEAD")


def test_requests_one_after_another_on_one_connection(pair: Pair) -> None:
    serving(pair[0], echo)
    client = http.Client(pair[1])
    for body in (b"", b"x" * 3_000_000, b"y"):
        answer = client.request("POST", "/a?b=c", HOST, body)
        assert (answer.status, answer.headers["x-target"], answer.read()) == (200, "/a?b=c", body)
        assert client.reusable


def test_an_iterable_body_is_sent_in_chunks(pair: Pair) -> None:
    serving(pair[0], echo)
    assert http.Client(pair[1]).request("POST", "/", HOST, iter([b"ab", b"", b"cd"])).read() == b"abcd"


def test_head_tells_the_length_and_sends_nothing(pair: Pair) -> None:
    serving(pair[0], lambda server, head: (list(server.body()), server.respond(200, {}, b"OK", head=True))[-1])
    client = http.Client(pair[1])
    answer = client.request("HEAD", "/_ping", HOST)
    assert (answer.headers["content-length"], answer.read()) == ("2", b"")
    assert client.reusable


def test_a_stream_arrives_piece_by_piece(pair: Pair) -> None:
    go = threading.Event()

    def stream(server: http.Server, head: http.Head) -> None:
        list(server.body())
        server.begin(200, {})
        server.write(b"first")
        server.write(b"")  # must not end the body
        assert go.wait(60)
        server.write(b"second")
        server.end()

    serving(pair[0], stream)
    pieces = http.Client(pair[1]).request("GET", "/", HOST).pieces()
    assert next(pieces) == b"first"
    go.set()
    assert b"".join(pieces) == b"second"


def test_a_broken_stream_is_not_mistaken_for_its_end(pair: Pair) -> None:
    def broken(server: http.Server, head: http.Head) -> None:
        list(server.body())
        server.begin(200, {})
        server.write(b"half")
        server.close()

    serving(pair[0], broken)
    pieces = http.Client(pair[1]).request("GET", "/", HOST).pieces()
    assert next(pieces) == b"half"
    with pytest.raises(http.ProtocolError):
        next(pieces)


def test_an_upgrade_leaves_the_bare_socket_with_what_was_read_too_far(pair: Pair) -> None:
    pair[1].sendall(b"POST /attach HTTP/1.1\r\nHost: \r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
                    b"Content-Length: 2\r\n\r\n{}early input")
    server = http.Server(pair[0])
    assert server.receive() is not None
    assert b"".join(server.body()) == b"{}"
    taken, leftover = server.upgrade(http.RAW_STREAM)
    server.close()  # harmless: the socket is no longer its own
    assert leftover == b"early input"
    taken.sendall(b"\0raw")
    received = pair[1].recv(4096)
    head, _, rest = received.partition(b"\r\n\r\n")
    assert head.splitlines()[0] == b"HTTP/1.1 101 UPGRADED"
    assert b"Content-Type: application/vnd.docker.raw-stream" in head
    assert (rest or pair[1].recv(4096)) == b"\0raw"


def test_both_sides_upgrade(pair: Pair) -> None:
    def attach(server: http.Server, head: http.Head) -> None:
        list(server.body())
        taken, _ = server.upgrade(http.MULTIPLEXED_STREAM)
        taken.sendall(b"greeting")
        taken.sendall(taken.recv(100).upper())
        taken.close()

    serving(pair[0], attach)
    answer = http.Client(pair[1]).request("POST", "/attach", {**HOST, **http.UPGRADE_HEADERS})
    assert (answer.status, answer.headers["content-type"]) == (101, http.MULTIPLEXED_STREAM)
    taken, leftover = answer.hijack()
    while len(leftover) < 8:
        leftover += taken.recv(100)
    taken.sendall(b"input")
    assert (leftover, taken.recv(100)) == (b"greeting", b"INPUT")
    taken.close()


def test_a_client_that_offers_no_upgrade_gets_a_plain_200(pair: Pair) -> None:
    pair[1].sendall(b"POST /attach HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n")
    server = http.Server(pair[0])
    server.receive()
    list(server.body())
    taken, _ = server.upgrade(http.RAW_STREAM)
    taken.sendall(b"raw")
    taken.close()
    received = b"".join(iter(lambda: pair[1].recv(4096), b""))
    assert received == b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nraw"


def test_an_offered_upgrade_may_be_declined(pair: Pair) -> None:
    serving(pair[0], lambda server, head: (list(server.body()), server.respond(404, {}, b"no"))[-1])
    client = http.Client(pair[1])
    for _ in range(2):
        answer = client.request("POST", "/attach", {**HOST, **http.UPGRADE_HEADERS})
        assert (answer.status, answer.read()) == (404, b"no")


def test_a_client_that_waits_for_100_is_told_to_go_on(pair: Pair) -> None:
    serving(pair[0], echo)
    pair[1].sendall(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert pair[1].recv(4096).startswith(b"HTTP/1.1 100 ")
    pair[1].sendall(b"ok")
    assert b"HTTP/1.1 200 " in pair[1].recv(4096)


def test_an_http_1_0_client_gets_no_chunks(pair: Pair) -> None:
    pair[1].sendall(b"GET / HTTP/1.0\r\n\r\n")
    server = http.Server(pair[0])
    server.receive()
    list(server.body())
    server.begin(200, {})
    server.write(b"text")
    server.end()
    assert not server.reusable
    server.close()
    assert b"".join(iter(lambda: pair[1].recv(4096), b"")).endswith(b"\r\n\r\ntext")


@pytest.mark.parametrize(("sent", "status"), [
    (b"garbage\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * (http.HEAD_LIMIT + http.PIECE) + b"\r\n\r\n", 431),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # a TLS client
])
def test_what_is_no_request_is_an_error_with_a_status(pair: Pair, sent: bytes, status: int) -> None:
    pair[1].sendall(sent)
    pair[1].shutdown(socket.SHUT_WR)
    with pytest.raises(http.ProtocolError) as caught:
        http.Server(pair[0]).receive()
    assert caught.value.status == status


def test_a_body_that_breaks_off_is_an_error(pair: Pair) -> None:
    pair[1].sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
    pair[1].shutdown(socket.SHUT_WR)
    server = http.Server(pair[0])
    server.receive()
    with pytest.raises(http.ProtocolError):
        list(server.body())


def test_a_client_whose_server_says_nothing_is_told(pair: Pair) -> None:
    pair[0].shutdown(socket.SHUT_WR)
    with pytest.raises(http.ProtocolError):
        http.Client(pair[1]).request("GET", "/", HOST)


def test_a_refused_body_does_not_hide_the_answer(pair: Pair) -> None:
    def refuse(server: http.Server, head: http.Head) -> None:
        server.respond(413, {}, b"too large")
        server.close()

    serving(pair[0], refuse)
    answer = http.Client(pair[1]).request("POST", "/", HOST, iter([b"x" * 65536] * 1000))
    assert (answer.status, answer.read()) == (413, b"too large")
