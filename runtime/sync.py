"""How the process outside and the process inside talk while a container is made: two pipes, one JSON line a message.

    outside                         entrance            init
       │ <────────── Pid ──────────────┘                 │     the init process, as the host numbers it
       │  attaches it to the cgroup                      │     mounts meanwhile
       │ ─────────── Attached ─────────────────────────> │     now a cgroup namespace may begin here
       │ <────────── HooksDue ────────────────────────── │     mounts are made (only if there are such hooks)
       │  runs them                                      │
       │ ─────────── HooksDone ────────────────────────> │     now the root may change
       │ <────────── Listener ────────────────────────── │     the seccomp filter is loaded (only if somebody listens)
       │  sends its descriptor to the listener           │
       │ <────────── Ready ───────────────────────────── │     all is set up, only execve is left
       │  writes state.json                              │
       │ ─────────── Go ───────────────────────────────> │     closes its ends, waits for `start`

Instead of any message to the outside there may come Failed, from the entrance or from init: that one ends then. End of
file means that the other side died: the process inside then ends itself, so that a killed `create` leaves no half-made
container behind. A user namespace needs no word: it is made, with its maps, before the entrance is (`process.users`).
"""

import os
from collections.abc import Callable

import msgspec

from runtime.errors import ExecFailed, Fault, InvalidSpec, StepFailed


class Pid(msgspec.Struct, frozen=True, tag=True):
    """Init's process number, in the pid namespace of the process outside."""

    pid: int


class Attached(msgspec.Struct, frozen=True, tag=True):
    """Init is in its cgroup."""


class HooksDue(msgspec.Struct, frozen=True, tag=True):
    """The mounts are made, the root is not yet changed."""


class HooksDone(msgspec.Struct, frozen=True, tag=True):
    """The hooks in the host's namespaces have run."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """All steps up to the program are done."""


class Go(msgspec.Struct, frozen=True, tag=True):
    """The state is on disk; nobody waits for further messages."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A step failed inside: `kind` is the name of the error's class, `text` its message."""

    kind: str
    text: str

    def error(self) -> Fault:
        """The error, to be raised on this side."""
        kinds: dict[str, type[Fault]] = {kind.__name__: kind for kind in (ExecFailed, InvalidSpec, StepFailed)}
        return kinds.get(self.kind, StepFailed)(self.text)


class Listener(msgspec.Struct, frozen=True, tag=True):
    """The seccomp filter is loaded; `descriptor` is the one of init's on which its notifications come."""

    descriptor: int


Message = Pid | Attached | HooksDue | HooksDone | Listener | Ready | Go | Failed
_decoder = msgspec.json.Decoder(Message)
_encoder = msgspec.json.Encoder()


EARLY = "the process ended before it was ready"


class Disconnected(StepFailed):
    """The other side closed the channel, or died."""


class Channel:
    """One side's two ends: reads complete lines, writes complete lines. `lost` says why there will be no more."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading = reading
        self.writing = writing
        self.lost: Callable[[], str] = lambda: EARLY
        self._pending = b""

    def send(self, message: Message) -> None:
        """Raises Disconnected when nobody reads any more."""
        content = _encoder.encode(message) + b"\n"
        try:
            while content:
                content = content[os.write(self.writing, content):]
        except BrokenPipeError as error:
            raise Disconnected("the other process is gone (write(2), EPIPE)") from error

    def receive(self) -> Message:
        """The next message. Raises Disconnected at end of file, and the other side's error if that is the message."""
        while b"\n" not in self._pending:
            piece = os.read(self.reading, 1 << 16)
            if not piece:
                raise Disconnected(self.lost())
            self._pending += piece
        line, self._pending = self._pending.split(b"\n", 1)
        message: Message = _decoder.decode(line)
        if isinstance(message, Failed):
            raise message.error()
        return message

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)


def pair() -> tuple[Channel, Channel]:
    """Two connected channels: one for each process. All ends are close-on-exec."""
    here_reading, there_writing = os.pipe()
    there_reading, here_writing = os.pipe()
    return Channel(here_reading, here_writing), Channel(there_reading, there_writing)
