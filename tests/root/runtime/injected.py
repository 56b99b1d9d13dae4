"""In a process of its own: the plan gets one more step, which fails, at every place in turn. Nothing else is changed.

Called as `python -m tests.root.runtime.injected VERB ROOT BUNDLE`. Prints how many places there
were, and the names of all step classes before which a failure was injected: all those before it were undone then.
"""

import contextlib
import functools
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from runtime import create, join
from runtime.errors import Fault, StepFailed
from runtime.linux.prctl import set_child_subreaper
from runtime.plan import Plan
from runtime.state import Place
from runtime.step import Step

SIDES = ("outside", "leaving", "inside")
LAST = {"WaitForStart", "WaitForGo"}  # what comes after the handshake happens after the command has returned


class Fail(Step[Any], frozen=True):
    why: ClassVar[str] = "a test wants to see what is undone"
    manual: ClassVar[str] = "abort(3)"

    def describe(self) -> str:
        return "fail"

    def apply(self, at: Any) -> None:
        raise StepFailed("injected")


def places(whole: Plan) -> list[tuple[str, int]]:
    """Before each step of each side, up to the handshake."""
    found = []
    for side in SIDES:
        names = [type(step).__name__ for step in getattr(whole, side)]
        end = next((number for number, name in enumerate(names) if name in LAST), len(names) - 1)
        found += [(side, number) for number in range(end + 1)]
    return found


def attempt(module: Any, name: str, side: str, place: int, act: Callable[[], object]) -> None:
    """Make the module's planning function put the failure there, and act: the error has to be that one."""
    decide = getattr(module, name)

    def failing(*arguments: Any, **options: Any) -> Plan:
        whole = decide(*arguments, **options)
        steps = getattr(whole, side)
        return msgspec.structs.replace(whole, **{side: (*steps[:place], Fail(), *steps[place:])})

    setattr(module, name, failing)
    before = os.listdir("/proc/self/fd")
    try:
        act()
    except Fault as error:
        assert "injected" in str(error), f"{side} {place}: {error}"
    else:
        raise AssertionError(f"{side} {place}: no error")
    finally:
        setattr(module, name, decide)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        raise AssertionError(f"{side} {place}: a process is left: {children()}")
    assert os.listdir("/proc/self/fd") == before, f"{side} {place}: a descriptor is left open"


def children() -> list[str]:
    """What is left, for the message: the status lines of this process's children."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        pids = file.read().split()
    found = []
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
            found.append(file.read()[:60])
    return found


def making(root: str, bundle: str, *, pivot: bool = True) -> list[tuple[Any, ...]]:
    wanted = create.Wanted(id="c", root=root, bundle=bundle, pivot=pivot)
    spec, _, whole = create.decided(wanted)

    def act() -> None:
        ours, theirs = socket.socketpair()
        with ours, contextlib.suppress(OSError):
            create.create(wanted, theirs.detach() if spec.process and spec.process.terminal else -1)

    for side, place in places(whole):
        attempt(create, "plan", side, place, act)
        assert not os.path.exists(os.path.join(root, "c")), f"{side} {place}: state is left"
    return [(side, getattr(whole, side)[place]) for side, place in places(whole)]


def joining(root: str, bundle: str) -> list[tuple[Any, ...]]:
    place, seen = Place(root, "c"), []
    asked = join.Asked(process_file=os.path.join(bundle, "process.json"))
    decide = join.exec_plan
    before = place.record()

    def look(*arguments: Any, **options: Any) -> Plan:
        seen.append(decide(*arguments, **options))
        raise StepFailed("injected")

    join.exec_plan = look
    with contextlib.suppress(StepFailed):
        join.join(place, asked)
    join.exec_plan = decide
    (whole,) = seen
    for side, number in places(whole):
        attempt(join, "exec_plan", side, number, lambda: join.join(place, asked))
        assert place.record() == before, f"{side} {number}: the state was changed"
    return [(side, getattr(whole, side)[number]) for side, number in places(whole)]


if __name__ == "__main__":
    set_child_subreaper()
    verbs = {"create": making, "create-without-pivot": functools.partial(making, pivot=False), "exec": joining}
    steps = verbs[sys.argv[1]](*sys.argv[2:])
    print(len(steps), *sorted({type(step).__name__ for _, step in steps}))
