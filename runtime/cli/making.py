"""The verbs that make a process: create, run, exec."""

import os
from typing import TYPE_CHECKING

from runtime.cli.arguments import Call, absolute
from runtime.errors import Fault, InvalidArgument

if TYPE_CHECKING:
    from runtime.create import Wanted


def create(call: Call) -> int:
    from runtime.create import create

    asked = wanted(call)
    adopt()
    create(asked)
    return 0


def run_(call: Call) -> int:
    from runtime import lifecycle
    from runtime.create import bundle_spec, create
    from runtime.outside import opened
    from runtime.process.entrance import told
    from runtime.state import Place

    asked = wanted(call)
    place = Place(asked.root, asked.id)
    if call.given.on("detach"):
        adopt()
        create(asked)
        try:
            lifecycle.start_telling(place, asked.notify)
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

    def go() -> None:
        lifecycle.start_telling(place, asked.notify, staying=True)

    try:
        return attended(terminal, begin, go, adopting=not call.given.on("no-subreaper"))
    finally:
        if created and not call.given.on("keep"):
            what = f"kill what is left of {place.id}, and remove its cgroup and state"
            with told(opened(asked.trace), "Delete", what, "cgroups(7), kill(2), rmdir(2)"):
                lifecycle.delete(place, force=True)


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
                  cgroupns=given.on("cgroupns"), apparmor=given.text("apparmor"), label=given.text("process-label"),
                  ignore_paused=given.on("ignore-paused"), trace=absolute(given.text("trace")))
    if not asked.args and not asked.process_file:
        raise InvalidArgument("exec: process args cannot be empty")
    place = Place(call.root, given.words[0])
    if given.on("detach"):
        adopt()
        join(place, asked)
        return 0
    from runtime.foreground import attended

    terminal = asked.terminal and not asked.console_socket
    return attended(terminal, lambda console: join(place, asked, console), lambda: None)


def adopt() -> None:
    """Be the parent of the new process until we end, and then it is our caller's: if it fails, we can reap it."""
    from runtime.linux.prctl import set_child_subreaper

    set_child_subreaper()


def wanted(call: Call) -> "Wanted":
    from runtime.create import Wanted

    given = call.given
    if os.geteuid() != 0:
        raise InvalidArgument("to make a container takes root (and `explain` does not): there is no rootless mode")
    listening = activated()
    preserved = handed_over(listening + given.number("preserve-fds"), listening)
    asked = Wanted(id=given.words[0], root=call.root, bundle=os.path.abspath(given.text("bundle") or "."),
                   pid_file=absolute(given.text("pid-file")), console_socket=absolute(given.text("console-socket")),
                   preserved=preserved, listening=listening, keyring=not given.on("no-new-keyring"),
                   trace=absolute(given.text("trace")), pivot=not given.on("no-pivot"), systemd=call.systemd,
                   notify=os.environ.get("NOTIFY_SOCKET", ""))
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


def numbers(words: list[str]) -> tuple[int, ...]:
    from runtime.join import identity

    for word in words:
        if not identity(word):
            raise InvalidArgument(f"group {word!r}: expected a number from 0 to 4294967294")
    return tuple(int(word) for word in words)
