"""A plan told to a person, to a program, or as a script: nothing is done, and no privilege is needed.

Each step's command line has the same effect as the step. One that ends with a backslash starts another command
(unshare, setpriv, setsid), in which the steps after it are done. The script form is in `script`.
"""

import msgspec

from runtime.plan import Plan
from runtime.script import script


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
    lines = ["`inside PATH` is where PATH is below the root file system, with links followed as the container would."]
    side = ""
    headings = {"outside": "In the host's namespaces:", "inside": "In the new process:",
                "later": "In the host's namespaces, by `start` and by `delete`:",
                "leaving": "In the new process, before it leaves the host's namespaces:"}
    for number, one in enumerate(told(plan), 1):
        if one.side != side:
            side = one.side
            lines += ["", headings[side]]
        lines += ["", f"{number:3}. {one.what}", f"     why   {one.why}", f"     see   {one.manual}",
                  f"     $     {one.shell}"]
    return "\n".join(lines)


FORMATS = {"text": as_text, "json": as_json, "sh": script}
