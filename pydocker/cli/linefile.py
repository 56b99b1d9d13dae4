"""Files of lines that `--env-file` and `--label-file` read: `NAME=value`, `NAME`, blank lines, `# comments`.

Docker's rules: no quotes, no expansion; blanks before a name are dropped, a value is taken as it is; a byte order mark
at the start is skipped; every line has to be UTF-8. A name alone takes its value from the caller's environment (and is
left out if there is none) in an environment file, and is an empty label in a label file.
"""

from collections.abc import Callable, Iterator, Sequence

from pydocker.cli.errors import CommandError
from pydocker.cli.session import Session

_MARK = b"\xef\xbb\xbf"


def environment(session: Session, files: Sequence[str], variables: Sequence[str]) -> list[str]:
    """`NAME=value` lines: those of the files first, so that `--env` wins. A name alone is looked up in the caller's."""
    lines = [line for path in files for line in read(_content(session, path), path, "env", session.environ.get)]
    for variable in variables:
        name, separator, _ = variable.partition("=")
        if separator:
            lines.append(variable)
        elif name in session.environ:
            lines.append(f"{name}={session.environ[name]}")
    return lines


def labels(session: Session, files: Sequence[str]) -> list[str]:
    """`NAME=value` lines."""
    return [line for path in files for line in read(_content(session, path), path, "label", lambda name: "")]


def _content(session: Session, path: str) -> bytes:
    with session.open(path) as file:
        return file.read()


def read(content: bytes, path: str, what: str, alone: Callable[[str], str | None]) -> list[str]:
    """The `NAME=value` lines in `content`; `alone` answers for a name without a value (None: leave it out).

    Raises CommandError that names the file and what is wrong with the line.
    """
    lines = []
    for number, text in _lines(content, path, what):
        name, separator, value = text.partition("=")
        if not name:
            raise _bad(path, what, number, f"no variable name on line '{text}'")
        if any(character.isspace() for character in name):
            raise _bad(path, what, number, f"variable '{name}' contains whitespaces")
        found = value if separator else alone(name)
        if found is not None:
            lines.append(f"{name}={found}")
    return lines


def _lines(content: bytes, path: str, what: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(content.removeprefix(_MARK).split(b"\n"), 1):
        try:
            text = line.removesuffix(b"\r").decode("utf-8").lstrip()
        except UnicodeDecodeError as error:
            raise _bad(path, what, number, f"invalid utf8 bytes: {line!r}") from error
        if text and not text.startswith("#"):
            yield number, text


def _bad(path: str, what: str, number: int, reason: str) -> CommandError:
    return CommandError(f"invalid {what} file ({path}): line {number}: {reason}")
