"""A setting: a value for a file. And the few rules that hold for every one of them."""

import msgspec

from runtime.errors import InvalidSpec

UNLIMITED = -1  # as the specification writes "no limit"
NO_LIMIT_V2 = "max"  # as v2 does
LONGEST = 4096  # characters; no value of ours needs more, and the kernel refuses more than a page


class Setting(msgspec.Struct, frozen=True):
    """`value` goes into `file` of the container's cgroup in the hierarchy that has `controller`.

    Which files there are depends on how the kernel was configured and booted, and is seen only when the cgroup exists:
    `instead` are (file, value) pairs to try in order where it lacks the file; a setting that is `optional` may be
    skipped if it lacks all of them (where runc skips it, too).
    """

    controller: str
    file: str
    value: str
    instead: tuple[tuple[str, str], ...] = ()
    optional: bool = False
    field: str = ""  # who asked for it, below $.linux.resources: what is refused is told with it


def row(field: str, controller: str, file: str, value: object, *,
        instead: tuple[tuple[str, object], ...] = (), optional: bool = False) -> tuple[Setting, ...]:
    """One setting, none for a value that was not asked for. True and False are the kernel's 1 and 0."""
    if value is None or value == "":
        return ()
    text = str(int(value)) if isinstance(value, bool) else str(value)
    if len(text) > LONGEST or not text.isprintable():
        raise InvalidSpec(f"$.linux.resources.{field}: a value of {len(text)} characters, or one with line ends")
    return (Setting(controller, file, text, tuple((other, str(word)) for other, word in instead), optional, field),)


def maximum(value: int | None) -> str | None:
    """v2's word for "no limit"."""
    if value is None:
        return None
    return NO_LIMIT_V2 if value < 0 else str(value)
