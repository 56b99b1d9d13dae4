"""The host's /dev/null for a container: the device, without power over the host's file.

What is written to the device is lost; what is done to its *inode* is not. A bind mount of /dev/null (to mask a file) or
a descriptor of it (as standard input) leads root of the container to the file that every process of the host uses: one
`chmod 0 /proc/keys` or `chmod 0 /dev/stdin`, and nobody on the host but root can open /dev/null any more. By way of a
read-only mount the device can be read and written as ever, and the inode cannot be changed (EROFS).
"""

import os

from runtime.errors import StepFailed
from runtime.linux import mounts as m
from runtime.linux.openat2 import is_device

PATH = "/dev/null"


def detached() -> int:
    """A descriptor of a detached, read-only mount of the host's /dev/null, which is certainly that."""
    tree = m.open_tree(m.AT_FDCWD, PATH, m.OPEN_TREE_CLONE)
    try:
        if not is_device(tree, 1, 3):
            raise StepFailed(f"{PATH} of the host is not the character device 1:3")
        m.mount_setattr(tree, attr_set=m.MOUNT_ATTR_RDONLY | m.MOUNT_ATTR_NOSUID | m.MOUNT_ATTR_NOEXEC)
    except BaseException:
        os.close(tree)
        raise
    return tree


def replace(descriptors: tuple[int, ...] = (0, 1, 2)) -> None:
    """Open those of the descriptors that are /dev/null again, by way of the read-only mount.

    To be called before entering the container, as the mount is made from the host's path.
    """
    found = [descriptor for descriptor in descriptors if is_device(descriptor, 1, 3)]
    if not found:
        return
    tree = detached()
    try:
        harmless = os.open(f"/proc/self/fd/{tree}", os.O_RDWR | os.O_CLOEXEC)
    finally:
        os.close(tree)
    for descriptor in found:
        os.dup2(harmless, descriptor)
    os.close(harmless)
