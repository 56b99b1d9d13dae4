"""A setting: a value for a file. And the few rules that hold for every one of them."""

from collections.abc import Mapping

import msgspec

from runtime.errors import InvalidSpec

UNLIMITED = -1  # as the specification writes "no limit"
NO_LIMIT_V2 = "max"  # as v2 does
LONGEST = 4096  # characters; no value of ours needs more, and the kernel refuses more than a page


class Setting(msgspec.Struct, frozen=True):
    """`value` goes into `file` of the container's cgroup in the hierarchy that has `controller`."""

    controller: str
    file: str
    value: str


def row(controller: str, file: str, value: object) -> tuple[Setting, ...]:
    """One setting, none for a value that was not asked for. True and False are the kernel's 1 and 0."""
    if value is None or value == "":
        return ()
    text = str(int(value)) if isinstance(value, bool) else str(value)
    if len(text) > LONGEST or not text.isprintable():
        raise InvalidSpec(f"$.linux.resources: {file}: a value of {len(text)} characters, or one with line ends")
    return (Setting(controller, file, text),)


def not_in_v2(asked: Mapping[str, object]) -> None:
    """Raise InvalidSpec for a field that was asked for and that v2 has no file for."""
    for field, value in asked.items():
        if value:
            raise InvalidSpec(f"$.linux.resources.{field}: cgroup v2 has nothing like it")


def maximum(value: int | None) -> str | None:
    """v2's word for "no limit"."""
    if value is None:
        return None
    return NO_LIMIT_V2 if value < 0 else str(value)
