"""A file by what the kernel calls it in its file system: open_by_handle_at(2), which needs CAP_DAC_READ_SEARCH."""

import ctypes
import os
import struct

from runtime.linux.calls import call
from runtime.linux.mounts import AT_EMPTY_PATH

_HEAD = "=Ii"  # struct file_handle: how many bytes follow, and of what kind
_LARGEST = 128  # MAX_HANDLE_SZ


def name_to_handle_at(fd: int) -> bytes:
    """The struct file_handle of an open file. Raises OSError; EOPNOTSUPP: its file system has none."""
    handle = ctypes.create_string_buffer(struct.pack(_HEAD, _LARGEST, 0), struct.calcsize(_HEAD) + _LARGEST)
    mount = (ctypes.c_int * 1)()
    call("name_to_handle_at", fd, b"", handle, mount, AT_EMPTY_PATH)
    (length, _) = struct.unpack_from(_HEAD, handle)
    return handle.raw[:struct.calcsize(_HEAD) + length]


def open_by_handle_at(mount: int, handle: bytes) -> int:
    """The file (O_PATH) in the file system that `mount` is open in: also where that mount shows a part of it alone,
    in which the file is not. Raises OSError; ESTALE: there is no such file (any more)."""
    return call("open_by_handle_at", mount, ctypes.create_string_buffer(handle, len(handle)),
                os.O_PATH | os.O_CLOEXEC)
