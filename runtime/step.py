"""Setup is data: a step says what it is, why it exists, how a person would do it by hand, and does it.

    class Hostname(Step[Inside], frozen=True):
        why = "a UTS namespace starts as a copy of its parent's names"     why it exists, and why at this place
        manual = "sethostname(2)"                                          where the kernel's rules for it are written
        name: str                                                          all that it needs, decided beforehand

        def describe(self): return f"set the hostname to {self.name}"
        def shell(self):    return f"hostname {quote(self.name)}"          the same effect from bash and util-linux
        def apply(self, at): linux.sethostname(self.name)

A plan is a tuple of steps. `explain` prints it, `trace` prints it as it runs, tests compare it as data, and none of the
three can drift from what is done, because there is nothing else that does it. The engine's own steps (mount the
overlay, build a network) follow the same protocol.

`at` is the stage: the few things that exist only while the plan runs (a pid, a descriptor). Whatever can be known
beforehand belongs into the step itself; if `apply` needs an `if`, the plan should have decided.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

Stage = TypeVar("Stage")


class Step(msgspec.Struct, Generic[Stage], frozen=True, kw_only=True):
    """One change of the kernel's or the disk's state. Subclasses define all of this (`undo` where there is one)."""

    why: ClassVar[str]
    manual: ClassVar[str]
    returns: ClassVar[bool] = True
    """False where the process is another program afterwards: then this is the last step."""
    member: str = ""
    """The JSON path of what asks for the step, where only the kernel can judge the value."""

    def describe(self) -> str:
        """What this step does, in one line, with its own values."""
        raise NotImplementedError

    def shell(self) -> str:
        """A command line of bash and util-linux with the same effect."""
        raise NotImplementedError

    def script(self) -> str:
        """The same in a script of the whole plan (`runtime.script`), where that needs other words; "" for nothing."""
        return self.shell()

    def apply(self, at: Stage) -> None:
        """Do it. Raises OSError, or the package's own error, with the object and the call named."""
        raise NotImplementedError

    def undo(self, at: Stage) -> None:
        """Take it back. The default is right for what ends by itself with the process or its namespaces."""

    def located(self, words: str) -> str:
        """What is said of a failure, and who asked for this step."""
        return f"{words} - at `{self.member}`" if self.member else words


class Doing(Protocol):
    """How steps are applied and undone: directly, or with a word about each (`runtime.trace.Trace`)."""

    def apply(self, step: Step[Any], at: Any) -> None: ...

    def undo(self, step: Step[Any], at: Any) -> None: ...


def apply(steps: Iterable[Step[Stage]], at: Stage, trace: Doing | None = None) -> ExitStack:
    """Apply the steps in order; what is returned undoes them in reverse order when it is closed.

    When a step fails, the earlier ones are undone and its error passes.
    """
    with ExitStack() as undo:
        for step in steps:
            if trace is None:
                step.apply(at)
                undo.callback(step.undo, at)
            else:
                trace.apply(step, at)
                undo.callback(trace.undo, step, at)
        return undo.pop_all()


def undoing(steps: Iterable[Step[Stage]], at: Stage) -> ExitStack:
    """What `apply` returns, for steps that another process has applied."""
    undo = ExitStack()
    for step in steps:
        undo.callback(step.undo, at)
    return undo
