"""syncfs(2): put one whole file system on disk. One call for ten thousand new files."""

from runtime.linux.calls import check, libc


def syncfs(fd: int) -> None:
    """Write out everything of the file system that `fd` is on. Since Linux 5.8 a failed write is reported (EIO)."""
    check(libc.syncfs(fd))
