"""Ask before something is taken away: `Are you sure you want to continue? [y/N]`."""

import os

from pydocker.cli.session import Session

_LONGEST = 1024  # bytes of an answer


def confirmed(session: Session, warning: str) -> bool:
    """Show the warning, and tell whether the answer is yes. The end of the input is no."""
    session.write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    return _answer(session.stdin).strip().lower() == "y"


def _answer(fd: int) -> str:
    """One line, read byte by byte: what follows is not ours."""
    line = b""
    while len(line) < _LONGEST and not line.endswith(b"\n") and (piece := os.read(fd, 1)):
        line += piece
    return line.decode(errors="replace")
