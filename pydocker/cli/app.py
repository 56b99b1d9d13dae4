"""The tree of commands, and the one place where errors become words and an exit status.

The table below is all that `pydocker --help` needs: no command's module is imported before its command is called.
"""

import os
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
    "commit": ("pydocker.cli.commit:COMMIT", "Create a new image from a container's changes"),
    "cp": ("pydocker.cli.cp:CP", "Copy files/folders between a container and the local filesystem"),
    "create": ("pydocker.cli.create:CREATE", "Create a new container"),
    "diff": ("pydocker.cli.files:DIFF", "Inspect changes to files or directories on a container's filesystem"),
    "exec": ("pydocker.cli.exec:EXEC", "Execute a command in a running container"),
    "export": ("pydocker.cli.files:EXPORT", "Export a container's filesystem as a tar archive"),
    "kill": ("pydocker.cli.lifecycle:KILL", "Kill one or more running containers"),
    "logs": ("pydocker.cli.logs:LOGS", "Fetch the logs of a container"),
    "pause": ("pydocker.cli.lifecycle:PAUSE", "Pause all processes within one or more containers"),
    "port": ("pydocker.cli.port:PORT", "List port mappings or a specific mapping for the container"),
    "rename": ("pydocker.cli.lifecycle:RENAME", "Rename a container"),
    "restart": ("pydocker.cli.lifecycle:RESTART", "Restart one or more containers"),
    "rm": ("pydocker.cli.lifecycle:RM", "Remove one or more containers"),
    "run": ("pydocker.cli.run:RUN", "Create and run a new container from an image"),
    "start": ("pydocker.cli.start:START", "Start one or more stopped containers"),
    "stats": ("pydocker.cli.stats:STATS", "Display a live stream of container(s) resource usage statistics"),
    "stop": ("pydocker.cli.lifecycle:STOP", "Stop one or more running containers"),
    "top": ("pydocker.cli.top:TOP", "Display the running processes of a container"),
    "unpause": ("pydocker.cli.lifecycle:UNPAUSE", "Unpause all processes within one or more containers"),
    "update": ("pydocker.cli.update:UPDATE", "Update configuration of one or more containers"),
    "wait": ("pydocker.cli.lifecycle:WAIT", "Block until one or more containers stop, then print their exit codes"),
}
_IMAGE = {
    "history": ("pydocker.cli.history:HISTORY", "Show the history of an image"),
    "import": ("pydocker.cli.import_:IMPORT", "Import the contents from a tarball to create a filesystem image"),
    "load": ("pydocker.cli.archives:LOAD", "Load an image from a tar archive or STDIN"),
    "pull": ("pydocker.cli.pull:PULL", "Download an image from a registry"),
    "push": ("pydocker.cli.push:PUSH", "Upload an image to a registry"),
    "save": ("pydocker.cli.archives:SAVE", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
    "tag": ("pydocker.cli.images:TAG", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
}
_SYSTEM = {
    "events": ("pydocker.cli.events:EVENTS", "Get real time events from the server"),
    "info": ("pydocker.cli.info:INFO", "Display system-wide information"),
}
_IN_SYSTEM = {
    **_SYSTEM, "df": ("pydocker.cli.df:DF", "Show disk usage"),
    "check": ("pydocker.cli.check:CHECK", "Verify images, layers, containers and volumes on disk"),
    "prune": ("pydocker.cli.prune:SYSTEM", "Remove unused data"),
}

_PS = ("pydocker.cli.ps:PS", "List containers")
_IMAGES = ("pydocker.cli.images:IMAGES", "List images")
_RMI = ("pydocker.cli.images:RMI", "Remove one or more images")

_IN_CONTAINER = {
    **_CONTAINER, "ls": _PS, "list": _PS, "ps": _PS, "remove": _CONTAINER["rm"],
    "inspect": ("pydocker.cli.inspect:CONTAINER", "Display detailed information on one or more containers"),
    "prune": ("pydocker.cli.prune:CONTAINERS", "Remove all stopped containers"),
}
_IN_IMAGE = {
    "history": ("pydocker.cli.history:HISTORY", "Show the history of an image"),
    **_IMAGE, "ls": _IMAGES, "list": _IMAGES, "rm": _RMI, "remove": _RMI,
    "inspect": ("pydocker.cli.inspect:IMAGE", "Display detailed information on one or more images"),
    "layers": ("pydocker.cli.layers:LAYERS", "Draw the stack of an image's layers, and what they waste"),
    "prune": ("pydocker.cli.prune:IMAGES", "Remove unused images"),
}

_IN_VOLUME = {
    "clone": ("pydocker.cli.volume:CLONE", "Make a new volume with the same content"),
    "create": ("pydocker.cli.volume:CREATE", "Create a volume"),
    "export": ("pydocker.cli.volume:EXPORT", "Export a volume's content as a tar archive"),
    "import": ("pydocker.cli.volume:IMPORT", "Make a volume of a tar archive, or fill an empty one"),
    "inspect": ("pydocker.cli.volume:INSPECT", "Display detailed information on one or more volumes"),
    "ls": ("pydocker.cli.volume:LIST", "List volumes"), "list": ("pydocker.cli.volume:LIST", "List volumes"),
    "prune": ("pydocker.cli.volume:PRUNE", "Remove unused local volumes"),
    "rename": ("pydocker.cli.volume:RENAME", "Rename a volume that no container has"),
    "rm": ("pydocker.cli.volume:RM", "Remove one or more volumes"),
    "remove": ("pydocker.cli.volume:RM", "Remove one or more volumes"),
    "update": ("pydocker.cli.volume:UPDATE", "Update a volume (cluster volumes only)"),
}

CONTAINER_GROUP = Group(
    "container", help="Manage containers", entries=_IN_CONTAINER,
    titles={"Commands": sorted({*_CONTAINER, "ls", "inspect", "prune"})})
IMAGE_GROUP = Group(
    "image", help="Manage images", entries=_IN_IMAGE,
    titles={"Commands": sorted({*_IMAGE, "ls", "rm", "inspect", "layers", "prune"})})
VOLUME_GROUP = Group(
    "volume", help="Manage volumes", entries=_IN_VOLUME,
    titles={"Commands": sorted(set(_IN_VOLUME) - {"list", "remove"})})
SYSTEM_GROUP = Group("system", help="Manage pydocker", entries=_IN_SYSTEM, titles={"Commands": sorted(_IN_SYSTEM)})

_NETWORK = {
    "connect": ("pydocker.cli.network:CONNECT", "Connect a container to a network"),
    "create": ("pydocker.cli.network:CREATE", "Create a network"),
    "disconnect": ("pydocker.cli.network:DISCONNECT", "Disconnect a container from a network"),
    "doctor": ("pydocker.cli.doctor:DOCTOR", "Explain who can reach published ports, and what stands in the way"),
    "inspect": ("pydocker.cli.inspect:NETWORK", "Display detailed information on one or more networks"),
    "ls": ("pydocker.cli.network:LS", "List networks"),
    "map": ("pydocker.cli.network_map:MAP", "Draw networks, containers, their addresses and what leads to them"),
    "prune": ("pydocker.cli.network:PRUNE", "Remove all unused networks"),
    "rm": ("pydocker.cli.network:RM", "Remove one or more networks"),
}
NETWORK_GROUP = Group(
    "network", help="Manage networks", titles={"Commands": sorted(_NETWORK)},
    entries={**_NETWORK, "list": _NETWORK["ls"], "remove": _NETWORK["rm"]})

_TOP = {
    **_CONTAINER, **_IMAGE, **_SYSTEM, "ps": _PS, "images": _IMAGES, "rmi": _RMI,
    "inspect": ("pydocker.cli.inspect:INSPECT", "Return low-level information on Docker objects"),
    "login": ("pydocker.cli.login:LOGIN", "Authenticate to a registry"),
    "logout": ("pydocker.cli.login:LOGOUT", "Log out from a registry"),
    "search": ("pydocker.cli.search:SEARCH", "Search a registry for images"),
    "version": ("pydocker.cli.version:VERSION", "Show the version information"),
    "completion": ("pydocker.cli.completion:COMPLETION", "Generate the autocompletion script for the specified shell"),
    "__complete": ("pydocker.cli.completion:COMPLETE", "Answer a shell that completes a command line"),
    "serve": ("pydocker.cli.serve:SERVE", "Serve the Engine API (started by itself when it is needed)"),
    "container": ("pydocker.cli.app:CONTAINER_GROUP", "Manage containers"),
    "image": ("pydocker.cli.app:IMAGE_GROUP", "Manage images"),
    "network": ("pydocker.cli.app:NETWORK_GROUP", "Manage networks"),
    "system": ("pydocker.cli.app:SYSTEM_GROUP", "Manage pydocker"),
    "volume": ("pydocker.cli.app:VOLUME_GROUP", "Manage volumes"),
}
_COMMON = ("run", "exec", "ps", "pull", "push", "images", "login", "logout", "search", "version", "info")
_MANAGEMENT = ("container", "image", "network", "system", "volume")

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
        "Commands": sorted(set(_TOP) - set(_COMMON) - set(_MANAGEMENT) - {"__complete"}),
    })


def run(session: Session, argv: Sequence[str]) -> int:
    """Run one command line; its exit status. Whatever went wrong has been said on stderr."""
    try:
        return _run(session, argv)
    except PydockerError as error:
        return _failed(session, error)
    except BrokenPipeError:
        return 128 + signal.SIGPIPE  # `pydocker ps | head -1`: whoever read has had enough
    except OSError as error:  # of these descriptors: everything else is a CommandError
        return _failed(session, CommandError(f"write: {os.strerror(error.errno or 0).lower()}"))
    except Interrupted as interrupted:
        return 128 + interrupted.number
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _run(session: Session, argv: Sequence[str]) -> int:
    try:
        with ROOT.make_context("pydocker", list(argv), obj=session) as ctx:
            return int(ROOT.invoke(ctx))
    except ShowHelp as shown:
        session.write(str(shown))
        return 0


def _failed(session: Session, error: PydockerError) -> int:
    if session.debug:
        import traceback

        session.warn("".join(traceback.format_exception(error)).rstrip())
    text = error.full() if isinstance(error, BadUsage) else told(error)
    if text:
        session.warn(text)
    return error.exit_code if isinstance(error, BadUsage | CommandError) else 1
