"""One command: the table of verbs, the look-up of one, and the words of an error."""

import os
from collections.abc import Callable, Sequence
from importlib import import_module

import msgspec

from runtime import log
from runtime.cli import complain
from runtime.cli.arguments import NO, Call, Flag, Flags, Parsed, absolute, help_text, parse
from runtime.cli.flags import CREATE, EXEC, GLOBAL, HELP, RUN, UPDATE
from runtime.cli.wording import named, unread
from runtime.errors import Fault, InvalidArgument, UnknownCommand, Usage
from runtime.spec.codec import one_line

VERSION = "0.1.0"
PROGRAM = "pydocker-runtime"
FAILURE = 255  # of exec, as 1 could be the program's own
UNKNOWN = 3  # of a verb that is none


class Verb(msgspec.Struct, frozen=True):
    """`function` is MODULE.FUNCTION of this package, imported when it is called.

    `arguments` are as --help prints them, of which the first `least` have to be there.
    """

    function: str
    arguments: str
    least: int
    summary: str
    flags: Flags = msgspec.field(default_factory=lambda: HELP)


VERBS = {
    "create": Verb("making.create", "ID", 1, "make a container from a bundle", CREATE),
    "start": Verb("living.start", "ID", 1, "let a created container's program begin"),
    "run": Verb("making.run_", "ID", 1, "create, start, wait, delete", RUN),
    "exec": Verb("making.exec_", "ID [ARGV...]", 1, "start another process in a container", EXEC),
    "state": Verb("living.state", "ID", 1, "print a container's state as JSON"),
    "kill": Verb("living.kill", "ID [SIGNAL]", 1, "send a signal (default TERM)",
                 {"all": Flag(bool, "to all processes of the container", "a"), **HELP}),
    "delete": Verb("living.delete", "ID", 1, "remove a stopped container",
                   {"force": Flag(bool, "kill it if it runs; an unknown id is no error", "f"), **HELP}),
    "pause": Verb("living.pause", "ID", 1, "stop all processes of a container where they are"),
    "resume": Verb("living.resume", "ID", 1, "let a paused container's processes go on"),
    "ps": Verb("living.ps", "ID [PS OPTIONS...]", 1, "list the processes of a container, as the host's ps does",
               {"format": Flag(str, "table or json", "f", ("table", "json")), **HELP}),
    "update": Verb("living.update", "ID", 1, "change the limits of a container", UPDATE),
    "events": Verb("living.events", "ID", 1,
                   "print what a container uses every few seconds, and when it is out of memory",
                   {"interval": Flag(str, "how often (default 5s)"),
                    "stats": Flag(bool, "print it once"), **HELP}),
    "list": Verb("living.list_", "", 0, "list the containers",
                 {"format": Flag(str, "table or json", "f", ("table", "json")),
                  "quiet": Flag(bool, "their ids only", "q"), **HELP}),
    "spec": Verb("documents.spec", "", 0, "write a config.json to start from",
                 {"bundle": Flag(str, "directory to write it to (default: the current one)", "b"),
                  "rootless": Flag(bool, "one for somebody who is not root"), **HELP}),
    "features": Verb("documents.features", "", 0, "print what this runtime can do, as JSON"),
    "explain": Verb("documents.explain", "[ID]", 0, "print the steps of `create`, without doing anything",
                    {"bundle": Flag(str, "directory of config.json (default: the current one)", "b"),
                     "format": Flag(str, "text, json or sh", choices=("text", "json", "sh")), **HELP}),
}


def run(argv: Sequence[str]) -> int:
    """Parse, look up the verb, call it; returns the exit code."""
    name = ""
    try:
        before = parse(argv, GLOBAL)
        open_log(before)
        log.debug(f"{PROGRAM} {' '.join(before.words)}")
        refuse(before)
        name = before.words[0] if before.words else ""
        if before.on("version"):
            return version()
        if name == "help" and len(before.words) > 1:
            return verb(Parsed(before.flags, [before.words[1], "--help"]))
        if before.on("help") or name in ("", "help"):
            return overview()
        return verb(before)
    except (Fault, OSError) as error:
        if isinstance(error, BrokenPipeError) and unread():
            raise
        if log.debugging():
            import traceback

            log.debug("".join(traceback.format_exception(error)))
        text = one_line(str(error) if isinstance(error, Fault) else named(error))
        log.error(text)
        return complain(text, code(error, name))


def open_log(given: Parsed) -> None:
    """Raises InvalidArgument."""
    try:
        log.to(given.text("log"), given.text("log-format"), debugging=given.on("debug"))
    except OSError as error:
        raise InvalidArgument(f"--log {given.text('log')}: {str(error.strerror).lower()} (open(2))") from error


def code(error: Exception, verb: str) -> int:
    """The exit code of a failure."""
    if isinstance(error, UnknownCommand):
        return UNKNOWN
    return FAILURE if verb == "exec" and not isinstance(error, Usage) else 1


def refuse(given: Parsed) -> None:
    """Global flags that ask for what this runtime is not."""
    if given.text("rootless") not in ("", "auto", *NO):
        raise InvalidArgument(f"--rootless {given.text('rootless')}: this runtime needs root")
    if given.text("criu"):
        raise InvalidArgument("--criu: checkpoint and restore are not supported")


def verb(before: Parsed) -> int:
    name, *words = before.words
    if name in ("checkpoint", "restore"):  # even their --help: by its success podman tells whether they work
        raise InvalidArgument(f"{name} is not supported by this runtime")
    known = VERBS.get(name)
    if known is None:
        raise UnknownCommand(f"unknown command {name!r}, see {PROGRAM} --help")
    given = parse(words, known.flags, mixed=name not in ("exec", "ps"))
    if given.on("help"):
        print(help_text(f"{PROGRAM} {name} [OPTIONS] {known.arguments}".rstrip(), known.summary, [], known.flags))
        return 0
    check_count(name, known, len(given.words))
    module, _, function = known.function.partition(".")
    called: Callable[[Call], int] = getattr(import_module(f"runtime.cli.{module}"), function)
    return called(Call(os.path.abspath(before.text("root") or "/run/pydocker/runtime"), given,
                       before.on("systemd-cgroup")))


def check_count(name: str, verb: Verb, given: int) -> None:
    """Raises Usage, in runc's words, if the words after the flags are too few or too many."""
    most = given if verb.arguments.endswith("...]") else len(verb.arguments.split())
    if verb.least <= given <= most:
        return
    many = "exactly" if verb.least == most else "a minimum of" if given < verb.least else "a maximum of"
    number = verb.least if given < verb.least else most
    raise Usage(f'"{name}" requires {many} {number} argument(s): {verb.arguments or "none"}')


def trace_file(argv: Sequence[str]) -> str:
    """The file that --trace names, as long as it can be opened: if not, the verb will say so."""
    from runtime.trace import opened

    try:
        words = parse(argv, GLOBAL).words
        path = absolute(parse(words[1:], VERBS[words[0]].flags, mixed=words[0] != "exec").text("trace"))
        if path:
            os.close(opened(path).file)
        return path
    except (Fault, LookupError):
        return ""


def version() -> int:
    """Three lines, as go-runc, dockerd and podman take runc's apart: name and version, commit, specification."""
    from runtime.spec import OCI_VERSION

    print(f"{PROGRAM} version {VERSION}\ncommit: v{VERSION}\nspec: {OCI_VERSION}")
    return 0


def overview() -> int:
    print(help_text(f"{PROGRAM} [OPTIONS] COMMAND [ARGUMENTS]", "An OCI runtime that explains itself.",
                    [*((name, one.summary) for name, one in VERBS.items()),
                     ("checkpoint, restore", "(not supported)"),
                     ("help", "show this page, or that of a command")], GLOBAL))
    return 0
