"""Running one hook: a process with the state on its standard input, of which an error repeats what it said.

Inside the container nothing can be imported any more, so a hook is started here by fork and execve, without the
`subprocess` module, and awaited by poll(2). It is a process group of its own: the time-out kills that as a whole.
"""

import os
import signal
import time
from contextlib import suppress
from select import POLLERR, POLLHUP, POLLIN, POLLOUT, poll
from typing import NoReturn

from runtime.errors import StepFailed
from runtime.linux import prctl
from runtime.linux.descriptors import close_range
from runtime.spec import Hook

HEARD = 4096  # bytes of each output that an error repeats
NAP = 10  # milliseconds; only where a hook has closed its outputs, or left them to somebody who lives on


def run(kind: str, number: int, hook: Hook, content: bytes, directory: str = "") -> None:
    """Run one hook with `content` on its standard input. Raises StepFailed in runc's words."""
    name = f"error running {kind} hook #{number}"
    try:
        process = Process(hook, content, directory)
    except OSError as error:
        raise StepFailed(f"{name}: fork/exec {hook.path}: {str(error.strerror).lower()}") from error
    status = process.wait(hook.timeout)
    if status is None:
        raise StepFailed(f"{name}: hook ran past specified timeout of {float(hook.timeout or 0):.1f}s")
    if status:
        code = os.waitstatus_to_exitcode(status)
        how = f"exit status {code}" if code >= 0 else f"signal: {str(signal.strsignal(-code)).lower()}"
        said = ", ".join(f"{stream}: {one_line(output)}" for stream, output in process.said())
        raise StepFailed(f"{name}: {how}, {said}")


def one_line(output: bytes) -> str:
    return " ".join(output.decode(errors="replace").split())


class Process:
    """A hook that runs: our ends of its three pipes, and what it said so far."""

    def __init__(self, hook: Hook, content: bytes, directory: str) -> None:
        """Raises OSError if it cannot be executed."""
        theirs_in, self.stdin = os.pipe()
        self.stdout, theirs_out = os.pipe()
        self.stderr, theirs_err = os.pipe()
        report, failure = os.pipe()
        self.heard = {self.stdout: b"", self.stderr: b""}
        self.content = content
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            die_with(parent)
            execute(hook, directory, (theirs_in, theirs_out, theirs_err), failure)
        for descriptor in (theirs_in, theirs_out, theirs_err, failure):
            os.close(descriptor)
        refused = os.read(report, 16)  # empty when execve has closed the other end
        os.close(report)
        if refused:
            os.waitpid(self.pid, 0)
            for descriptor in (self.stdin, self.stdout, self.stderr):
                os.close(descriptor)
            raise OSError(int(refused), os.strerror(int(refused)))

    def wait(self, timeout: int | None) -> int | None:
        """Its wait status; None if it had to be killed at the time-out (in seconds)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        ready = poll()
        for descriptor, events in ((self.stdin, POLLOUT), (self.stdout, POLLIN), (self.stderr, POLLIN)):
            os.set_blocking(descriptor, False)
            ready.register(descriptor, events)
        open_ends = {self.stdin, self.stdout, self.stderr}
        try:
            while True:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
                if ended:
                    self.drain(open_ends)
                    return status
                if deadline is not None and time.monotonic() >= deadline:
                    self.kill()
                    return None
                for descriptor, event in ready.poll(NAP):
                    if self.serve(descriptor, event):
                        ready.unregister(descriptor)
                        open_ends.discard(descriptor)
                        os.close(descriptor)
        finally:
            for descriptor in open_ends:
                os.close(descriptor)

    def serve(self, descriptor: int, event: int) -> bool:
        """Write or read what can be; True when this end is done with."""
        if descriptor == self.stdin:
            try:
                self.content = self.content[os.write(self.stdin, self.content):]
            except BrokenPipeError:
                return True
            return not self.content or bool(event & (POLLERR | POLLHUP))
        piece = os.read(descriptor, 1 << 16)
        self.heard[descriptor] = (self.heard[descriptor] + piece)[:HEARD]
        return not piece

    def drain(self, open_ends: set[int]) -> None:
        """What it wrote at last. Somebody whom it left behind may hold the other end: nobody waits for that one."""
        for descriptor in open_ends - {self.stdin}:
            with suppress(BlockingIOError):
                while not self.serve(descriptor, POLLIN):
                    pass

    def kill(self) -> None:
        """It, and its process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def said(self) -> list[tuple[str, bytes]]:
        return [("stdout", self.heard[self.stdout]), ("stderr", self.heard[self.stderr])]


def die_with(parent: int) -> None:
    """Nobody would enforce a hook's time-out, or clean up after it, once we were killed; and the pid that it was told
    may be another process's by then."""
    prctl.set_pdeathsig(signal.SIGKILL)
    if os.getppid() != parent:  # killed before
        os._exit(1)


def execute(hook: Hook, directory: str, streams: tuple[int, int, int], failure: int) -> NoReturn:
    """In the forked process: become the hook, or tell errno through `failure`."""
    try:
        os.setpgid(0, 0)
        if directory:
            os.chdir(directory)
        os.umask(os.umask(0o022) or 0o022)  # init has none, which a program of the caller's does not expect
        # Standard streams that were closed may have become pipes of ours: first out of their way.
        streams = tuple(os.dup(one) if one < 3 else one for one in streams)  # type: ignore[assignment]
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        close_range(3, on_exec=True)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these two
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execve(hook.path, hook.args or (hook.path,), dict(line.split("=", 1) for line in hook.env))
    except OSError as error:
        os.write(failure, b"%d" % (error.errno or 0))
    finally:
        os._exit(127)
