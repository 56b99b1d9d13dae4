"""Unix sockets: sending a descriptor to another process (unix(7), SCM_RIGHTS), and datagrams.

By the C module behind Python's `socket`: that one builds enumerations of every constant at import, for 3 ms that each
`create` would pay.
"""

import errno
import os
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, socket
from array import array
from collections.abc import Iterator
from contextlib import closing, contextmanager


@contextmanager
def address(path: str) -> Iterator[str]:
    """What to call the socket at `path`: sun_path holds 108 bytes, so the directory is named by a descriptor instead.

    An OSError gets the path.
    """
    directory = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{os.path.basename(path)}"
    except OSError as error:
        code = error.errno or errno.ENAMETOOLONG  # Python itself refuses a name that is still too long, without one
        raise OSError(code, os.strerror(code), path) from error
    finally:
        os.close(directory)


def connect(path: str) -> int:
    """A stream socket connected to the unix socket at `path`, of any length. Raises OSError with the path.

    Who does not accept, and has as many waiting as it wanted to have, is not waited for: EAGAIN.
    """
    with address(path) as name, closing(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)) as connection:
        connection.connect(name)
        connection.setblocking(True)
        return connection.detach()


def connect_datagram(path: str) -> int:
    """The same for datagrams; `@…` is a name without a file (unix(7), "abstract")."""
    channel = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC)
    if path.startswith("@"):
        channel.connect(f"\0{path[1:]}")
        return channel.detach()
    with address(path) as name:
        channel.connect(name)
        return channel.detach()


def bind_datagram(path: str) -> int:
    """A socket at `path` to which everybody may send who finds it; reading it does not wait. Raises OSError."""
    with address(path) as name:
        channel = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK)
        channel.bind(name)
        os.chmod(name, 0o777)
        return channel.detach()


def send_descriptor(connection: int, message: bytes, descriptor: int) -> None:
    """Send `message` and a copy of the descriptor. `connection` stays open."""
    peer = socket(fileno=connection)
    try:
        peer.sendmsg([message], [(SOL_SOCKET, SCM_RIGHTS, array("i", [descriptor]))])
    finally:
        peer.detach()
