"""What a container sees of a volume or an image, as a mount that is attached nowhere yet.

A path within it (`volume-subpath`) is the container's own: links in it may be swapped while we look. So the kernel
resolves it, with the volume as its root, and what is mounted is the descriptor that came of it (SECURITY R1, R2).
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pydocker.layers.overlay import MountOverlay
from pydocker.model.volume import Source
from pydocker.volumes import filesystem
from runtime.linux import mounts
from runtime.linux.openat2 import openat2


def tree(source: Source, at: str) -> int:
    """A detached mount of it. `at` is a directory to mount on for a moment, in a mount namespace of the caller's own.

    Raises PydockerError, OSError (the path within it is not there).
    """
    with ExitStack() as held:
        root = held.enter_context(_whole(source, at))
        if source.subpath:
            root = openat2(root, source.subpath, os.O_PATH)
            held.callback(os.close, root)
        found = mounts.open_tree(root, "", mounts.OPEN_TREE_CLONE | mounts.AT_RECURSIVE | mounts.AT_EMPTY_PATH)
        if source.lower:  # an image's layers are everybody's
            mounts.mount_setattr(found, attr_set=mounts.MOUNT_ATTR_RDONLY)
        return found


@contextmanager
def _whole(source: Source, at: str) -> Iterator[int]:
    mounted = True
    if source.filesystem:
        filesystem.mount(source.filesystem, at, source.data)
    elif len(source.lower) > 1:
        MountOverlay(lower=source.lower, upper="", work="", target=at).apply(None)
    else:
        mounted, at = False, (*source.lower, source.data)[0]
    root = os.open(at, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield root
    finally:
        os.close(root)
        if mounted:
            mounts.umount2(at, mounts.MNT_DETACH)
