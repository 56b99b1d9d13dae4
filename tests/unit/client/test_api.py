"""The client against a server that says exactly what the test wants: errors, versions, streams, upgrades, garbage."""

import socket

import pytest

from pydocker.client import containers, images, system
from pydocker.client.api import ApiError, quoted
from pydocker.errors import Unavailable
from tests.unit.client.conftest import Scripted, answer

TOO_NEW = b'{"message":"client version 1.47 is too new. Maximum supported API version is 1.41"}'


def test_an_error_carries_the_servers_words_and_status(scripted: Scripted) -> None:
    scripted.answers = [answer("404 Not Found", b'{"message":"No such container: x"}')]
    with pytest.raises(ApiError, match=r"^No such container: x$") as caught:
        containers.start(scripted.client(), "x")
    assert caught.value.status == 404
    assert scripted.requests[0].startswith(b"POST /v1.47/containers/x/start HTTP/1.1\r\n")


@pytest.mark.parametrize(("body", "said"), [
    (b"<html>proxy</html>", "<html>proxy</html>"), (b"", "status 502 without an explanation"), (b"\xff\xfe", "��"),
    (b'{"massage":1}', '{"massage":1}'),
])
def test_an_error_that_is_no_json_is_shown_as_it_is(scripted: Scripted, body: bytes, said: str) -> None:
    scripted.answers = [answer("502 Bad Gateway", body)]
    with pytest.raises(ApiError) as caught:
        system.version(scripted.client())
    assert str(caught.value) == said


def test_an_older_server_is_asked_again_in_its_own_version(scripted: Scripted) -> None:
    scripted.answers = [answer("400 Bad Request", TOO_NEW), answer("200 OK", b"[]"), answer("200 OK", b"[]")]
    client = scripted.client()
    assert containers.listed(client, {}) == ()
    assert containers.listed(client, {"all": True}) == ()
    assert [request.split()[1] for request in scripted.requests] == [
        b"/v1.47/containers/json", b"/v1.41/containers/json", b"/v1.41/containers/json?all=1"]


def test_a_pinned_version_is_not_changed(scripted: Scripted) -> None:
    scripted.answers = [answer("400 Bad Request", TOO_NEW)]
    with pytest.raises(ApiError, match="too new"):
        containers.listed(scripted.client("1.47"), {})


def test_a_server_that_insists_is_an_error_not_a_loop(scripted: Scripted) -> None:
    scripted.answers = [answer("400 Bad Request", TOO_NEW)] * 2
    with pytest.raises(ApiError, match="too new"):
        containers.listed(scripted.client(), {})


def test_an_upload_asks_for_the_version_first(scripted: Scripted) -> None:
    scripted.answers = [answer("200 OK", b"", "Api-Version: 1.41"), answer("200 OK", b'{"status":"sha256:1"}')]
    response = images.import_(scripted.client(), {"fromSrc": "-", "changes": ("CMD a", "ENV b=c")}, [b"ab", b"c"])
    assert [line.status for line in images.told(response)] == ["sha256:1"]
    target = scripted.requests[1].split()[1]
    assert target == b"/v1.41/images/create?fromSrc=-&changes=CMD%20a&changes=ENV%20b%3Dc"
    assert scripted.requests[1].endswith(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")


@pytest.mark.parametrize("said", [
    b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[", answer("200 OK", b"no json"),
    answer("200 OK", b"[1]"), answer("200 OK", b"\xff"),
])
def test_garbage_is_one_line_about_the_server(scripted: Scripted, said: bytes) -> None:
    scripted.answers = [said]
    with pytest.raises(Unavailable) as caught:
        containers.listed(scripted.client(), {})
    assert str(caught.value).startswith(("the server's answer is broken", "the server closed the connection"))
    assert "\n" not in str(caught.value)


def test_who_only_asks_asks_again_when_the_server_is_gone_without_a_word(scripted: Scripted) -> None:
    scripted.answers = [b"", b"", answer("200 OK", b"[]")]
    assert containers.listed(scripted.client(), {}) == ()
    scripted.answers = [b"", b"", b""]
    with pytest.raises(Unavailable, match=r"^the server closed the connection without an answer$"):
        containers.listed(scripted.client(), {})
    assert len(scripted.requests) == 6


@pytest.mark.parametrize(("unread", "asked"), [(False, 1), (True, 2)])
def test_what_would_have_an_effect_is_asked_again_only_if_it_was_not_read(scripted: Scripted, unread: bool,
                                                                          asked: int) -> None:
    """As long as it waits in the listener's queue, or in the socket's, nobody has read it."""
    scripted.reads = [not unread]
    scripted.answers = [b"", answer("200 OK")]
    if unread:
        containers.start(scripted.client(), "x")
    else:
        with pytest.raises(Unavailable, match="without an answer"):
            containers.start(scripted.client(), "x")
    assert len(scripted.requests) == asked


def test_an_upgrade_hands_over_the_socket_and_what_was_read_too_far(scripted: Scripted) -> None:
    def upgraded(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst")
        assert connection.recv(5) == b"input"
        connection.sendall(b"second")

    scripted.answers = [upgraded]
    stream = containers.attach(scripted.client(), "web", {"stream": True})
    with stream.socket as connection:
        connection.sendall(b"input")
        received = stream.leftover
        while len(received) < len(b"firstsecond"):
            received += connection.recv(100)
    assert received == b"firstsecond"
    assert b"\r\nupgrade: tcp\r\n" in scripted.requests[0].lower()


def test_a_refused_upgrade_is_an_error(scripted: Scripted) -> None:
    scripted.answers = [answer("409 Conflict", b'{"message":"container is not running"}')]
    with pytest.raises(ApiError, match="not running"):
        containers.attach(scripted.client(), "web", {})


def test_progress_lines_may_come_in_any_pieces(scripted: Scripted) -> None:
    pieces = [b'{"status":"Pulling", "id"',
              b':"a"}\r\n{"status":"b","progressDetail":{"current":1,"total":2}}\n{"error"', b':"no"}']
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    scripted.answers = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks]
    lines = list(images.told(images.pull(scripted.client(), "alpine", "3", None, None)))
    told = [(line.id, line.status, line.error) for line in lines]
    assert told == [("a", "Pulling", ""), ("", "b", ""), ("", "", "no")]
    assert lines[1].detail is not None
    assert (lines[1].detail.current, lines[1].detail.total) == (1, 2)


@pytest.mark.parametrize(("name", "target"), [
    ("a/../../images/x", b"/v1.47/containers/a%2F..%2F..%2Fimages%2Fx/json"),
    ("a?b=c#d e", b"/v1.47/containers/a%3Fb%3Dc%23d%20e/json"),
    ("é\r\nX: y", b"/v1.47/containers/%C3%A9%0D%0AX:%20y/json"),
])
def test_a_name_stays_one_segment_of_the_path(scripted: Scripted, name: str, target: bytes) -> None:
    scripted.answers = [answer("200 OK", b"{}")]
    containers.inspect(scripted.client(), name, False)
    assert scripted.requests[0].split(b" ")[1] == target


def test_quoting_keeps_what_argv_could_not_decode() -> None:
    assert quoted(b"a\xff/b".decode("utf-8", "surrogateescape"), b"/") == "a%FF/b"
