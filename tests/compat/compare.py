"""Two answers to one command line, compared: exit status, what was said, and an inspected document field by field.

What no two engines can have alike is replaced by a word before: ids, times, sizes, directories, numbers of processes.
"""

import fnmatch
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from tests.compat.table import Line
from tests.engine import Result

_ALIKE: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    # Docker names the programs that it asks, one after the other; and newer ones begin their words in lower case.
    ("failed to create shim task: ", ""), ("runc create failed: unable to start container process: ", ""),
    ("exec failed: unable to start container process: ", ""), (r": unknown(?=\n|$)", ""), (": unknown: ", ": "),
    (r"(?<=daemon: )[A-Z][a-z]", lambda found: found[0].lower()),
    ("cannot kill container: [^:]*: Container", lambda found: found[0].lower()),
    (r"sha256:[0-9a-f]{64}", "<digest>"), (r"\b[0-9a-f]{64}\b", "<id>"), (r"\b[0-9a-f]{12}\b", "<id>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
    (r"(Less than a second|About an? \w+|\d+ (second|minute)s?)( ago)?", "<a while>"),
    (r"\b\d+(\.\d+)?(e\+\d+)? ?[kMG]?i?B\b", "<size>"),
)
# Fields whose value is this engine's, this moment's or this container's own.
_OWN = frozenset((
    "Id", "Created", "StartedAt", "FinishedAt", "Pid", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath",
    "UpperDir", "WorkDir", "SandboxID", "SandboxKey", "NetworkID", "EndpointID", "DiffID", "LastTagTime"))


class Difference(NamedTuple):
    """`reason` is empty where nobody has explained it."""

    line: Line
    what: str
    docker: str
    pydocker: str
    reason: str


def differences(line: Line, docker: Result, pydocker: Result, common: Mapping[str, str],
                roots: tuple[str, str]) -> Iterator[Difference]:
    """Everything in which the two differ."""
    shapes = _document(docker), _document(pydocker)
    if "inspect" in line.argv[:2] and None not in shapes:
        theirs, ours = (dict(_leaves(shape)) for shape in shapes)
        for path in sorted(theirs.keys() | ours.keys()):
            if path.rpartition(".")[2] not in _OWN and theirs.get(path) != ours.get(path):
                reason = _reason(path, line.fields) or _reason(path, common)
                yield Difference(line, path, str(theirs.get(path)), str(ours.get(path)), reason)
        docker, pydocker = (Result(one.code, "", one.err) for one in (docker, pydocker))
    for what in ("code", "out", "err"):
        pair = [alike(str(getattr(one, what)), root) for one, root in zip((docker, pydocker), roots, strict=True)]
        if pair[0] != pair[1]:
            yield Difference(line, what, *pair, line.reason)


def _reason(path: str, reasons: Mapping[str, str]) -> str:
    """`0.A.*` is for every field below that one."""
    return next((reason for pattern, reason in reasons.items() if fnmatch.fnmatchcase(path, pattern)), "")


def alike(text: str, root: str) -> str:
    """Without what is nobody's merit."""
    text = text.replace(root, "<root>")
    for pattern, word in _ALIKE:
        text = re.sub(pattern, word, text)
    return re.sub(r"[ \t]+", " ", text).strip()


def _document(result: Result) -> object:
    try:
        return json.loads(result.out)
    except ValueError:
        return None


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every value that has none in it, by its path: `0.State.Running`."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if entries is None or not value:
        yield path, alike(value, "\0") if isinstance(value, str) else value
        return
    for key, inner in entries:
        yield from _leaves(inner, f"{path}.{key}".lstrip("."))
