"""The verbs: a table of flags and functions. What a verb needs is imported when it is called, and nothing else."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from runtime import log
from runtime.cli import complain
from runtime.cli.arguments import NO, Flag, Flags, Parsed, help_text, parse
from runtime.cli.flags import CREATE, EXEC, GLOBAL, HELP, RUN, UPDATE
from runtime.errors import Fault, InvalidArgument, Usage

if TYPE_CHECKING:
    from runtime.create import Wanted

VERSION = "0.1.0"
PROGRAM = "pydocker-runtime"
FAILURE = 255  # of exec, as 1 could be the program's own


class Call(NamedTuple):
    """One call of a verb."""

    root: str
    given: Parsed
    systemd: bool = False


def run(argv: Sequence[str]) -> int:
    """Parse, look up the verb, call it; returns the exit code."""
    name = ""
    try:
        before = parse(argv, GLOBAL)
        log.to(before.text("log"), before.text("log-format"), debugging=before.on("debug"))
        log.debug(f"{PROGRAM} {' '.join(before.words)}")
        refuse(before)
        name = before.words[0] if before.words else ""
        if before.on("version"):
            return version()
        if before.on("help") or not before.words or before.words[0] == "help":
            return overview()
        return verb(before)
    except (Fault, OSError) as error:
        if log.debugging():
            import traceback

            log.debug("".join(traceback.format_exception(error)))
        text = one_line(str(error) if isinstance(error, Fault) else named(error))
        log.error(text)
        return complain(text, FAILURE if name == "exec" and not isinstance(error, Usage) else 1)


def one_line(text: str) -> str:
    """Names come from others: what would end the line, or steer somebody's terminal, is shown instead of sent."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def named(error: OSError) -> str:
    """What the kernel refused, and about which file."""
    return f"{error.filename + ': ' if isinstance(error.filename, str) else ''}{error.strerror}".lower()


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
        raise InvalidArgument(f"unknown command {name!r}, see {PROGRAM} --help")
    given = parse(words, known.flags, mixed=name not in ("exec", "ps"))
    if given.on("help"):
        print(help_text(f"{PROGRAM} {name} [OPTIONS] {known.arguments}".rstrip(), known.summary, [], known.flags))
        return 0
    wanted = known.arguments.replace("[", "").split()
    if len(given.words) < known.least or (not known.arguments.endswith("...]") and len(given.words) > len(wanted)):
        many = "a minimum of" if len(wanted) > known.least else "exactly"
        raise Usage(f'"{name}" requires {many} {known.least} argument(s): {known.arguments or "none"}')
    return known.function(Call(os.path.abspath(before.text("root") or "/run/pydocker/runtime"), given,
                               before.on("systemd-cgroup")))


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
        try:
            lifecycle.start(place)
        except Fault:
            lifecycle.delete(place, force=True)
            raise
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
        return attended(terminal, begin, lambda: lifecycle.start(place), adopting=not call.given.on("no-subreaper"))
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
    listening = activated()
    preserved = handed_over(listening + given.number("preserve-fds"), listening)
    asked = Wanted(id=given.words[0], root=call.root, bundle=os.path.abspath(given.text("bundle") or "."),
                   pid_file=absolute(given.text("pid-file")), console_socket=absolute(given.text("console-socket")),
                   preserved=preserved, listening=listening, keyring=not given.on("no-new-keyring"),
                   trace=absolute(given.text("trace")), pivot=not given.on("no-pivot"), systemd=call.systemd)
    try:
        os.chdir(asked.bundle)  # where hooks start, as with runc
    except OSError as error:
        raise InvalidArgument(f"chdir {asked.bundle}: {str(error.strerror).lower()}") from error
    return asked


def activated() -> int:
    """How many sockets systemd hands to us, to be passed on, if they are meant for us: sd_listen_fds(3)."""
    count = os.environ.get("LISTEN_FDS", "")
    ours = os.environ.get("LISTEN_PID", "") == str(os.getpid())
    return int(count) if ours and count.isascii() and count.isdigit() else 0


def handed_over(count: int, listening: int = 0) -> int:
    """The number of descriptors after standard error that the program gets; they have to be open."""
    for number in range(3, 3 + count):
        try:
            os.fstat(number)
        except OSError as error:
            raise InvalidArgument(f"unable to stat preserved-fd {number} (of {count - listening}): "
                                  f"stat /proc/self/fd/{number}: no such file or directory") from error
    return count


def exec_(call: Call) -> int:
    from runtime.join import Asked, join
    from runtime.state import Place

    given = call.given
    asked = Asked(process_file=given.text("process"), args=tuple(given.words[1:]), env=tuple(given.many("env")),
                  cwd=given.text("cwd"), user=given.text("user"), groups=numbers(given.many("additional-gids")),
                  capabilities=tuple(given.many("cap")), terminal=given.on("tty"),
                  no_new_privileges=given.on("no-new-privs"), pid_file=absolute(given.text("pid-file")),
                  console_socket=absolute(given.text("console-socket")),
                  preserved=handed_over(given.number("preserve-fds")), cgroup=tuple(given.many("cgroup")),
                  apparmor=given.text("apparmor"), label=given.text("process-label"),
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
    if call.given.on("quiet"):
        print("".join(f"{one.id}\n" for one in states), end="")
        return 0
    if call.given.text("format") == "json":
        sys.stdout.write(msgspec.json.encode(states).decode() + "\n")
        return 0
    rows = [("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")]
    rows += [(one.id, str(one.pid), one.status.value, one.bundle, one.created, one.owner) for one in states]
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
    _, _, plan = decided(Wanted(id=id, root=call.root, bundle=bundle, systemd=call.systemd))
    print(FORMATS[given.text("format") or "text"](plan))
    return 0


def spec(call: Call) -> int:
    from runtime.spec import OCI_VERSION
    from runtime.spec.starter import rootless, starter

    document = starter(OCI_VERSION)
    if call.given.on("rootless"):
        document = rootless(document, os.geteuid(), os.getegid())
    path = os.path.join(call.given.text("bundle") or ".", "config.json")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError as error:
        raise InvalidArgument(f"File {path} exists. Remove it first") from error
    try:
        os.write(descriptor, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    finally:
        os.close(descriptor)
    return 0


def features(call: Call) -> int:
    from runtime.features import features

    found = features(VERSION, systemd="systemd-cgroup" in GLOBAL)
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=4).decode() + "\n")
    return 0


def version() -> int:
    """Three lines, as go-runc, dockerd and podman take runc's apart: name and version, commit, specification."""
    from runtime.spec import OCI_VERSION

    print(f"{PROGRAM} version {VERSION}\ncommit: v{VERSION}\nspec: {OCI_VERSION}")
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
                 {"format": Flag(str, "table or json", "f", ("table", "json")),
                  "quiet": Flag(bool, "their ids only", "q"), **HELP}),
    "spec": Verb(spec, "", 0, "write a config.json to start from",
                 {"bundle": Flag(str, "directory to write it to (default: the current one)", "b"),
                  "rootless": Flag(bool, "one for somebody who is not root"), **HELP}),
    "features": Verb(features, "", 0, "print what this runtime can do, as JSON"),
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
