"""--trace: what is done, told while it is done; one JSON line for each step, by whichever process does it.

    {"step": "SetAttributes", "side": "inside", "what": "remount / ro", "manual": "mount_setattr(2)",
     "calls": ["mount_setattr(9, \\"\\", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_RDONLY}, 32)"], "began": 51.4, "took": 29}

`began` is in seconds of the monotonic clock, which is the same for all processes; `took` in microseconds; `calls` as
strace(1) would print them: those that make a container what it is (namespaces, mounts, names, capabilities, cgroups).
They are noted by the wrappers in `runtime.linux`, where they are made. (Not noted is what libseccomp does where a
profile is compiled for the first time: it asks what the kernel can, by calls that fail.) What is in no step has
a line of its own: the interpreter's read-only copy, the clean-up of `run`. What fails has its line, too, with `error`.

Three processes write to the file, opened for appending: every line is one write(2), so none gets into another. The
last line of the plan is written before its step, since execve(2) does not come back.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

from runtime.errors import InvalidArgument
from runtime.linux import calls
from runtime.linux.written import written
from runtime.step import Step


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the file. `took` is 0 for what is about to be done."""

    step: str
    side: str
    what: str
    manual: str
    calls: list[str]
    began: float
    took: int
    error: str = ""


class Trace:
    """The file, as one process sees it. While there is one, the process's calls are noted."""

    def __init__(self, file: int, side: str) -> None:
        self.file = file
        self.side = side
        calls.made = []

    def on(self, side: str) -> "Trace":
        """The same file in a forked process."""
        return Trace(self.file, side)

    def apply(self, step: Step[Any], at: Any) -> None:
        """Apply the step, and tell."""
        name = type(step).__name__
        if not step.returns:
            self.tell(Line(name, self.side, f"about to {step.describe()}", step.manual, [], time.monotonic(), 0))
            os.close(self.file)
            calls.made = None
            step.apply(at)
        with self.telling(name, step.describe(), step.manual):
            step.apply(at)

    def undo(self, step: Step[Any], at: Any) -> None:
        """Take the step back, and tell."""
        with self.telling(type(step).__name__, f"undo: {step.describe()}", step.manual):
            step.undo(at)

    @contextmanager
    def telling(self, step: str, what: str, manual: str) -> Iterator[None]:
        """Tell what is done in this block, whether it fails or not."""
        made: list[calls.Made] = []
        calls.made = made
        began = time.monotonic()
        error = ""
        try:
            yield
        except BaseException as failure:
            error = str(failure) or type(failure).__name__
            raise
        finally:
            took = int((time.monotonic() - began) * 1e6)
            self.tell(Line(step, self.side, what, manual, written(made), round(began, 6), took, error))

    def tell(self, line: Line) -> None:
        """Write the line. The container's own limit on file sizes, or a full disk, is no reason not to go on."""
        with suppress(OSError):
            os.write(self.file, msgspec.json.encode(line) + b"\n")


def opened(path: str) -> Trace:
    """The trace file, made if it is missing. Raises InvalidArgument if it cannot be opened."""
    try:
        # No terminal of the caller's, no FIFO that nobody reads: a trace must not make anybody wait.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
        return Trace(os.open(path, flags, 0o644), "outside")
    except OSError as error:
        raise InvalidArgument(f"--trace {path}: {str(error.strerror).lower()} (open(2))") from error
