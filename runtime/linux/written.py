"""A call as strace(1) prints it: constants by their names, file names in quotes. For the trace alone.

Only the calls of TABLE are told: those by which a container is made. Opening, reading and closing are not among them.
"""

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from runtime.linux import capabilities, clone, mounts, namespaces
from runtime.linux.calls import Made

Writer = Callable[[Any], str]


def constants(module: object, *prefixes: str, without: tuple[str, ...] = ()) -> dict[int, str]:
    """A module's constants by value."""
    return {value: name for name, value in vars(module).items()
            if name.startswith(prefixes) and name not in without and isinstance(value, int) and value}


def flags(names: Mapping[int, str], value: int) -> str:
    """`A|B`, and what has no name as a number."""
    found = [name for bit, name in names.items() if value & bit == bit]
    rest = value & ~sum(bit for bit in names if value & bit == bit)
    return "|".join([*found, *([hex(rest)] if rest else [])]) or "0"


def choice(names: Mapping[int, str], value: int) -> str:
    return names.get(value, str(value))


def text(value: str | bytes | None) -> str:
    return "NULL" if value is None else json.dumps(os.fsdecode(value), ensure_ascii=False)


def directory(value: int) -> str:
    return "AT_FDCWD" if value == mounts.AT_FDCWD else str(value)


def attributes(value: mounts.MountAttr) -> str:
    """Only the members that say something."""
    parts = [f"{name}={flags(ATTRIBUTES, getattr(value, name))}" for name in ("attr_set", "attr_clr")
             if getattr(value, name)]
    if value.propagation:
        parts.append(f"propagation={flags(FLAGS, value.propagation)}")
    if value.userns_fd:
        parts.append(f"userns_fd={value.userns_fd}")
    return f"{{{', '.join(parts)}}}"


def child(value: clone.CloneArgs) -> str:
    """Only the flags: of the others strace prints each in its own way."""
    return f"{{flags={flags(NAMESPACES, value.flags)}}}"


def sets(value: Any) -> str:
    """capset(2)'s two words for each set as one number."""
    return ", ".join(f"{name}={getattr(value[0], name) | getattr(value[1], name) << 32:#x}"
                     for name in ("effective", "permitted", "inheritable"))


def instructions(value: Any) -> str:
    return f"{{len={value.len}}}"


def nothing(value: object) -> str:
    return ""


NAMESPACES = {**constants(namespaces, "CLONE_"), clone.CLONE_INTO_CGROUP: "CLONE_INTO_CGROUP"}
TREE = {mounts.OPEN_TREE_CLONE: "OPEN_TREE_CLONE", mounts.OPEN_TREE_CLOEXEC: "OPEN_TREE_CLOEXEC",
        **constants(mounts, "AT_", without=("AT_FDCWD",))}
AT = constants(mounts, "AT_", without=("AT_FDCWD",))
FLAGS = constants(mounts, "MS_")
ATTRIBUTES = constants(mounts, "MOUNT_ATTR_", without=("MOUNT_ATTR_ATIME",))
COMMANDS = {0: "FSCONFIG_SET_FLAG", 1: "FSCONFIG_SET_STRING", 6: "FSCONFIG_CMD_CREATE"}
# Not imported from `seccomp`, which only those containers load that have a filter.
SECCOMP = {1 << 1: "SECCOMP_FILTER_FLAG_LOG", 1 << 2: "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
           1 << 3: "SECCOMP_FILTER_FLAG_NEW_LISTENER", 1 << 5: "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"}
PRCTL = {24: "PR_CAPBSET_DROP", 47: "PR_CAP_AMBIENT"}

TABLE: dict[str, tuple[Writer, ...]] = {
    "clone3": (child,),
    "unshare": (partial(flags, NAMESPACES),),
    "setns": (str, partial(flags, NAMESPACES)),
    "open_tree": (directory, text, partial(flags, TREE)),
    "move_mount": (directory, text, directory, text, partial(flags, constants(mounts, "MOVE_MOUNT_"))),
    "fsopen": (text, partial(flags, constants(mounts, "FSOPEN_"))),
    "fsconfig": (str, partial(choice, COMMANDS), text, text, str),
    "fsmount": (str, partial(flags, constants(mounts, "FSMOUNT_")), partial(flags, ATTRIBUTES)),
    "mount_setattr": (directory, text, partial(flags, AT), attributes, str),
    "mount": (text, text, text, partial(flags, FLAGS), text),
    "umount2": (text, partial(flags, {mounts.MNT_DETACH: "MNT_DETACH", mounts.UMOUNT_NOFOLLOW: "UMOUNT_NOFOLLOW"})),
    "pivot_root": (text, text),
    "sethostname": (text, str),
    "setdomainname": (text, str),
    "capset": (nothing, sets),
    "prctl": (partial(choice, PRCTL), partial(choice, dict(enumerate(capabilities.NAMES)))),
    "seccomp": (partial(choice, {1: "SECCOMP_SET_MODE_FILTER"}), partial(flags, SECCOMP), instructions),
    "write": (text, text),
}


def written(made: list[Made]) -> list[str]:
    """The calls that are told, in order."""
    return [one(name, arguments) for name, arguments in made if told(name, arguments)]


def told(name: str, arguments: tuple[Any, ...]) -> bool:
    return name in TABLE and (name != "prctl" or arguments[0] == 24)


def one(name: str, arguments: tuple[Any, ...]) -> str:
    words = [writer(argument) for writer, argument in zip(TABLE[name], arguments, strict=False)]
    return f"{name}({', '.join(filter(None, words))})"
