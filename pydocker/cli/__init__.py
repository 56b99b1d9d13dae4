"""The command line: one module per command, loaded when it is called. It speaks only the Engine API.

    app        the tree of commands            command, parse, flags, help   Docker's manner of flags
    session    one call: streams, client       errors                        how a command ends
    request    flags -> create request         attached, terminal            a person at a container's streams
    table, template, phrases                   what lists look like (../gotemplate: Go's templates, by themselves)
    warm (and ../launcher.c)                   the installed command, without the start of Python
    dockerconfig, credentials, credhelper, keyring   who one is to a registry, and where that is kept
    progress, screen   a bar per layer             pulling                       what pull and run have in common

`main` takes everything from its arguments and leaves nothing behind, so that a warm process can run it for a caller.
"""

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn


def entry() -> NoReturn:
    """The installed command: `main` in a process of its own, whose start and end a person waits for.

    Both have a price that nobody has to pay. While modules load, the collector of cycles looks through objects of
    which all stay (4 ms); and at the end Python takes down, piece by piece, what the kernel frees at once (7 ms).
    """
    _open_streams()
    gc.disable()
    import pydocker.cli.app  # noqa: F401

    gc.freeze()
    gc.enable()  # `logs -f` may run for months
    code = main()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    os._exit(code)


def _open_streams() -> None:
    """A stream that the caller closed is /dev/null, as in launcher.c."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def main(
    argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None, *,
    stdin: int = 0, stdout: int = 1, stderr: int = 2, directory: str = ".",
    job: int | None = None,
) -> int:
    """Run `pydocker argv...`; its exit status. The three streams are descriptors. Nothing is raised.

    `job` is the process that the caller's shell knows, where that is not this one.
    """
    from pydocker.cli.app import run
    from pydocker.cli.session import Session

    session = Session(os.environ if environ is None else environ, stdin, stdout, stderr, directory, job)
    return run(session, sys.argv[1:] if argv is None else argv)
