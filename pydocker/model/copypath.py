"""What the two paths of a `cp` mean: Docker's rules (moby/go-archive, copy.go), which are nearly those of cp(1).

    SOURCE            DESTINATION           outcome
    file              does not exist        becomes it; with a trailing slash an error: no such directory
    file              file                  replaces it
    file              directory             is put into it
    directory         does not exist        becomes it
    directory         file                  an error: cannot copy directory
    directory         directory             is put into it; of `directory/.` only what is in it

A path that ends in `/` or `/.` insists on a directory, also where it is a link to one, and that end is kept when the
rest is cleaned. An archive's entries are called by the source's last component, and get the destination's where that
names something new. All of it is words: nothing here looks at a file system.
"""

import posixpath
from collections.abc import Callable
from typing import NamedTuple

from pydocker.errors import InvalidParameter


class End(NamedTuple):
    """One end of a copy. `name`: what its entries are called, where that is not the path's last component."""

    path: str
    exists: bool
    is_directory: bool
    name: str = ""


def parsed(argument: str) -> tuple[str, str]:
    """`CONTAINER:PATH`, or (no container) a path of the caller's: an absolute one, and `./a:b`, is always that."""
    container, colon, path = argument.partition(":")
    if argument.startswith("/") or not colon or container.startswith("."):
        return "", argument
    return container, path


def insists(path: str) -> bool:
    """Whether only a directory will do."""
    return path.endswith("/") or is_content(path)


def is_content(path: str) -> bool:
    """Whether a path ends in the component `.`: what is in a directory."""
    return posixpath.basename(path.rstrip("/")) == "." or path == ""


def cleaned(path: str) -> str:
    """Without doubled slashes, `.` and `..`, but with the end that insists on a directory."""
    clean = posixpath.normpath(path).replace("//", "/") if path else "."
    if is_content(path) and not is_content(clean):
        return f"{clean.rstrip('/')}/."
    return clean + "/" if path.endswith("/") and not clean.endswith("/") else clean


def split(path: str) -> tuple[str, str]:
    """The directory, and the entry in it: `.` of `a/.`, and `/` of `/`."""
    clean = posixpath.normpath(path).replace("//", "/") if path else "."
    if is_content(path):
        clean = "." if clean == "." else clean.rstrip("/") + "/."
        above = clean[:-2] if clean != "." else "."
        return above or "/", "."
    above, base = posixpath.split(clean)
    return above or ("/" if clean.startswith("/") else "."), base or "/"


def decide(source: End, destination: End) -> tuple[str, Callable[[bytes], bytes]]:
    """The directory to extract into, and what entries are called there. Raises InvalidParameter."""
    if destination.exists and destination.is_directory:
        return destination.path, lambda path: path
    if destination.exists and source.is_directory:
        raise InvalidParameter("cannot copy directory")
    if not destination.exists and not source.is_directory and insists(destination.path):
        raise InvalidParameter("no such directory")
    above, new = split(destination.path)
    return above, renamer(source.name or split(source.path)[1], new)


def renamer(old: str, new: str) -> Callable[[bytes], bytes]:
    """Call the first component `new`, where it is `old`. Below the root (`/`) there is none: it is put before."""
    was, now = old.encode(errors="surrogateescape"), new.encode(errors="surrogateescape")

    def rename(path: bytes) -> bytes:
        if was == b"/":
            return now + b"/" + path.lstrip(b"/")
        first, slash, rest = path.partition(b"/")
        return now + slash + rest if first == was else path

    return rename


def asked(path: str) -> Callable[[bytes], bytes]:
    """Lets only the entries pass that are what was asked for. Raises InvalidParameter for any other.

    An archive of `/d/file` that is to become `new` in somebody's home must not bring a `.profile` beside it.
    """
    base = split(path)[1].encode(errors="surrogateescape")

    def check(entry: bytes) -> bytes:
        if base != b"/" and entry.partition(b"/")[0] != base:
            raise InvalidParameter(f"the archive has what was not asked for: {entry[:100]!r}")
        return entry

    return check
