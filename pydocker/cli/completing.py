"""What may stand at the end of a command line that is being typed: commands, flags, and names of what there is.

`found` walks the words as `parse` would, and says which list the last one is of; the names in a list come from the
server, which is asked for that one only. A fault (no server, a wrong flag) means nothing to offer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import click

from pydocker.cli.app import ROOT
from pydocker.cli.command import Command, Group
from pydocker.cli.flags import Flag
from pydocker.cli.session import Session
from pydocker.client import containers, images, system, volumes
from pydocker.client.answers import Json
from pydocker.errors import PydockerError
from runtime.linux.capabilities import NAMES

Pair = tuple[str, str]  # what to type, and a word about it


class Found(NamedTuple):
    """What fits. `files`: names of files may stand there, too; `open`: the word goes on (no blank behind it)."""

    pairs: tuple[Pair, ...] = ()
    files: bool = False
    open: bool = False


FILES = Found(files=True)
_STATES = {"running": ("running", "restarting"), "stopped": ("created", "exited", "dead"), "paused": ("paused",)}

# What the arguments of a command are; the last list is for all the arguments after it, "" means nothing to offer.
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("attach", "port", "top"), ("running", "")),
    **dict.fromkeys(("kill", "pause", "stats", "stop"), ("running",)),
    **dict.fromkeys(("diff", "export", "logs"), ("container", "")),
    **dict.fromkeys(("restart", "rm", "update", "wait", "container inspect"), ("container",)),
    **dict.fromkeys(("create", "run"), ("image", "files")),
    **dict.fromkeys(("rmi", "save", "image inspect"), ("image",)),
    **dict.fromkeys(("history", "push", "image layers"), ("image", "")), "tag": ("image", "image", ""),
    "commit": ("container", "image", ""), "cp": ("path", "path", ""), "exec": ("running", "files"),
    "images": ("image", ""), "rename": ("container", ""), "start": ("stopped",), "unpause": ("paused",),
    "inspect": ("anything",),
    "network connect": ("network", "container", ""), "network disconnect": ("network", "container", ""),
    **dict.fromkeys(("network inspect", "network rm"), ("network",)), "import": ("files",), "load": ("",),
    **dict.fromkeys(("volume inspect", "volume rm"), ("volume",)), "completion": ("shell", ""), "pull": ("image", ""),
}
# Commands that stand in two places, by the name above.
_SAME = {"image rm": "rmi", "image remove": "rmi", "image ls": "images", "container remove": "rm"}

_POLICIES = ("no", "always", "on-failure", "unless-stopped")
_SIGNALS = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGTERM", "SIGCONT", "SIGSTOP", "SIGWINCH")
_CAPABILITIES = ("ALL", *NAMES)
_BEFORE_COLON = {"path": "container", "source": "volume"}  # a name and a colon, or a file
# What stands behind a flag: a list of the server's, or words.
_FLAGS: Mapping[str, str | Sequence[str]] = {
    **dict.fromkeys(("--network", "--net"), "network"), "--volumes-from": "container", "--runtime": "runtime",
    **dict.fromkeys(("--cap-add", "--cap-drop"), _CAPABILITIES), "--restart": _POLICIES,
    **dict.fromkeys(("--env-file", "--label-file", "--cidfile", "--output", "--input", "--device"), "files"),
    "--volume": "source",
    **dict.fromkeys(("--signal", "--stop-signal"), _SIGNALS), "--pull": ("always", "missing", "never"),
    "--log-driver": "log", **dict.fromkeys(("--pid", "--ipc"), "namespace"), "--env": "environment",
    **dict.fromkeys(("--uts", "--userns"), ("host",)), "--cgroupns": ("host", "private"), "--as": ("run", "oci"),
    "--type": ("container", "image", "network", "volume"), "--attach": ("stdin", "stdout", "stderr"), "--format": (
        "json", "table"), "--platform": ("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/386"),
    "--security-opt": ("apparmor=", "no-new-privileges", "seccomp=", "systempaths=unconfined", "writable-cgroups=true"),
}


def found(session: Session, words: Sequence[str]) -> Found:
    """For the last of `words`, which stand behind `pydocker`. Nothing is raised."""
    try:
        return _Walk(session, words[-1]).offered(words[:-1])
    except (PydockerError, click.ClickException):
        return Found()


class _Walk:
    """Through the words before the last one."""

    def __init__(self, session: Session, last: str) -> None:
        self._session = session
        self._last = last
        self._path: list[str] = []
        self._arguments = 0

    def offered(self, words: Sequence[str]) -> Found:
        command: Command | Group = ROOT
        flags, rest, plain = _named(command), list(words), False
        while rest:
            word = rest.pop(0)
            if word.startswith("-") and word != "-" and not plain:
                plain = word == "--"
                if (flag := _wanting(flags, word)) is not None:
                    if not rest:
                        return self._value(flag, "")
                    self._note(flag, rest.pop(0))
            elif isinstance(command, Group):
                found = command.get_command(click.Context(command), word)
                if not isinstance(found, Command | Group):
                    return Found()
                command, flags = found, _named(found)
                self._path.append(word)
            else:
                self._arguments += 1
                plain = plain or not command.interspersed
        return self._last_word(command, flags, plain)

    def _note(self, flag: Flag, value: str) -> None:
        if "--host" in flag.opts and not self._path:
            self._session.host = value

    def _last_word(self, command: Command | Group, flags: Mapping[str, Flag], plain: bool) -> Found:
        if self._last.startswith("-") and not plain:
            name, equals, _ = self._last.partition("=")
            if equals and name in flags:
                return self._value(flags[name], f"{name}=")
            return self._fitting((flag_name, str(flag.help)) for flag_name, flag in flags.items()
                                 if flag_name.startswith("--") and not flag.hidden)
        if isinstance(command, Group):
            names = command.list_commands(click.Context(command))
            return self._fitting((name, command.entries[name][1]) for name in names)
        path = " ".join(self._path)
        lists = _ARGUMENTS.get(_SAME.get(path, path)) or _ARGUMENTS.get(self._path[-1], ("",))
        return self._of(lists[min(self._arguments, len(lists) - 1)], "")

    def _value(self, flag: Flag, prefix: str) -> Found:
        name = next(name for name in flag.opts if name.startswith("--"))
        if name == "--filter":
            return self._fitting(((prefix + key, "") for key in _filters(self._path)), open=True)
        kind = _FLAGS.get(name, "")
        if isinstance(kind, str):
            return self._of(kind, prefix)
        return self._fitting(((prefix + word, "") for word in kind), open=any(word.endswith("=") for word in kind))

    def _of(self, kind: str, prefix: str) -> Found:
        if kind in ("", "files"):
            return Found(files=kind == "files")
        if kind in _BEFORE_COLON:
            named = _quietly(self._session, _BEFORE_COLON[kind])
            return self._fitting((f"{prefix}{name}:", about) for name, about in named)._replace(files=True, open=True)
        return self._fitting(((prefix + name, about) for name, about in _names(self._session, kind)),
                             open=kind in ("environment",))

    def _fitting(self, pairs: Iterable[Pair], *, open: bool = False) -> Found:
        return Found(tuple(sorted({pair for pair in pairs if pair[0].startswith(self._last)})), open=open)


def _named(command: Command | Group) -> dict[str, Flag]:
    return {name: flag for flag in command.flags for name in flag.opts}


def _wanting(flags: Mapping[str, Flag], word: str) -> Flag | None:
    """The flag whose value is the next word, if there is one at the end of `word`."""
    if word.startswith("--"):
        flag = flags.get(word)
        return flag if flag is not None and flag.implied is None else None
    for at, letter in enumerate(word[1:], 1):
        flag = flags.get(f"-{letter}")
        if flag is None or flag.implied is None:
            return flag if at == len(word) - 1 else None
    return None


def _filters(path: Sequence[str]) -> tuple[str, ...]:
    keys = {"ps": "ancestor before exited expose health id label name network publish since status volume",
            "images": "before dangling label reference since until", "prune": "until label label!",
            "events": "container daemon event image label network type volume",
            "network": "dangling driver id label name scope type", "volume": "dangling driver label name"}
    name = "prune" if path[-1] == "prune" else " ".join(path).replace(" list", " ls")
    name = {"container ls": "ps", "container ps": "ps", "image ls": "images", "network ls": "network",
            "volume ls": "volume", "system events": "events"}.get(name, name)
    return tuple(f"{key}=" for key in keys.get(name, "").split())


def _names(session: Session, kind: str) -> list[Pair]:
    """Of what the server has, or the session knows."""
    if kind == "anything":
        return [pair for each in ("container", "image", "network", "volume") for pair in _quietly(session, each)]
    if kind == "namespace":
        return [("host", "the host's"), *((f"container:{name}", about) for name, about in _names(session, "container"))]
    return _SOURCES[kind](session) if kind in _SOURCES else _containers(session, kind)


def _quietly(session: Session, kind: str) -> list[Pair]:
    """What of this kind there is, if there is such a kind."""
    try:
        return _names(session, kind)
    except PydockerError:
        return []


def _containers(session: Session, kind: str) -> list[Pair]:
    states = _STATES.get(kind, ())
    return [(name.removeprefix("/"), one.image) for one in containers.listed(session.client(), {"all": True})
            if not states or one.state in states for name in one.names or () if name.count("/") == 1]


def _images(session: Session) -> list[Pair]:
    tags = [tag for one in images.listed(session.client(), {}) for tag in one.repo_tags or () if tag != "<none>:<none>"]
    return [(name, "") for tag in tags for name in (tag, tag.removesuffix(":latest"))]


def _networks(session: Session) -> list[Pair]:
    found = system.listed(session.client(), "networks")
    return [(str(one.get("Name", "")), str(one.get("Driver", ""))) for one in found]


def _volumes(session: Session) -> list[Pair]:
    return [(one.name, one.driver) for one in volumes.listed(session.client(), None)]


def _in_info(*path: str) -> Callable[[Session], list[Pair]]:
    def names(session: Session) -> list[Pair]:
        inner: Json = system.info(session.client())
        for name in path:
            inner = inner.get(name) if isinstance(inner, dict) else None
        return [(str(one), "") for one in (inner if isinstance(inner, list | dict) else ())]

    return names


_SOURCES: Mapping[str, Callable[[Session], list[Pair]]] = {
    "image": _images, "network": _networks, "volume": _volumes, "runtime": _in_info("Runtimes"),
    "log": _in_info("Plugins", "Log"), "shell": lambda session: [(name, "") for name in ("bash", "fish", "zsh")],
    "environment": lambda session: [(name, "") for name in session.environ],
}
