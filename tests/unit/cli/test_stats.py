"""`stats`: who is watched has a connection and a thread, and who is not has neither."""

import socket
import threading
import time
from collections.abc import Callable

from pydocker.cli.stats import _Board
from pydocker.client.api import Client

SAMPLE = b'{"id":"ab","name":"/web"}\n'
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%s\r\n" % (len(SAMPLE), SAMPLE)


class Server:
    """Sends one sample on each connection, and then nothing."""

    def __init__(self) -> None:
        self.ends: list[socket.socket] = []

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.settimeout(60)
        theirs.sendall(HEAD + CHUNK)
        self.ends.append(theirs)
        return ours


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def ended(end: socket.socket) -> bool:
    while end.recv(4096):
        pass
    return True


def test_who_is_dropped_has_no_connection_and_no_thread() -> None:
    server, before = Server(), {*threading.enumerate()}
    with _Board(Client(server.connect, "1.47"), stream=True, named=False) as board:
        for at in range(3):  # a container that is restarted, and restarted
            board.add("web")
            wait_until(lambda: [bool(sample) for _, sample in board.samples()] == [True])
            board.drop("web")
            assert ended(server.ends[at])
            wait_until(lambda: not {*threading.enumerate()} - before)
        assert (board.samples(), board.errors, board._open) == ([], [], [])
    for end in server.ends:
        end.close()


def test_who_is_watched_anew_is_not_let_go_by_the_reader_before() -> None:
    server = Server()
    with _Board(Client(server.connect, "1.47"), stream=True, named=False) as board:
        board.add("web")
        wait_until(lambda: [bool(sample) for _, sample in board.samples()] == [True])
        board.drop("web")
        board.add("web")
        assert ended(server.ends[0])
        wait_until(lambda: [bool(sample) for _, sample in board.samples()] == [True])
        server.ends[1].sendall(b"0\r\n\r\n")  # the server's own end: it is gone
        wait_until(lambda: not board.any())
        assert board.errors == []
    for end in server.ends:
        end.close()
