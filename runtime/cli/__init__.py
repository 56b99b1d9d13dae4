"""The command line of an OCI runtime, as runc has it, so that whoever calls runc can call this.

This module imports next to nothing: `create`, `run` and `exec` first execute the interpreter again from a read-only
mount (see `runtime.linux.interpreter`), unless the caller did so already, and whatever is imported before that is
imported twice. For the same reason the flags are a table and forty lines of our own: click costs 25 ms at each call,
more than a whole container. What only some containers need (a terminal, say) is imported where it is decided upon.

    arguments   parse words by a table of flags; help
    flags       those tables
    verbs       the table of verbs, and the look-up of one
    making      create, run, exec: those that make a process
    living      start, kill, delete …: those for a container that is there
    documents   explain, spec, features
    lean        importing msgspec without what it imports for others
    wording     what is said of an error
"""

import gc
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import NoReturn

from runtime.cli.lean import import_msgspec

MAKING = ("create", "run", "exec")  # these fork a process that enters a container


def entry() -> NoReturn:
    """The installed command: `main` in a process of its own, whose start and end somebody waits for.

    Both have a price that nobody has to pay. While modules load, the collector of cycles looks through objects of
    which all stay; msgspec imports what we have no use for; and at the end Python takes down, piece by piece, what the
    kernel frees at once.
    """
    gc.disable()
    import_msgspec()
    os._exit(main(alone=True))


def main(argv: Sequence[str] | None = None, *, alone: bool = False) -> int:
    """Run one command; returns its exit code, and never raises. Errors are one line on standard error.

    It may be called in a forked child of a process that has imported this already; then it does not return if the
    interpreter has to be executed again. `alone` is who has no such parent, which would know beforehand.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    child = 0
    try:
        if any(word in MAKING for word in words):
            protect(words)
            child = head_start(words) if alone and "exec" in words else 0
        from runtime.cli.verbs import run

        code = run(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # who read has seen enough; it is what a shell says of a program that SIGPIPE ended
        return 128 + signal.SIGPIPE
    except OSError as error:
        return complain(f"{error.filename + ': ' if isinstance(error.filename, str) else ''}{error.strerror}".lower())
    except KeyboardInterrupt:
        return 130
    finally:
        if child:
            os.waitpid(child, 0)


def preload() -> None:
    """Import what the verbs may need: for a process whose forks call `main`, and are to find all of it there."""
    import runtime.cli.living
    import runtime.cli.making
    import runtime.cli.verbs
    import runtime.console
    import runtime.create
    import runtime.join
    import runtime.lifecycle
    import runtime.linux.interpreter
    import runtime.process.filters
    import runtime.process.seccomp
    import runtime.process.terminal
    import runtime.rootfs.tmpfs  # noqa: F401
    from runtime import cgroups
    from runtime.create import rehearse
    from runtime.linux import libseccomp

    with suppress(OSError):  # there is none: who wants a filter will hear it
        libseccomp.version()
    cgroups.preload()
    rehearse()


def protect(words: Sequence[str]) -> None:
    """Go on from a read-only interpreter (CVE-2019-5736). Returns if this one is; raises OSError if it cannot be."""
    from runtime.linux.interpreter import bootstrap, exec_protected, protected, read_only_copy

    if protected() or os.geteuid() != 0:
        return
    with told(words, "OwnInterpreter", "copy the mount of the Python interpreter, read-only, and go on there: the "
              "container can see it as /proc/self/exe", "open_tree(2), mount_setattr(2)"):
        tree = read_only_copy()
    exec_protected([*bootstrap("runtime.cli:entry"), *words], os.environ, tree)


def head_start(words: Sequence[str]) -> int:
    """Let the kernel prepare for the move into the container's cgroup, while we import the rest: in a process of its
    own, whose pid is returned, or 0 if there is none."""
    from runtime.linux import headstart

    if not traced(words):
        return headstart.give()
    with told(words, "HeadStart", "move to the cgroup where we are: the kernel takes its time for the first move",
              "cgroups(7)"):
        headstart.move_where_we_are(headstart.own_cgroup_file())
    return 0


def told(words: Sequence[str], step: str, what: str, manual: str) -> AbstractContextManager[None]:
    """For what is done beside the plan: a line in the trace, if there is one."""
    if not traced(words):
        return nullcontext()
    from runtime.cli.verbs import trace_file
    from runtime.trace import opened

    path = trace_file(words)
    return opened(path).telling(step, what, manual) if path else nullcontext()


def traced(words: Sequence[str]) -> bool:
    """Whether --trace is among the words. (To be sure is to parse them, which takes more imports.)"""
    return any(word.lstrip("-").startswith("trace") for word in words)


def complain(message: str, code: int = 1) -> int:
    """One line on standard error; returns the exit code."""
    os.write(2, f"pydocker-runtime: {message}\n".encode(errors="surrogateescape"))
    return code
