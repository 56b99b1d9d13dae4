"""A plan told to a person, to a program, or as a script: nothing is done, and no privilege is needed.

The script form holds each step's shell words. A step whose words end with a backslash is a command that starts another
one (unshare, setpriv, setsid): the rest of the script is its argument.
"""

from typing import Any

import msgspec

from runtime.plan import Plan
from runtime.process.entrance import Enter, Join
from runtime.step import Step


class Told(msgspec.Struct, frozen=True):
    """One step, as `explain --format json` prints it."""

    step: str
    side: str
    what: str
    why: str
    manual: str
    shell: str


def told(plan: Plan) -> list[Told]:
    """All steps in order."""
    outside = [(step, "outside") for step in plan.outside]
    inside = [*((step, "leaving") for step in plan.leaving), *((step, "inside") for step in plan.inside)]
    later = [(step, "later") for step in plan.later]
    return [Told(type(step).__name__, side, step.describe(), step.why, step.manual, step.shell())
            for step, side in (*outside, *inside, *later)]


def as_json(plan: Plan) -> str:
    return msgspec.json.format(msgspec.json.encode(told(plan)), indent=2).decode()


def as_text(plan: Plan) -> str:
    """Numbered, with the side's heading where it changes."""
    lines: list[str] = []
    side = ""
    headings = {"outside": "In the host's namespaces:", "inside": "In the new process:",
                "later": "In the host's namespaces, by `start` and by `delete`:",
                "leaving": "In the new process, before it leaves the host's namespaces:"}
    for number, one in enumerate(told(plan), 1):
        if one.side != side:
            side = one.side
            lines += [*([""] if lines else []), headings[side]]
        lines += ["", f"{number:3}. {one.what}", f"     why   {one.why}", f"     see   {one.manual}",
                  f"     $     {one.shell}"]
    return "\n".join(lines)


def as_script(plan: Plan) -> str:
    """The shell words in order. A shell enters its cgroup before it starts the rest in other namespaces."""
    first = [step for step in plan.outside if not isinstance(step, Enter | Join)]
    enter = [step for step in plan.outside if isinstance(step, Enter | Join)]
    return "#!/bin/bash -eu\n" + script((*first, *plan.leaving, *enter, *plan.inside), 0)


def script(steps: tuple[Step[Any], ...], depth: int) -> str:
    lines: list[str] = []
    for number, step in enumerate(steps):
        words = step.shell()
        lines.append(f"# {step.describe()}")
        if words.endswith(" \\"):
            mark = f"REST_{depth}"
            rest = script(steps[number + 1:], depth + 1)
            return "\n".join([*lines, f"exec {words[:-2]} bash -euc \"$(cat <<'{mark}'", f"{rest}\n{mark}", ')"'])
        lines.append(words)
    return "\n".join(lines)


FORMATS = {"text": as_text, "json": as_json, "sh": as_script}
