"""Debian's real dockerd on the same host, after us: neither is in the other's way."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.root.cli.dockerd import Dockerd, installed
from tests.root.judges.engines import remove_cgroups
from tests.root.ports.conftest import Boxes, nft
from tests.root.ports.hosts import CLIENT, ENGINE, Host, Server, Surroundings, ask
from tests.root.ports.test_firewall import answers, eventually

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
NETWORK = ("--bip", "172.29.0.1/24", "--ip6tables=false", "--default-ulimit", "nofile=1024:1024")


class Docker:
    """The daemon and its command line."""

    def __init__(self, directory: Path, parent: str, undo: ExitStack) -> None:
        self._undo = undo
        undo.callback(remove_cgroups, parent)
        self._daemon = Dockerd(directory, (*NETWORK, "--cgroup-parent", parent))
        undo.callback(self._daemon.stop)
        self._daemon.ready()
        undo.callback(self._daemon.clear)

    def __call__(self, *words: str) -> str:
        return subprocess.run(("docker", "-H", self._daemon.host, *words), check=True, capture_output=True,
                              text=True).stdout.strip()

    def run(self, *flags: str) -> Host:
        """The network of a container; a program in it listens at port 80."""
        id = self("run", "-d", *flags, "busybox", "sleep", "1000")
        pid = json.loads(self("inspect", id))[0]["State"]["Pid"]
        host = Host(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        self._undo.callback(os.close, host.fd)
        self._undo.callback(Server("0.0.0.0", 80, host).close)
        return host


@pytest.fixture
def no_router(around: Surroundings) -> Iterator[None]:
    """A host that forwards nothing, and without rules of others."""
    before = FORWARDING.read_text()
    FORWARDING.write_text("0")
    yield
    for link in ("docker0", "br-dockers"):
        subprocess.run(("ip", "link", "delete", link), capture_output=True, check=False)
    nft("flush", "ruleset")
    FORWARDING.write_text(before)


@pytest.mark.skipif(not installed(), reason="needs dockerd: make setup-tests")
@pytest.mark.usefixtures("no_router")
def test_docker_that_comes_after_us(make_engine: Callable[..., Engine], around: Surroundings, server: int,
                                    session_directory: Path, token: str) -> None:
    """It finds a host that forwards already. Its networks, the default one and later ones, have their own rules; what
    nobody has asked for stays dropped."""
    own = make_engine(bip="10.73.0.1/24")
    own.import_busybox()
    with ExitStack() as undo:
        ours = Boxes(own, undo)("-p", "8080:80").serve(80)
        assert "ipv4" in nft("list", "chain", "inet", own.bridge, "others")
        own.kill()  # nobody has to be there who notices
        docker = Docker(Path(tempfile.mkdtemp(dir=session_directory)), f"/{token}/dockers", undo)
        docker("network", "create", "-o", "com.docker.network.bridge.name=br-dockers", "dockers")
        for port, flags in ((8081, ()), (8082, ("--network", "dockers"))):
            theirs = docker.run("-p", f"{port}:80", *flags)
            assert theirs.ask(CLIENT, server).strip() == ENGINE
            assert around.client.ask(ENGINE, port).strip() == CLIENT
            assert ask("127.0.0.1", port)
        assert eventually(answers(around)) and ours.host.ask(CLIENT, server).strip() == ENGINE
