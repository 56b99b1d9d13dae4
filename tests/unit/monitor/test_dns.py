"""The resolver in a monitor that has no descriptor left."""

import os
import resource
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import dnslib
import pytest

from pydocker.monitor.dns import Resolver
from pydocker.monitor.launch import Launch
from pydocker.monitor.loop import Loop, Ready


class Counting(Loop):
    """A loop that counts what it is woken for."""

    def __init__(self) -> None:
        super().__init__()
        self.woken = 0

    def watch(self, fd: int, events: int, ready: Ready) -> None:
        def counted(events: int) -> None:
            self.woken += 1
            ready(events)

        super().watch(fd, events, counted)


def test_a_connection_for_which_there_is_no_descriptor_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not looked at again and again, and is answered when there is room."""
    monkeypatch.setattr("pydocker.monitor.dns.REST", 0.05)
    launch = SimpleNamespace(id="0" * 64, networks=str(tmp_path), run_path=tmp_path / "containers/one",
                             dns=SimpleNamespace(dots=True, servers=()))
    loop = Counting()
    udp, tcp = socket.socket(type=socket.SOCK_DGRAM), socket.create_server(("127.0.0.1", 0))
    udp.bind(("127.0.0.1", 0))
    resolver = Resolver(loop, cast(Launch, launch), -1, (udp.detach(), os.dup(tcp.fileno())))
    question = bytes(dnslib.DNSRecord.question("web").pack())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with tcp, socket.create_connection(tcp.getsockname()) as client:
        client.sendall(len(question).to_bytes(2, "big") + question)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            for _ in range(20):
                loop.turn(wait=False)
            assert 1 <= loop.woken <= 3
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        client.settimeout(0.01)
        while True:
            loop.turn()
            try:
                assert dnslib.DNSRecord.parse(client.recv(4096)[2:]).header.id == int.from_bytes(question[:2], "big")
                break
            except TimeoutError:
                continue
        resolver.close()
