"""Bytes to values and back. What is wrong is told with its JSON path: `$.linux.resources.memory.limit`."""

from typing import TypeVar

import msgspec

from runtime.errors import InvalidSpec
from runtime.spec.config import Process, Spec
from runtime.spec.values import without_nulls

T = TypeVar("T")

LONGEST = 4096  # characters of a message

# msgspec learns a type at its first use, for a millisecond: here, so that processes forked from a warm one have it.
_LEARNT = msgspec.json.Decoder(Spec)


def decode(content: bytes, name: str = "config.json") -> Spec:
    """The specification in a config.json. Raises InvalidSpec."""
    return document(content, Spec, name)


def decode_process(content: bytes, name: str = "process.json") -> Process:
    """The process in the file that `exec --process` takes. Raises InvalidSpec."""
    return document(content, Process, name)


def document(content: bytes, type: type[T], name: str) -> T:
    """Any JSON document of the given type. Raises InvalidSpec, which names the document and the path inside it."""
    try:
        return msgspec.convert(without_nulls(msgspec.json.decode(content)), type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        words = one_line(lowered(str(error)))
        raise InvalidSpec(f"{name}: {words}{'' if ' - at `' in words else ' - at `$`'}") from error


def lowered(text: str) -> str:
    """The message with a small first letter, as all of ours, unless an acronym opens it."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def one_line(text: str) -> str:
    """The message with control characters as Python writes them: in it may be any member's name, and any string.

    What is too long to be read (arguments that execve would not take, say) loses its middle.
    """
    text = text if len(text) <= LONGEST else f"{text[:LONGEST // 2]} [...] {text[-LONGEST // 2:]}"
    return text if text.isprintable() else "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def encode(value: msgspec.Struct) -> bytes:
    """JSON, indented by two, defaults left out."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
