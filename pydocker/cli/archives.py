"""`pydocker save` and `pydocker load`: whole images as one file, or as a stream."""

import contextlib
import os
import stat
from collections.abc import Callable, Generator, Sequence

import msgspec

from pydocker.cli import progress
from pydocker.cli.command import NONE, SOME, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import switch, value, values
from pydocker.cli.session import Session, write_all
from pydocker.client import images
from pydocker.client.api import Response
from pydocker.model import platform as platforms
from pydocker.model.platform import Platform

PIECE = 1 << 20
_IRREGULAR = {
    stat.S_IFDIR: "a directory", stat.S_IFLNK: "a symbolic link directly", stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a character device file", stat.S_IFBLK: "a block device file"}


def save(session: Session, arguments: tuple[str, ...], *, output: str | None, platform: tuple[str, ...]) -> int:
    """Write the archive; a file gets its name only when it is whole."""
    if not output and os.isatty(session.stdout):
        raise CommandError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    keep(session, output, "failed to save image", lambda: images.saved(session.client(), arguments, _asked(platform)))
    return 0


def keep(session: Session, output: str | None, failed: str, ask: Callable[[], Response]) -> None:
    """Write the body of what `ask` is answered to the file `output`, or to stdout (None, ""). `failed` begins an
    error's text.
    """
    path = os.path.join(session.directory, output) if output else None
    if path is not None:
        _check(path, str(output), failed)
    with ask() as response:
        if path is None:
            _print(session, response)
        else:
            _write(path, str(output), response)


def _print(session: Session, response: Response) -> None:
    for piece in response.pieces():
        try:
            write_all(session.stdout, piece)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise CommandError(f"write /dev/stdout: {(error.strerror or '').lower()}") from error


def _check(path: str, shown: str, failed: str) -> None:
    """Only what may be replaced by a file is written to: no device, no link, and nothing in a directory that is not
    there (moby/sys, atomicwriter).
    """
    above = os.path.dirname(path)
    if not os.path.isdir(above):
        why = "not a directory" if os.path.exists(above) else "no such file or directory"
        raise CommandError(f"{failed}: invalid output path: stat {os.path.dirname(shown)}: {why}")
    with contextlib.suppress(FileNotFoundError):
        kind = stat.S_IFMT(os.lstat(path).st_mode)
        if kind != stat.S_IFREG:
            raise CommandError(f"{failed}: cannot write to {_IRREGULAR[kind]}")


def _write(path: str, shown: str, response: Response) -> None:
    """Through a temporary file beside it, which becomes it at the end."""
    temporary = os.path.join(os.path.dirname(path), f".pydocker-save-{os.urandom(6).hex()}")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            for piece in response.pieces():
                write_all(fd, piece)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise CommandError(f"write {shown}: {(error.strerror or '').lower()}") from error
        raise


def load(session: Session, arguments: tuple[str, ...], *, input: str | None, platform: tuple[str, ...],
         quiet: bool) -> int:
    """Send the archive; print what became of it."""
    if input is None and os.isatty(session.stdin):
        raise CommandError("requested load from stdin, but stdin is empty")
    quiet = quiet or not os.isatty(session.stdout)
    with contextlib.closing(pieces(session, input or "-")) as archive:
        answer = images.load(session.client(), archive, _asked(platform), quiet=quiet)
        progress.show(session, images.told(answer), session.stdout)
    return 0


def pieces(session: Session, source: str) -> Generator[bytes]:
    """The bytes of a file of the caller's, or of stdin (`-`). Raises CommandError for a file that cannot be read."""
    if source == "-":
        while piece := os.read(session.stdin, PIECE):
            yield piece
        return
    with session.open(source) as file:
        try:
            while piece := file.read(PIECE):
                yield piece
        except OSError as error:
            raise CommandError(f"read {source}: {(error.strerror or '').lower()}") from error


def _asked(texts: Sequence[str]) -> list[str]:
    """`--platform linux/arm64,linux/amd64`, as the API wants each. Raises InvalidParameter."""
    return [_document(platforms.parse(text)) for text in ",".join(texts).split(",") if text]


def _document(platform: Platform) -> str:
    fields = {"os": platform.os, "architecture": platform.architecture, "variant": platform.variant}
    return msgspec.json.encode({name: field for name, field in fields.items() if field}).decode()


SAVE = Command(
    "save", save, synopsis="IMAGE [IMAGE...]", arity=SOME,
    help="Save one or more images to a tar archive (streamed to STDOUT by default)", aliases=("image save", "save"),
    flags=(
        value("-o", "--output", help="Write to a file, instead of STDOUT"),
        values("--platform", help='Save only the given platform(s). Formatted as a comma-separated list of '
                                  '"os[/arch[/variant]]" (e.g., "linux/amd64,linux/arm64/v8")'),
    ))
LOAD = Command(
    "load", load, synopsis="", arity=NONE, help="Load an image from a tar archive or STDIN",
    aliases=("image load", "load"),
    flags=(
        value("-i", "--input", help="Read from tar archive file, instead of STDIN"),
        values("--platform", help='Load only the given platform(s). Formatted as a comma-separated list of '
                                  '"os[/arch[/variant]]" (e.g., "linux/amd64,linux/arm64/v8")'),
        switch("-q", "--quiet", help="Suppress the load output"),
    ))
