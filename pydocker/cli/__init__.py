"""The command line: one module per command, loaded when it is called. It speaks only the Engine API.

    app        the tree of commands            command, parse, flags, help   Docker's manner of flags
    session    one call: streams, client       errors                        how a command ends
    request    flags -> create request         attached, terminal            a person at a container's streams
    table, template, phrases                   what lists look like
    pulling    a pull's progress

`main` takes everything from its arguments and leaves nothing behind, so that a warm process can run it for a caller.
"""

import os
import sys
from collections.abc import Mapping, Sequence


def main(
    argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None, *,
    stdin: int = 0, stdout: int = 1, stderr: int = 2, directory: str = ".",
) -> int:
    """Run `pydocker argv...`; its exit status. The three streams are descriptors. Nothing is raised."""
    from pydocker.cli.app import run
    from pydocker.cli.session import Session

    session = Session(os.environ if environ is None else environ, stdin, stdout, stderr, directory)
    return run(session, sys.argv[1:] if argv is None else argv)
