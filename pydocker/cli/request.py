"""From the flags of `run` and `create` to the body of `POST /containers/create`.

Only what was asked for is sent: everything else is the image's, or the server's, to decide.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydocker.cli import linefile
from pydocker.cli.create_flags import CREATE_FLAGS
from pydocker.cli.errors import CommandError
from pydocker.cli.session import Session

Request = dict[str, Any]  # JSON on its way out


def build(session: Session, image: str, command: Sequence[str], given: Mapping[str, Any]) -> Request:
    """The request for `image` with these flags. Raises CommandError for files that cannot be read, and conflicts."""
    request: Request = {"Image": image}
    for flag in CREATE_FLAGS:
        found = given[str(flag.name)]
        if flag.to and not (found is None or found is False or found == ()):  # 0 is a value: --stop-timeout 0
            put(request, flag.to, found)
    for path, found in (*_program(command, given), *_descriptions(session, given), *streams(given)):
        put(request, path, found)
    return request


def put(request: Request, path: str, found: object) -> None:
    """Set the field at the dotted `path`; repeated flags are lists, except pairs, which are a map."""
    *parents, last = path.split(".")
    for parent in parents:
        request = request.setdefault(parent, {})
    request[last] = _shaped(found)


def _shaped(found: object) -> object:
    if not isinstance(found, tuple):
        return found
    return dict(found) if all(isinstance(item, tuple) for item in found) else list(found)


def _program(command: Sequence[str], given: Mapping[str, Any]) -> list[tuple[str, object]]:
    fields: list[tuple[str, object]] = [("Cmd", tuple(command))] if command else []
    entrypoint = given["entrypoint"]
    if entrypoint is not None:
        # `--entrypoint ""` is Docker's way to say "none": a list with one empty string, which the server knows.
        fields.append(("Entrypoint", (entrypoint,)))
    return fields


def _descriptions(session: Session, given: Mapping[str, Any]) -> list[tuple[str, object]]:
    try:
        variables = linefile.environment(session, given["env_file"], given["env"])
        lines = linefile.labels(session, given["label_file"])
        labels = dict(line.split("=", 1) for line in lines) | dict(given["label"])
    except CommandError as error:  # a file: for these two commands a fault in it is a fault of the flag
        raise CommandError(str(error), 125) from error
    return [(path, found) for path, found in (("Env", tuple(variables)), ("Labels", labels)) if found]


def streams(given: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Which streams to attach (Docker: stdout and stderr unless `-a` says otherwise; stdin too with `-i`)."""
    named, interactive, detached = given["attach"], given["interactive"], given.get("detach", False)
    stdin = not detached and (interactive or "stdin" in named)
    return [
        ("AttachStdin", stdin),
        ("AttachStdout", not detached and (not named or "stdout" in named)),
        ("AttachStderr", not detached and (not named or "stderr" in named)),
        ("OpenStdin", interactive),
        ("StdinOnce", interactive and stdin),
    ]
