"""The option `remount`: not a new mount, but other options for the one that is there."""

import os
from shlex import quote
from typing import ClassVar

from runtime.linux import mounts as m
from runtime.linux.openat2 import openat2
from runtime.rootfs import target
from runtime.stage import Inside
from runtime.step import Step


class Reconfigure(Step[Inside], frozen=True):
    """Give the file system that is mounted there other options."""

    why: ClassVar[str] = "the size of a tmpfs, say, belongs to the file system, which all of its mounts share"
    manual: ClassVar[str] = "fspick(2), fsconfig(2)"
    path: str
    data: tuple[tuple[str, str | None], ...]

    def describe(self) -> str:
        return f"reconfigure the file system of {self.path}: {self.words()}"

    def words(self) -> str:
        return ",".join(key if value is None else f"{key}={value}" for key, value in self.data)

    def shell(self) -> str:
        return f"mount -o remount,{quote(self.words())} {target.words(self.path)}"

    def apply(self, at: Inside) -> None:
        where = openat2(at.root, self.path, os.O_PATH)
        try:
            m.reconfigure(where, self.data)
        finally:
            os.close(where)
