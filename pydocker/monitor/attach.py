"""A client's connection, given away: after the HTTP upgrade the socket itself goes to the monitor.

unix(7), SCM_RIGHTS: the receiver gets a duplicate. Whoever calls with an Attachment therefore still owns its socket,
and closes it after the call, whether that succeeded (the monitor has its own now) or raised (then the caller may first
write the error to it).
"""

import socket
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Attachment:
    """One client's connected stream socket and what it wants.

    `leftover` is what the HTTP parser had already read behind the request: the first bytes of standard input.
    `logs` sends what was logged before; `stream` goes on with what comes (Docker's two query parameters).
    `detach_keys` as Docker writes them (`ctrl-p,ctrl-q`), empty: that default; they work on terminals only.
    Whether the stream is raw or framed (stdcopy) follows from the container's, or exec session's, `tty`.
    """

    socket: socket.socket
    leftover: bytes = b""
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    logs: bool = False
    stream: bool = True
    detach_keys: str = ""

    def request(self) -> "AttachRequest":
        """Everything but the descriptor, to be sent beside it."""
        return AttachRequest(self.leftover, self.stdin, self.stdout, self.stderr, self.logs, self.stream,
                             self.detach_keys)


class AttachRequest(msgspec.Struct, frozen=True, tag="attach", array_like=True):
    """An Attachment on the wire; one descriptor, the socket, travels with it."""

    leftover: bytes
    stdin: bool
    stdout: bool
    stderr: bool
    logs: bool
    stream: bool
    detach_keys: str
