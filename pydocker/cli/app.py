"""The tree of commands, and the one place where errors become words and an exit status.

The table below is all that `pydocker --help` needs: no command's module is imported before its command is called.
"""

import signal
from collections.abc import Sequence
from typing import Any

import click

from pydocker import __version__
from pydocker.cli.command import Group, ShowHelp
from pydocker.cli.errors import BadUsage, CommandError, Interrupted, told
from pydocker.cli.flags import switch, value
from pydocker.cli.session import Session
from pydocker.errors import PydockerError

_CONTAINER = {
    "attach": ("pydocker.cli.attach:ATTACH",
               "Attach local standard input, output, and error streams to a running container"),
    "create": ("pydocker.cli.create:CREATE", "Create a new container"),
    "exec": ("pydocker.cli.exec:EXEC", "Execute a command in a running container"),
    "kill": ("pydocker.cli.lifecycle:KILL", "Kill one or more running containers"),
    "logs": ("pydocker.cli.logs:LOGS", "Fetch the logs of a container"),
    "rename": ("pydocker.cli.lifecycle:RENAME", "Rename a container"),
    "restart": ("pydocker.cli.lifecycle:RESTART", "Restart one or more containers"),
    "rm": ("pydocker.cli.lifecycle:RM", "Remove one or more containers"),
    "run": ("pydocker.cli.run:RUN", "Create and run a new container from an image"),
    "start": ("pydocker.cli.start:START", "Start one or more stopped containers"),
    "stop": ("pydocker.cli.lifecycle:STOP", "Stop one or more running containers"),
    "wait": ("pydocker.cli.lifecycle:WAIT", "Block until one or more containers stop, then print their exit codes"),
}
_IMAGE = {
    "import": ("pydocker.cli.import_:IMPORT", "Import the contents from a tarball to create a filesystem image"),
    "pull": ("pydocker.cli.pull:PULL", "Download an image from a registry"),
    "tag": ("pydocker.cli.images:TAG", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
}
_SYSTEM = {"info": ("pydocker.cli.info:INFO", "Display system-wide information")}

_PS = ("pydocker.cli.ps:PS", "List containers")
_IMAGES = ("pydocker.cli.images:IMAGES", "List images")
_RMI = ("pydocker.cli.images:RMI", "Remove one or more images")

_IN_CONTAINER = {
    **_CONTAINER, "ls": _PS, "list": _PS, "ps": _PS, "remove": _CONTAINER["rm"],
    "inspect": ("pydocker.cli.inspect:CONTAINER", "Display detailed information on one or more containers"),
}
_IN_IMAGE = {
    **_IMAGE, "ls": _IMAGES, "list": _IMAGES, "rm": _RMI, "remove": _RMI,
    "inspect": ("pydocker.cli.inspect:IMAGE", "Display detailed information on one or more images"),
}

CONTAINER_GROUP = Group(
    "container", help="Manage containers", entries=_IN_CONTAINER,
    titles={"Commands": sorted({*_CONTAINER, "ls", "inspect"})})
IMAGE_GROUP = Group(
    "image", help="Manage images", entries=_IN_IMAGE, titles={"Commands": sorted({*_IMAGE, "ls", "rm", "inspect"})})
SYSTEM_GROUP = Group("system", help="Manage pydocker", entries=_SYSTEM, titles={"Commands": sorted(_SYSTEM)})

_TOP = {
    **_CONTAINER, **_IMAGE, **_SYSTEM, "ps": _PS, "images": _IMAGES, "rmi": _RMI,
    "inspect": ("pydocker.cli.inspect:INSPECT", "Return low-level information on Docker objects"),
    "version": ("pydocker.cli.version:VERSION", "Show the version information"),
    "serve": ("pydocker.cli.serve:SERVE", "Serve the Engine API (started by itself when it is needed)"),
    "container": ("pydocker.cli.app:CONTAINER_GROUP", "Manage containers"),
    "image": ("pydocker.cli.app:IMAGE_GROUP", "Manage images"),
    "system": ("pydocker.cli.app:SYSTEM_GROUP", "Manage pydocker"),
}
_COMMON = ("run", "exec", "ps", "pull", "images", "version", "info")
_MANAGEMENT = ("container", "image", "system")

_GLOBAL = (
    value("-H", "--host", help="Server to connect to: unix://PATH or tcp://HOST:PORT (overrides DOCKER_HOST)"),
    switch("-D", "--debug", help="Show where in pydocker an error came from"),
    switch("-v", "--version", help="Print version information and quit"),
)


class _Root(Group):
    def invoke(self, ctx: click.Context) -> Any:
        session: Session = ctx.obj
        session.host = ctx.params["host"] or ""
        session.debug = ctx.params["debug"]
        if ctx.params["version"]:
            session.say(f"pydocker version {__version__}")
            return 0
        return super().invoke(ctx)


ROOT = _Root(
    "pydocker", help="A container engine, and how one works", entries=_TOP, flags=_GLOBAL,
    titles={
        "Common Commands": _COMMON, "Management Commands": _MANAGEMENT,
        "Commands": sorted(set(_TOP) - set(_COMMON) - set(_MANAGEMENT)),
    })


def run(session: Session, argv: Sequence[str]) -> int:
    """Run one command line; its exit status. Whatever went wrong has been said on stderr."""
    try:
        with ROOT.make_context("pydocker", list(argv), obj=session) as ctx:
            return int(ROOT.invoke(ctx))
    except ShowHelp as shown:
        session.write(str(shown))
        return 0
    except PydockerError as error:
        return _failed(session, error)
    except BrokenPipeError:
        return 128 + signal.SIGPIPE  # `pydocker ps | head -1`: whoever read has had enough
    except Interrupted as interrupted:
        return 128 + interrupted.number
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _failed(session: Session, error: PydockerError) -> int:
    if session.debug:
        import traceback

        session.warn("".join(traceback.format_exception(error)).rstrip())
    text = error.full() if isinstance(error, BadUsage) else told(error)
    if text:
        session.warn(text)
    return error.exit_code if isinstance(error, BadUsage | CommandError) else 1
