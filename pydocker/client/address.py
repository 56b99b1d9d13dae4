"""Where a server listens: `unix:///run/pydocker.sock` or `tcp://host:port`, as `DOCKER_HOST` and `-H` have them."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from pydocker.errors import InvalidParameter, Unavailable

_SUN_PATH = 108  # unix(7): a socket's path, with its final NUL, has room for this many bytes


class Address(msgspec.Struct, frozen=True):
    """One endpoint. `path` is set for unix sockets, `host` and `port` for TCP."""

    text: str
    path: str = ""
    host: str = ""
    port: int = 0


class Refused(Unavailable):
    """Nobody listens there. `permission` tells a closed door from an empty house."""

    def __init__(self, address: Address, *, permission: bool = False) -> None:
        self.permission = permission
        super().__init__(
            f"permission denied while trying to connect to the server at {address.text}: run pydocker as root"
            if permission
            else f"Cannot connect to the pydocker server at {address.text}. Is it running?"
        )


def parse(text: str) -> Address:
    """The address that `text` means. Raises InvalidParameter in Docker's words for any other scheme or shape."""
    scheme, separator, rest = text.partition("://")
    if not separator or not rest:
        raise InvalidParameter(f"unable to parse docker host `{text}`")
    if scheme == "unix":
        return Address(text, path=rest)
    if scheme == "tcp":
        return _tcp(text, rest.rstrip("/"))
    raise InvalidParameter(f"invalid bind address format: {text}")


def _tcp(text: str, rest: str) -> Address:
    host, _, port = rest.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise InvalidParameter(f"invalid bind address format: {text}")
    return Address(text, host=host.strip("[]"), port=int(port))


def connect(address: Address) -> socket.socket:
    """A connected, blocking stream socket. Raises Refused if nobody answers or the socket file is closed to us."""
    try:
        return _connect_unix(address.path) if address.path else socket.create_connection((address.host, address.port))
    except PermissionError as error:
        raise Refused(address, permission=True) from error
    except OSError as error:
        raise Refused(address) from error


def _connect_unix(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as name:
            connection.connect(name)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _short(path: str) -> Iterator[str]:
    """A name for `path` that fits into sun_path: through a descriptor of its directory, if it is too long itself."""
    if len(os.fsencode(path)) < _SUN_PATH:
        yield path
        return
    directory, name = os.path.split(path)
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)
