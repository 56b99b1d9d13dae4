"""inotify(7): the kernel tells when a file, or something in a directory, changes or is used."""

import os
from pathlib import Path

from runtime.linux.calls import call, text

IN_MODIFY = 0x2
IN_CLOSE_NOWRITE = 0x10
IN_MOVED_TO = 0x80
IN_CREATE = 0x100


def watch(path: Path, mask: int) -> int:
    """A descriptor, non-blocking, that is readable when one of `mask` has happened to the file `path`, or to one
    in the directory `path`.

    Raises OSError; EMFILE when the user has no instance left.
    """
    fd = call("inotify_init1", os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        call("inotify_add_watch", fd, text(str(path)), mask, path=str(path))
    except OSError:
        os.close(fd)
        raise
    return fd
