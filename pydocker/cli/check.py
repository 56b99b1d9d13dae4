"""`pydocker system check`: is everything on disk what it should be? With --repair, what can be mended is.

The status: 0 all is well, also when it was mended just now; 1 the check could not be made; 2 something is wrong.
"""

import os

from pydocker.cli import phrases
from pydocker.cli.command import NONE, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import switch
from pydocker.cli.session import Session
from pydocker.client import upkeep
from pydocker.client.upkeep import Checked, Verdict

WRONG = 2


def check(session: Session, arguments: tuple[str, ...], *, repair: bool) -> int:
    """Print every finding as it comes, and then what was looked at."""
    progress = _Progress(session)
    summary = Checked()
    for line in upkeep.check(session.client(), repair=repair):
        if line.error:
            progress.clear()
            raise CommandError(f"Error response from daemon: {line.error}")
        if line.detail and line.detail.total:
            progress.show(line.status, line.detail.current, line.detail.total)
        if isinstance(line.aux, Verdict):
            progress.clear()
            session.write(_told(line.aux))
        elif line.aux is not None:
            summary = line.aux
    progress.clear()
    session.write(_summed(summary, repair=repair))
    return WRONG if summary.problems > summary.mended else 0


def _told(verdict: Verdict) -> str:
    if verdict.mended:
        last = f"mended: {verdict.remedy}"
    elif verdict.mendable:
        last = f"--repair: {verdict.remedy}"
    else:
        last = f"not mended: {verdict.remedy}"
    return f"{verdict.subject}: {verdict.problem}\n    {last}\n"


def _summed(summary: Checked, *, repair: bool) -> str:
    looked = (f"{_count(summary.images, 'image')}, {_count(summary.blobs, 'blob')} "
              f"({phrases.decimal_size(summary.blob_bytes)}), {_count(summary.layers, 'layer')} "
              f"({phrases.decimal_size(summary.layer_bytes)}), {_count(summary.containers, 'container')}, "
              f"{_count(summary.volumes, 'volume')}: ")
    if summary.unverified:
        looked = (f"{_count(summary.unverified, 'layer')} could not be verified: the compressed layers are missing\n"
                  + looked)
    if not summary.problems:
        return looked + "all is well\n"
    left = summary.problems - summary.mended
    if repair:
        return looked + f"{_count(summary.problems, 'problem')}, {summary.mended} mended, {left} left\n"
    return looked + f"{_count(summary.problems, 'problem')}\n"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


class _Progress:
    """One line on a terminal, rewritten in place (ECMA-48, EL); nothing anywhere else."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._on = os.isatty(session.stdout)
        self._shown = False

    def show(self, status: str, current: int, total: int) -> None:
        if self._on:
            self._shown = True
            amount = f"{phrases.decimal_size(current)} of {phrases.decimal_size(total)}"
            self._session.write(f"\r\x1b[K{status}: {amount}")

    def clear(self) -> None:
        if self._shown:
            self._shown = False
            self._session.write("\r\x1b[K")


CHECK = Command(
    "check", check, synopsis="", arity=NONE, help="Verify images, layers, containers and volumes on disk",
    details="Every blob is read and compared with its digest; every layer is unpacked once more and compared with\n"
            "its directory, which takes about twice as long as unpacking them did, and room for the largest layer.\n"
            "Exit status: 0 all is well (or was mended), 1 the check could not be made, 2 something is wrong.",
    flags=(switch("--repair", help="Mend what can be mended: unpack layers again, remove what nothing refers to"),))
