"""The tar entries of an image archive: plain files and directories with short names (tar(5), "POSIX ustar Archives").

Everything that could differ from one time to the next is left at zero, so that the same image gives the same archive.
"""

import struct

BLOCK = 512
END = bytes(2 * BLOCK)

#                        name mode uid gid size mtime sum type link magic user group major minor prefix
_HEADER = struct.Struct("100s 8s   8s  8s  12s  12s   8s  c    100s 8s    32s  32s   8s    8s    155s  12x")
_FILE, _DIRECTORY = b"0", b"5"
_LARGEST_OCTAL = (1 << 33) - 1


def file_header(path: str, size: int) -> bytes:
    """What comes before a file's content."""
    return _header(path, _FILE, 0o644, size)


def directory(path: str) -> bytes:
    """A whole directory entry."""
    return _header(f"{path}/", _DIRECTORY, 0o755, 0)


def padding(size: int) -> bytes:
    """What comes behind a file's content."""
    return bytes(-size % BLOCK)


def file(path: str, content: bytes) -> bytes:
    """A whole entry for a small file."""
    return file_header(path, len(content)) + content + padding(len(content))


def _header(path: str, kind: bytes, mode: int, size: int) -> bytes:
    def packed(checksum: bytes) -> bytes:
        return _HEADER.pack(path.encode(), b"%07o" % mode, b"%07o" % 0, b"%07o" % 0, _size(size), b"%011o" % 0,
                            checksum, kind, b"", b"ustar\x0000", b"", b"", b"", b"", b"")

    return packed(b"%06o\0 " % sum(packed(b" " * 8)))


def _size(size: int) -> bytes:
    """Octal up to 8 GiB; beyond that binary with the top bit set, as GNU, Go and libarchive read it."""
    return b"%011o" % size if size <= _LARGEST_OCTAL else b"\x80" + size.to_bytes(11, "big")
