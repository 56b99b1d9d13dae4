"""Sending a descriptor to another process: unix(7), SCM_RIGHTS.

By the C module behind Python's `socket`: that one builds enumerations of every constant at import, for 3 ms that each
`create` would pay.
"""

import os
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET, socket
from array import array


def connect(path: str) -> int:
    """A stream socket connected to the unix socket at `path`, of any length. Raises OSError with the path."""
    # sun_path holds 108 bytes: name the directory by a descriptor instead.
    directory = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
        connection.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
        return connection.detach()
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(directory)


def send_descriptor(connection: int, message: bytes, descriptor: int) -> None:
    """Send `message` and a copy of the descriptor. `connection` stays open."""
    peer = socket(fileno=connection)
    try:
        peer.sendmsg([message], [(SOL_SOCKET, SCM_RIGHTS, array("i", [descriptor]))])
    finally:
        peer.detach()
