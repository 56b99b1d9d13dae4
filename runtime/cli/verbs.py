"""The verbs: a table of flags and functions. What a verb needs is imported when it is called, and nothing else."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from runtime import log
from runtime.cli import complain
from runtime.cli.arguments import Flag, Flags, Parsed, help_text, parse
from runtime.errors import Fault, InvalidArgument

if TYPE_CHECKING:
    from runtime.create import Wanted

VERSION = "0.1.0"
PROGRAM = "pydocker-runtime"

GLOBAL: Flags = {
    "root": Flag(str, "directory for the containers' state (default /run/pydocker/runtime)"),
    "log": Flag(str, "append errors to this file"),
    "log-format": Flag(str, "text or json (default text)", choices=("text", "json")),
    "debug": Flag(bool, "tell where an error arose"),
    "version": Flag(bool, "print the version", "v"),
    "help": Flag(bool, "show this page", "h"),
}

HELP = {"help": Flag(bool, "show this page", "h")}
TRACE = {"trace": Flag(str, "append to this file, as JSON, what is done: a line for each step")}
CREATE: Flags = {
    "bundle": Flag(str, "directory of config.json (default: the current one)", "b"),
    "console-socket": Flag(str, "unix socket to send the terminal's master to"),
    "pid-file": Flag(str, "write the process number to this file"),
    "no-pivot": Flag(bool, "move the root over / and chroot, where pivot_root(2) cannot be had (initramfs)"),
    "no-new-keyring": Flag(bool, "keep the caller's session keyring"),
    "preserve-fds": Flag(int, "how many descriptors after standard error the program inherits"),
    **TRACE,
    **HELP,
}
RUN: Flags = {**CREATE, "detach": Flag(bool, "do not wait for the program", "d"),
              "keep": Flag(bool, "do not delete the container when the program has ended")}
EXEC: Flags = {
    "process": Flag(str, "process.json to take everything from", "p"),
    "console-socket": Flag(str, "unix socket to send the terminal's master to"),
    "pid-file": Flag(str, "write the process number to this file"),
    "detach": Flag(bool, "do not wait for the program", "d"),
    "tty": Flag(bool, "give it a terminal", "t"),
    "cwd": Flag(str, "working directory"),
    "env": Flag(list, "NAME=value", "e"),
    "user": Flag(str, "uid[:gid]", "u"),
    "additional-gids": Flag(list, "supplementary group", "g"),
    "cap": Flag(list, "one more capability", "c"),
    "no-new-privs": Flag(bool, "execve gives no privileges any more"),
    "preserve-fds": Flag(int, "how many descriptors after standard error the program inherits"),
    "ignore-paused": Flag(bool, "also in a paused container: the process begins when it is resumed"),
    **TRACE,
    **HELP,
}


UPDATE: Flags = {
    "resources": Flag(str, "file with limits as in config.json, - for standard input; all other options are ignored",
                      "r"),
    "blkio-weight": Flag(str, "share of the disks, from 10 to 1000"),
    "cpu-period": Flag(str, "period of the quota, in microseconds"),
    "cpu-quota": Flag(str, "processor time in each period, in microseconds"),
    "cpu-burst": Flag(str, "unused processor time that may be saved up, in microseconds"),
    "cpu-share": Flag(str, "share of the processors, in relation to other containers"),
    "cpu-rt-period": Flag(str, "period of realtime processes, in microseconds"),
    "cpu-rt-runtime": Flag(str, "processor time of realtime processes in each period, in microseconds"),
    "cpu-idle": Flag(str, "1: only the processors' idle time"),
    "cpuset-cpus": Flag(str, "processors to run on"),
    "cpuset-mems": Flag(str, "memory nodes to use"),
    "kernel-memory": Flag(str, "(obsolete, ignored with a warning)"),
    "kernel-memory-tcp": Flag(str, "(obsolete, ignored with a warning)"),
    "memory": Flag(str, "most memory, in bytes or with a unit; -1 is no limit"),
    "memory-reservation": Flag(str, "memory that is left to it when there is little"),
    "memory-swap": Flag(str, "memory and swap together; -1 is no limit"),
    "pids-limit": Flag(str, "most processes; -1 is no limit"),
    "l3-cache-schema": Flag(str, "(Intel RDT: not supported)"),
    "mem-bw-schema": Flag(str, "(Intel RDT: not supported)"),
    **HELP,
}


class Call(NamedTuple):
    """One call of a verb."""

    root: str
    given: Parsed


def run(argv: Sequence[str]) -> int:
    """Parse, look up the verb, call it; returns the exit code."""
    try:
        before = parse(argv, GLOBAL)
        log.to(before.text("log"), before.text("log-format"), debugging=before.on("debug"))
        log.debug(f"{PROGRAM} {' '.join(before.words)}")
        if before.on("version"):
            return version()
        if before.on("help") or not before.words or before.words[0] == "help":
            return overview()
        return verb(before)
    except Fault as error:
        log.error(str(error))
        return complain(str(error))


def verb(before: Parsed) -> int:
    name, *words = before.words
    known = VERBS.get(name)
    if known is None:
        raise InvalidArgument(f"unknown command {name!r}, see {PROGRAM} --help")
    given = parse(words, known.flags, mixed=name not in ("exec", "ps"))
    if given.on("help"):
        print(help_text(f"{PROGRAM} {name} [OPTIONS] {known.arguments}".rstrip(), known.summary, [], known.flags))
        return 0
    wanted = known.arguments.replace("[", "").split()
    if len(given.words) < known.least or (not known.arguments.endswith("...]") and len(given.words) > len(wanted)):
        raise InvalidArgument(f"{name}: expected {known.arguments or 'no arguments'}, got {len(given.words)} arguments")
    return known.function(Call(before.text("root") or "/run/pydocker/runtime", given))


def create(call: Call) -> int:
    from runtime.create import create

    create(wanted(call))
    return 0


def run_(call: Call) -> int:
    from runtime import lifecycle
    from runtime.create import bundle_spec, create
    from runtime.state import Place

    asked = wanted(call)
    place = Place(asked.root, asked.id)
    if call.given.on("detach"):
        create(asked)
        lifecycle.start(place)
        return 0
    from runtime.foreground import attended

    process = bundle_spec(asked.bundle).process
    terminal = bool(process and process.terminal) and not asked.console_socket
    created = False

    def begin(console: int) -> int:
        nonlocal created
        pid = create(asked, console).pid
        created = True
        return pid

    try:
        return attended(terminal, begin, lambda: lifecycle.start(place))
    finally:
        if created and not call.given.on("keep"):
            with telling(asked.trace, "Delete", f"kill what is left of {place.id}, and remove its cgroup and state",
                         "cgroups(7), kill(2), rmdir(2)"):
                lifecycle.delete(place, force=True)


def telling(path: str, step: str, what: str, manual: str) -> AbstractContextManager[None]:
    """For what `run` does beside the plan: a line in the trace, if there is one."""
    if not path:
        return nullcontext()
    from runtime.trace import opened

    return opened(path).telling(step, what, manual)


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


def wanted(call: Call) -> "Wanted":
    from runtime.create import Wanted

    given = call.given
    return Wanted(id=given.words[0], root=call.root, bundle=os.path.abspath(given.text("bundle") or "."),
                  pid_file=absolute(given.text("pid-file")), console_socket=absolute(given.text("console-socket")),
                  preserved=given.number("preserve-fds"), keyring=not given.on("no-new-keyring"),
                  trace=absolute(given.text("trace")), pivot=not given.on("no-pivot"))


def exec_(call: Call) -> int:
    from runtime.join import Asked, join
    from runtime.state import Place

    given = call.given
    asked = Asked(process_file=given.text("process"), args=tuple(given.words[1:]), env=tuple(given.many("env")),
                  cwd=given.text("cwd"), user=given.text("user"), groups=numbers(given.many("additional-gids")),
                  capabilities=tuple(given.many("cap")), terminal=given.on("tty"),
                  no_new_privileges=given.on("no-new-privs"), pid_file=absolute(given.text("pid-file")),
                  console_socket=absolute(given.text("console-socket")), preserved=given.number("preserve-fds"),
                  ignore_paused=given.on("ignore-paused"), trace=absolute(given.text("trace")))
    if not asked.args and not asked.process_file:
        raise InvalidArgument("exec: process args cannot be empty")
    place = Place(call.root, given.words[0])
    if given.on("detach"):
        join(place, asked)
        return 0
    from runtime.foreground import attended

    terminal = asked.terminal and not asked.console_socket
    return attended(terminal, lambda console: join(place, asked, console), lambda: None)


def start(call: Call) -> int:
    from runtime import lifecycle
    from runtime.state import Place

    lifecycle.start(Place(call.root, call.given.words[0]))
    return 0


def state(call: Call) -> int:
    from runtime import lifecycle
    from runtime.state import Place

    print_json(lifecycle.state(Place(call.root, call.given.words[0])))
    return 0


def kill(call: Call) -> int:
    from runtime import lifecycle
    from runtime.state import Place

    id, *signals = call.given.words
    lifecycle.kill(Place(call.root, id), signals[0] if signals else "TERM", everything=call.given.on("all"))
    return 0


def delete(call: Call) -> int:
    from runtime import lifecycle
    from runtime.state import Place

    lifecycle.delete(Place(call.root, call.given.words[0]), force=call.given.on("force"))
    return 0


def pause(call: Call) -> int:
    from runtime.pause import pause
    from runtime.state import Place

    pause(Place(call.root, call.given.words[0]))
    return 0


def resume(call: Call) -> int:
    from runtime.pause import resume
    from runtime.state import Place

    resume(Place(call.root, call.given.words[0]))
    return 0


def ps(call: Call) -> int:
    from runtime.ps import pids, table
    from runtime.state import Place

    id, *options = call.given.words
    place = Place(call.root, id)
    if call.given.text("format") == "json":
        sys.stdout.write(msgspec.json.encode(pids(place)).decode() + "\n")
        return 0
    print("\n".join(table(place, options)))
    return 0


def events(call: Call) -> int:
    from runtime.events import once, seconds, stream
    from runtime.state import Place

    place = Place(call.root, call.given.words[0])
    interval = seconds(call.given.text("interval") or "5s")

    def tell(line: bytes) -> None:
        os.write(1, line)

    try:
        if call.given.on("stats"):
            once(place, tell)
        else:
            stream(place, interval, tell)
    except BrokenPipeError:  # whoever read has seen enough
        return 0
    return 0


def update(call: Call) -> int:
    from runtime.state import Place
    from runtime.update import from_file, from_flags, update

    given = call.given
    place = Place(call.root, given.words[0])
    place.record()  # an unknown container is the first thing to be said
    asked = {name: given.text(name) for name in UPDATE if name != "help"}
    update(place, from_file(asked["resources"]) if asked["resources"] else from_flags(asked))
    return 0


def list_(call: Call) -> int:
    from runtime import lifecycle

    states = lifecycle.every(call.root)
    if call.given.text("format") == "json":
        sys.stdout.write(msgspec.json.encode(states).decode() + "\n")
        return 0
    rows = [("ID", "PID", "STATUS", "BUNDLE", "CREATED")]
    rows += [(one.id, str(one.pid), one.status.value, one.bundle, one.created) for one in states]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def explain(call: Call) -> int:
    from runtime.create import Wanted, decided
    from runtime.explain import FORMATS

    given = call.given
    bundle = os.path.abspath(given.text("bundle") or ".")
    id = given.words[0] if given.words else os.path.basename(bundle) or "container"
    _, _, plan = decided(Wanted(id=id, root=call.root, bundle=bundle))
    print(FORMATS[given.text("format") or "text"](plan))
    return 0


def version() -> int:
    from runtime.spec import OCI_VERSION

    print(f"{PROGRAM} version {VERSION}\nspec: {OCI_VERSION}")
    return 0


def overview() -> int:
    print(help_text(f"{PROGRAM} [OPTIONS] COMMAND [ARGUMENTS]", "An OCI runtime that explains itself.",
                    [(name, one.summary) for name, one in VERBS.items()], GLOBAL))
    return 0


class Verb(NamedTuple):
    """`arguments` as --help prints them, of which the first `least` have to be there."""

    function: Callable[[Call], int]
    arguments: str
    least: int
    summary: str
    flags: Flags = HELP


VERBS = {
    "create": Verb(create, "ID", 1, "make a container from a bundle", CREATE),
    "start": Verb(start, "ID", 1, "let a created container's program begin"),
    "run": Verb(run_, "ID", 1, "create, start, wait, delete", RUN),
    "exec": Verb(exec_, "ID [ARGV...]", 1, "start another process in a container", EXEC),
    "state": Verb(state, "ID", 1, "print a container's state as JSON"),
    "kill": Verb(kill, "ID [SIGNAL]", 1, "send a signal (default TERM)",
                 {"all": Flag(bool, "to all processes of the container", "a"), **HELP}),
    "delete": Verb(delete, "ID", 1, "remove a stopped container",
                   {"force": Flag(bool, "kill it if it runs; an unknown id is no error", "f"), **HELP}),
    "pause": Verb(pause, "ID", 1, "stop all processes of a container where they are"),
    "resume": Verb(resume, "ID", 1, "let a paused container's processes go on"),
    "ps": Verb(ps, "ID [PS OPTIONS...]", 1, "list the processes of a container, as the host's ps does",
               {"format": Flag(str, "table or json", "f", ("table", "json")), **HELP}),
    "update": Verb(update, "ID", 1, "change the limits of a container", UPDATE),
    "events": Verb(events, "ID", 1, "print what a container uses every few seconds, and when it is out of memory",
                   {"interval": Flag(str, "how often (default 5s)"),
                    "stats": Flag(bool, "print it once"), **HELP}),
    "list": Verb(list_, "", 0, "list the containers",
                 {"format": Flag(str, "table or json", "f", ("table", "json")), **HELP}),
    "explain": Verb(explain, "[ID]", 0, "print the steps of `create`, without doing anything",
                    {"bundle": Flag(str, "directory of config.json (default: the current one)", "b"),
                     "format": Flag(str, "text, json or sh", choices=("text", "json", "sh")), **HELP}),
}


def absolute(path: str) -> str:
    return os.path.abspath(path) if path else ""


def numbers(words: list[str]) -> tuple[int, ...]:
    from runtime.join import identity

    for word in words:
        if not identity(word):
            raise InvalidArgument(f"group {word!r}: expected a number from 0 to 4294967294")
    return tuple(int(word) for word in words)


def print_json(value: msgspec.Struct) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
