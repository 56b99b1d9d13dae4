"""A small journal: takes what systemd-journald takes at its socket, and answers what journalctl is asked here.

    with Journal(directory) as journal:
        journal.socket, journal.directory / "bin" (for PATH), journal.entries()

It differs from the real one in this: entries are lines of JSON, and `--sync` waits until the socket is empty.
"""

import json
import os
import socket
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Self

JOURNALCTL = """#!{python}
import sys
sys.path[:0] = [{checkout!r}]
from pathlib import Path
from tests.peers.journal import journalctl
journalctl(Path({directory!r}), sys.argv[1:])
"""


class Journal:
    """Listens as soon as it is made; `stuck`: it takes nothing."""

    def __init__(self, directory: Path, *, stuck: bool = False) -> None:
        self.directory = directory
        self.socket = directory / "socket"
        (directory / "bin").mkdir()
        program = directory / "bin" / "journalctl"
        checkout = str(Path(__file__).parents[2])
        program.write_text(JOURNALCTL.format(python=sys.executable, checkout=checkout, directory=str(directory)))
        program.chmod(0o755)
        (directory / "entries").touch()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._listener.bind(str(self.socket))
        self._thread = threading.Thread(target=self._serve)
        if not stuck:
            self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._thread.is_alive():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.sendto(b"END", str(self.socket))
            self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with open(self.directory / "entries", "a") as file:
            while (datagram := self._listener.recv(1 << 20)) != b"END":
                if datagram == b"SYNC":
                    (self.directory / "synced").touch()
                    continue
                fields = {name: told(value) for name, value in parse(datagram).items()}
                print(json.dumps({"_UID": "0", "__REALTIME_TIMESTAMP": str(time.time_ns() // 1000), **fields}),
                      file=file, flush=True)

    def entries(self) -> list[dict[str, str]]:
        return _whole(self.directory)


def parse(datagram: bytes) -> dict[str, bytes]:
    """systemd.io/JOURNAL_NATIVE_PROTOCOL."""
    fields = {}
    while datagram:
        line, newline, datagram = datagram.partition(b"\n")
        assert newline, "a field without its end"
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", datagram[:8])
            value, end, datagram = datagram[8:8 + length], datagram[8 + length:9 + length], datagram[9 + length:]
            assert end == b"\n"
        assert name.decode().replace("_", "").isalnum() and name.isupper() and not name.startswith(b"_"), name
        fields[name.decode()] = value
    return fields


def told(value: bytes) -> str | list[int]:
    """journalctl(1), --output=json: what is not UTF-8 is an array of bytes."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return list(value)


def journalctl(directory: Path, words: list[str]) -> None:
    """Print the entries that match, as JSON."""
    if "--sync" in words:
        _sync(directory)
        return
    assert {"--output=json", "--all", "--quiet", "--no-pager"} <= set(words), words
    options = dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)
    wanted = dict(word.split("=", 1) for word in words if not word.startswith("-"))
    entries = [{**one, "__CURSOR": f"c{number}"} for number, one in enumerate(_whole(directory))]
    start = int(options["after-cursor"][1:]) + 1 if "after-cursor" in options else 0
    found = [one for one in entries[start:] if all(one.get(name) == value for name, value in wanted.items())]
    for one in found[-int(options["lines"]):] if "lines" in options else found:
        print(json.dumps(one))


def _whole(directory: Path) -> list[dict[str, str]]:
    """Without a last line that is just being written."""
    lines = (directory / "entries").read_text().rpartition("\n")[0]
    return [json.loads(line) for line in lines.splitlines()]


def _sync(directory: Path) -> None:
    """Datagrams stay in order: when ours has been read, all others have."""
    synced = directory / "synced"
    synced.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.sendto(b"SYNC", str(directory / "socket"))
    while not os.path.exists(synced):
        time.sleep(0.002)
