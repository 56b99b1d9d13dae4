"""A container's file system in a descriptor: what is left when the kernel refuses one of the steps."""

import errno
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pydocker.errors import PydockerError
from pydocker.layers import view
from runtime.linux import seccomp
from runtime.linux.calls import NUMBERS


def refusing(call: str, run: Callable[[], None]) -> None:
    """Run it in a thread that has a filter of its own, as the threads that it starts have."""
    failed: list[BaseException] = []

    def filtered() -> None:
        try:
            seccomp.load(b"".join(struct.pack("=HBBI", *instruction) for instruction in (
                (0x20, 0, 0, 0),  # load the call's number
                (0x15, 0, 1, NUMBERS[call]),  # is it this one?
                (0x06, 0, 0, seccomp.RET_ERRNO | errno.EPERM),
                (0x06, 0, 0, seccomp.RET_ALLOW))))
            run()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=filtered)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def test_a_refused_attribute_leaves_no_descriptor(target: Path) -> None:
    for name in ("lower", "upper", "work", "place"):
        (target / name).mkdir()

    def opened() -> int:
        return view.opened([str(target / "lower")], str(target / "upper"), str(target / "work"),
                           holder=str(mount_point(target)), place=str(target / "place"))

    def refused() -> None:
        with pytest.raises(PydockerError, match="mount the container's file system: operation not permitted"):
            opened()

    os.close(opened())
    before = os.listdir("/proc/self/fd")
    refusing("mount_setattr", refused)
    assert os.listdir("/proc/self/fd") == before


def mount_point(path: Path) -> Path:
    return path if path.is_mount() else mount_point(path.parent)
