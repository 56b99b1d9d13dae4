"""The process that becomes the container: a loop that applies the plan's inner steps, of which the last never returns.

Everything is decided and imported by now. What goes wrong is told to the process outside, by the channel, as long as
that one listens; after `start` nobody does, and standard error belongs to the container already: then it is the one
line there, and an exit code of the shell's (126 cannot be executed, 127 not found).
"""

import errno
import os
from typing import NoReturn

from runtime.errors import Fault
from runtime.process.entrance import report
from runtime.spec.codec import one_line
from runtime.stage import Inside
from runtime.step import Step
from runtime.sync import Disconnected


def run(steps: tuple[Step[Inside], ...], at: Inside) -> NoReturn:
    """Apply the steps. The last one is execve(2); this returns to nobody."""
    apply(steps, at)
    os._exit(1)


def apply(steps: tuple[Step[Inside], ...], at: Inside) -> None:
    """Apply the steps; if one fails, tell it, and end."""
    os.umask(0)
    for step in steps:
        try:
            if at.trace is None:
                step.apply(at)
            else:
                at.trace.apply(step, at)
        except Disconnected:
            os._exit(1)  # the process outside was killed: what it began must not live on
        except Fault as error:
            fail(at, type(error).__name__, step.located(str(error)))
        except OSError as error:
            fail(at, "StepFailed", told(step, error), error.errno)
        except Exception as error:
            fail(at, "StepFailed", f"{step.describe()}: {type(error).__name__}: {error}")


def told(step: Step[Inside], error: OSError) -> str:
    """What was to be done, the kernel's reason, and the call: `mount proc on /proc: … (fsopen(2), EPERM)`."""
    described = step.describe()
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    subject = f"{described}: {name}" if name and name not in described else described
    code = errno.errorcode.get(error.errno or 0, str(error.errno))
    return step.located(f"{subject}: {str(error.strerror).lower()} ({step.manual.split(',')[0]}, {code})")


def fail(at: Inside, kind: str, text: str, number: int | None = None) -> NoReturn:
    """Tell whoever listens, and end."""
    text = one_line(text)
    if not at.started:
        report(at.channel, kind, text)
    if at.answer >= 0:  # somebody does: `start` (as long as execve has not closed it)
        os.write(at.answer, text.encode(errors="surrogateescape") + b"\n")
        os._exit(1)
    os.write(2, text.encode(errors="surrogateescape") + b"\n")
    os._exit(127 if number == errno.ENOENT else 126)
