"""Reading a container's log back from the journal, with journalctl(1).

It is asked anew for what came after the last entry (by its cursor) whenever there is more: the journal's daemon writes
when it likes, so it is told to write (`--sync`) before each question. Nobody else's entries can be mistaken for this
container's: `_UID=0` is put there by the journal itself, and CONTAINER_ID_FULL by the monitors, which are root's.
"""

import subprocess
from collections.abc import Iterator

import msgspec

from pydocker.errors import PydockerError
from pydocker.model.container import ContainerId
from pydocker.monitor.logformat import Entry
from pydocker.monitor.logwriter import timestamp

_BATCH = 1000
_OURS = frozenset((  # fields that are not the user's
    "MESSAGE", "MESSAGE_ID", "PRIORITY", "CODE_FILE", "CODE_LINE", "CODE_FUNC", "ERRNO", "INVOCATION_ID",
    "USER_INVOCATION_ID", "SYSLOG_FACILITY", "SYSLOG_IDENTIFIER", "SYSLOG_PID", "SYSLOG_TIMESTAMP", "SYSLOG_RAW",
    "DOCUMENTATION", "TID", "UNIT", "USER_UNIT", "CONTAINER_NAME", "CONTAINER_ID", "CONTAINER_ID_FULL",
    "CONTAINER_TAG", "IMAGE_NAME", "CONTAINER_PARTIAL_MESSAGE", "CONTAINER_PARTIAL_ID", "CONTAINER_PARTIAL_ORDINAL",
    "CONTAINER_PARTIAL_LAST"))
_STREAMS = {"6": "stdout", "3": "stderr"}
_Value = str | list[int] | None  # what is not UTF-8 is told byte by byte, what is too long (we say --all) not at all


class JournalReader:
    """As LogReader, of the entries of one container."""

    def __init__(self, id: ContainerId) -> None:
        self._id = id
        self._cursor = ""
        self._tail: int | None = None

    def reopen(self) -> None:
        """There is nothing that could have been missing."""

    def skip_to_tail(self, lines: int) -> None:
        """Give only the last `lines` entries of those that are there now."""
        self._tail = lines

    def read(self) -> Iterator[list[Entry]]:
        """What is there now, in batches. May be called again later. Raises PydockerError."""
        _run("--sync")
        tail, self._tail = self._tail, None
        if tail == 0:
            for _ in self._asked(1):  # so that the cursor is behind it
                pass
            return
        yield from self._asked(tail)

    def _asked(self, tail: int | None) -> Iterator[list[Entry]]:
        words = ["--output=json", "--all", "--quiet", "--no-pager", f"CONTAINER_ID_FULL={self._id}", "_UID=0"]
        words += [f"--after-cursor={self._cursor}"] if self._cursor else []
        words += [f"--lines={tail}"] if tail is not None else []
        batch: list[Entry] = []
        with _started(words) as process:
            assert process.stdout is not None
            for line in process.stdout:
                fields = msgspec.json.decode(line, type=dict[str, _Value])
                self._cursor = _text(fields.get("__CURSOR"))
                batch.append(entry(fields))
                if len(batch) == _BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def close(self) -> None:
        """Nothing is open."""


def entry(fields: dict[str, _Value]) -> Entry:
    """What an entry of the journal was when it was written."""
    end = "" if _text(fields.get("CONTAINER_PARTIAL_MESSAGE")) == "true" else "\n"
    stamp = _text(fields.get("SYSLOG_TIMESTAMP")) or timestamp(int(_text(fields.get("__REALTIME_TIMESTAMP"))) * 1000)
    attributes = {name: _text(value) for name, value in fields.items() if name[0] != "_" and name not in _OURS}
    return Entry(_text(fields.get("MESSAGE")) + end, _STREAMS.get(_text(fields.get("PRIORITY")), "stdout"), stamp,
                 attributes)


def _text(value: _Value) -> str:
    return bytes(value).decode(errors="surrogateescape") if isinstance(value, list) else value or ""


def _started(words: list[str]) -> subprocess.Popen[bytes]:
    """As a context manager it is waited for; who reads no further closes its output, which ends it."""
    try:
        return subprocess.Popen(["journalctl", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL)
    except OSError as error:
        raise PydockerError(f"error getting reader from journald: journalctl: {error.strerror}") from error


def _run(*words: str) -> None:
    with _started([*words]) as process:
        process.communicate()
