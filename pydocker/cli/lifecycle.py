"""Verbs over one or more containers: stop, restart, kill, pause, unpause, rm, wait; and rename.

Each does what it can: a name that fails is reported on stderr, the others are done, and the status is 1 in the end.
"""

from collections.abc import Callable, Iterable, Sequence

from pydocker.cli.command import SOME, TWO, Command
from pydocker.cli.errors import CommandError, told
from pydocker.cli.flags import INT, switch, value
from pydocker.cli.session import Session
from pydocker.client import containers
from pydocker.client.api import ApiError
from pydocker.errors import PydockerError

_AT_ONCE = 8

def each(session: Session, names: Sequence[str], act: Callable[[str], str], forgiven: int | None = None) -> int:
    """`act` on every name, and print what it returns. HTTP status `forgiven` is told, but does not count."""
    return _told(session, (lambda name=name: act(name) for name in names), forgiven)  # type: ignore[misc]


def together(session: Session, names: Sequence[str], act: Callable[[str], str], forgiven: int | None = None) -> int:
    """The same, for several at a time, as Docker does it: most of the time passes in the kernel. The order is kept."""
    if len(names) == 1:
        return each(session, names, act, forgiven)
    from concurrent.futures import ThreadPoolExecutor

    session.client()  # one for all, made before there are threads
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        return _told(session, [pool.submit(act, name).result for name in names], forgiven)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # ctrl-c: what has not begun does not begin


def _told(session: Session, outcomes: Iterable[Callable[[], str]], forgiven: int | None) -> int:
    status = 0
    for outcome in outcomes:
        try:
            session.say(outcome())
        except ApiError as error:
            session.warn(told(error))
            status = status if error.status == forgiven else 1
    return status


def stop(session: Session, arguments: tuple[str, ...], *, timeout: int | None, signal: str | None) -> int:
    def act(name: str) -> str:
        containers.stop(session.client(), name, timeout, signal)
        return name

    return together(session, arguments, act)


def restart(session: Session, arguments: tuple[str, ...], *, timeout: int | None, signal: str | None) -> int:
    def act(name: str) -> str:
        containers.restart(session.client(), name, timeout, signal)
        return name

    return each(session, arguments, act)


def kill(session: Session, arguments: tuple[str, ...], *, signal: str | None) -> int:
    def act(name: str) -> str:
        containers.kill(session.client(), name, signal)
        return name

    return together(session, arguments, act)


def pause(session: Session, arguments: tuple[str, ...]) -> int:
    def act(name: str) -> str:
        containers.pause(session.client(), name)
        return name

    return together(session, arguments, act)


def unpause(session: Session, arguments: tuple[str, ...]) -> int:
    def act(name: str) -> str:
        containers.unpause(session.client(), name)
        return name

    return together(session, arguments, act)


def remove(session: Session, arguments: tuple[str, ...], *, force: bool, link: bool, volumes: bool) -> int:
    def act(name: str) -> str:
        if not (stripped := name.strip("/")):
            raise CommandError("container name cannot be empty")
        containers.remove(session.client(), stripped, force=force, volumes=volumes, link=link)
        return name

    return together(session, arguments, act, forgiven=404 if force else None)


def wait(session: Session, arguments: tuple[str, ...]) -> int:
    def act(name: str) -> str:
        return str(containers.waited(containers.wait(session.client(), name)).status_code)

    return each(session, arguments, act)


def rename(session: Session, arguments: tuple[str, ...]) -> int:
    old, new = (name.strip() for name in arguments)
    if not old or not new:
        raise CommandError("Error: Neither old nor new names may be empty")
    try:
        containers.rename(session.client(), old, new)
    except PydockerError as error:
        session.warn(told(error))
        raise CommandError(f"Error: failed to rename container named {old}") from error
    return 0


_SEVERAL = "CONTAINER [CONTAINER...]"
_SIGNAL = value("-s", "--signal", help="Signal to send to the container")
_TIMEOUT = value("-t", "--timeout", "--time", kind=INT, help="Seconds to wait before killing the container")

STOP = Command(
    "stop", stop, synopsis=_SEVERAL, arity=SOME, help="Stop one or more running containers",
    flags=(_SIGNAL, _TIMEOUT), aliases=("container stop", "stop"))
RESTART = Command(
    "restart", restart, synopsis=_SEVERAL, arity=SOME, help="Restart one or more containers",
    flags=(_SIGNAL, _TIMEOUT), aliases=("container restart", "restart"))
KILL = Command(
    "kill", kill, synopsis=_SEVERAL, arity=SOME, help="Kill one or more running containers", flags=(_SIGNAL,),
    aliases=("container kill", "kill"))
PAUSE = Command(
    "pause", pause, synopsis=_SEVERAL, arity=SOME, help="Pause all processes within one or more containers",
    aliases=("container pause", "pause"))
UNPAUSE = Command(
    "unpause", unpause, synopsis=_SEVERAL, arity=SOME, help="Unpause all processes within one or more containers",
    aliases=("container unpause", "unpause"))
WAIT = Command(
    "wait", wait, synopsis=_SEVERAL, arity=SOME, aliases=("container wait", "wait"),
    help="Block until one or more containers stop, then print their exit codes")
RENAME = Command(
    "rename", rename, synopsis="CONTAINER NEW_NAME", arity=TWO, help="Rename a container",
    aliases=("container rename", "rename"))
RM = Command(
    "rm", remove, synopsis=_SEVERAL, arity=SOME, help="Remove one or more containers",
    aliases=("container rm", "container remove", "rm"),
    flags=(
        switch("-f", "--force", help="Force the removal of a running container (uses SIGKILL)"),
        switch("-l", "--link", help="Remove the specified link"),
        switch("-v", "--volumes", help="Remove anonymous volumes associated with the container"),
    ))
