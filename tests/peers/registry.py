"""Debian's docker-registry on a free loopback port, as its users run it: open, with TLS, with passwords, with tokens.

    with Registry(directory) as registry:                               Registry(directory, auth="basic", tls=True) …
        registry.push(f"oci:{layout}:latest", "some/name:tag")          anything that skopeo reads
        registry.name("some/name:tag")                                  127.0.0.1:41234/some/name:tag
"""

import json
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal

import pytest

from tests.peers import certificates
from tests.peers.tokens import ISSUER, SERVICE, TokenServer

USER, PASSWORD, REFRESH_TOKEN = "somebody", "some:password", "a-refresh-token"
PATIENCE = 60.0  # seconds that a registry may take to listen
_LISTENING = "0A"  # include/net/tcp_states.h


class Registry:
    """One registry process with its files below `directory`; a log beside them."""

    def __init__(self, directory: Path, *, auth: Literal["none", "basic", "token"] = "none", tls: bool = False) -> None:
        for program in ("docker-registry", "skopeo", "htpasswd"):
            if shutil.which(program) is None:
                pytest.skip(f"needs {program}: make setup")
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.auth, self.tls = directory, auth, tls
        self.certificates = certificates.make(directory)
        self.log = directory / "log"
        self._ends = ExitStack()

    def __enter__(self) -> "Registry":
        with ExitStack() as undo:
            self.tokens = undo.enter_context(TokenServer(self.certificates, {USER: PASSWORD}, REFRESH_TOKEN))
            self._start(undo)
            self._ends = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ends.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def name(self, name: str) -> str:
        """A whole reference for a repository (and tag) of this registry."""
        return f"{self.address}/{name}"

    def push(self, source: str, name: str, *options: str) -> None:
        """Copy an image into the registry with skopeo; `source` is in its notation (`oci:…`, `docker-archive:…`)."""
        credentials = [] if self.auth == "none" else ["--dest-creds", f"{USER}:{PASSWORD}"]
        subprocess.run(
            ["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false", *credentials, *options,
             source, f"docker://{self.name(name)}"],
            check=True, timeout=120,
        )

    def requests(self) -> list[str]:
        """The access log's lines (GET, HEAD, …), oldest first. That of an answer of more than 4 kB is written when all
        of it has been sent: the client may look before that.
        """
        return [line for line in self.log.read_text().splitlines() if '" 2' in line or '" 4' in line]

    def _start(self, undo: ExitStack) -> None:
        """Start it. Between finding a free port and using it another process may take it: then try the next."""
        for _ in range(5):
            self.port = free_port()
            configuration = self.directory / "config.yml"
            configuration.write_text(json.dumps(self._configuration()))  # JSON is YAML
            log = undo.enter_context(self.log.open("wb"))
            process = subprocess.Popen(["docker-registry", "serve", configuration], stdout=log, stderr=log)
            undo.callback(_end, process)
            if self._answers(process):
                return
        pytest.fail(f"docker-registry does not start:\n{self.log.read_text()}")

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            if self._listens():
                return process.poll() is None
            time.sleep(0.02)
        return False

    def _listens(self) -> bool:
        """Connecting would tell, too; but where nobody listens yet, a client may happen to have that port itself."""
        rows = [row.split() for row in Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]]
        return any(row[1].endswith(f":{self.port:04X}") and row[3] == _LISTENING for row in rows)

    def _configuration(self) -> dict[str, object]:
        http: dict[str, object] = {"addr": self.address, "secret": "not one"}
        if self.tls:
            http["tls"] = {"certificate": str(self.certificates.certificate), "key": str(self.certificates.key)}
        storage = {"filesystem": {"rootdirectory": str(self.directory / "storage")}, "delete": {"enabled": True}}
        return {"version": "0.1", "log": {"level": "warn"}, "storage": storage, "http": http} | self._auth()

    def _auth(self) -> dict[str, object]:
        if self.auth == "basic":
            passwords = self.directory / "htpasswd"
            subprocess.run(["htpasswd", "-Bbc", passwords, USER, PASSWORD], check=True, stderr=subprocess.DEVNULL)
            return {"auth": {"htpasswd": {"realm": "pydocker test", "path": str(passwords)}}}
        if self.auth == "token":
            return {"auth": {"token": {
                "realm": self.tokens.realm, "service": SERVICE, "issuer": ISSUER,
                "rootcertbundle": str(self.tokens.bundle),
            }}}
        return {}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
