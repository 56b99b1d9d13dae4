"""A plan in words, as JSON, or as the lines that one would type to do the same by hand.

    1. set the hostname to web
       why     a UTS namespace starts as a copy of its parent's names
       manual  sethostname(2)
       shell   hostname web
"""

import re
import textwrap
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from pydocker.errors import Unavailable

_WIDTH = 100
_INDENT = "           "


class Format(StrEnum):
    """How a plan is told."""

    TEXT = "text"
    JSON = "json"
    SH = "sh"


class ToldStep(msgspec.Struct, frozen=True):
    """One step as the server describes it (see runtime.step.Step)."""

    why: str
    manual: str
    describe: str
    shell: str


def told(content: bytes, format: str) -> str:
    """The plan in `content` (a JSON array of steps) as text. Raises Unavailable if it is no plan."""
    try:
        steps = msgspec.json.decode(content, type=tuple[ToldStep, ...])
    except msgspec.MsgspecError as error:
        raise Unavailable(f"the server's plan is broken: {error}") from error
    return _TELLERS[Format(format)](steps)


def _as_text(steps: Sequence[ToldStep]) -> str:
    return "\n".join(_step_as_text(number, step) for number, step in enumerate(steps, 1))


def _step_as_text(number: int, step: ToldStep) -> str:
    first, *rest = step.shell.split("\n") or [""]
    lines = [f"{number:>2}. {_readable(step.describe)}", *_wrapped("why", step.why), f"    manual {step.manual}",
             f"    shell  {first}", *(_INDENT + line for line in rest)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _readable(sentence: str) -> str:
    """Ids at the length at which people use them. The shell's lines keep them whole: these get copied."""
    return re.sub(r"\b[0-9a-f]{64}\b", lambda found: found[0][:12], sentence)


def _wrapped(label: str, text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=f"    {label:<6} ", subsequent_indent=_INDENT)


def _as_json(steps: Sequence[ToldStep]) -> str:
    return msgspec.json.format(msgspec.json.encode(steps), indent=2).decode() + "\n"


def _as_script(steps: Sequence[ToldStep]) -> str:
    """The shell's lines; what each is for stands above it."""
    parts = [f"# {number}. {step.describe}\n#    {step.why} ({step.manual})\n{step.shell}\n"
             for number, step in enumerate(steps, 1)]
    return _PREAMBLE + "\n".join(parts)


_PREAMBLE = """\
#!/bin/bash
# The same by hand, from bash and util-linux. A line that opens a shell (unshare, setpriv) holds those after it.
set -e

"""
_TELLERS: dict[Format, Callable[[Sequence[ToldStep]], str]] = {
    Format.TEXT: _as_text, Format.JSON: _as_json, Format.SH: _as_script,
}
