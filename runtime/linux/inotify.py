"""inotify(7): the kernel tells when something in a directory changes."""

import os
from pathlib import Path

from runtime.linux.calls import call, text

IN_MODIFY = 0x2
IN_MOVED_TO = 0x80
IN_CREATE = 0x100


def watch(directory: Path, mask: int) -> int:
    """A descriptor, non-blocking, that is readable when one of `mask` has happened to a file in `directory`.

    Raises OSError; EMFILE when the user has no instance left.
    """
    fd = call("inotify_init1", os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        call("inotify_add_watch", fd, text(str(directory)), mask, path=str(directory))
    except OSError:
        os.close(fd)
        raise
    return fd
