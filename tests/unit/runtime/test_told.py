"""Every step can be told: each class of the runtime, made from the types of its fields, with strings of a stranger."""

import importlib
import pkgutil
import subprocess
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
import pytest
from msgspec.structs import replace

import runtime
from runtime.plan import plan
from runtime.script import script
from runtime.step import Step
from tests.unit.runtime.test_plan import CONTAINER, MACHINE, SPEC

EVIL = "/it's $(touch owned) \"`touch owned`\" \\ *"
FITTING = {"name": "RLIMIT_NOFILE", "kind": "pid", "kinds": ("pid", "mount"), "new": ("pid", "uts"), "joined": ()}
OF_CLASS = {("SetIOPriority", "kind"): "IOPRIO_CLASS_IDLE"}
NEVER = {"step.Step", "hooks.steps.HookStep", "process.limits.Limit"}  # what others are made from


def classes() -> Iterator[type[Step[Any]]]:
    """All that the runtime defines."""
    for module in pkgutil.walk_packages(runtime.__path__, "runtime."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    left: list[type[Step[Any]]] = [Step]
    while left:
        one = left.pop()
        left += one.__subclasses__()
        name = f"{one.__module__}.{one.__name__}".removeprefix("runtime.")
        if one.__module__.startswith("runtime.") and name not in NEVER:
            yield one


STEPS = sorted(set(classes()), key=lambda one: (one.__module__, one.__name__))


def sample(type: Any) -> Any:
    """A value of the type; strings are nasty."""
    origin, arguments = get_origin(type), get_args(type)
    if origin in (Union, UnionType):
        return sample(next(one for one in arguments if one is not None.__class__))
    if origin is Annotated:
        return sample(arguments[0])
    if origin is tuple:
        return tuple(sample(one) for one in arguments if one is not ...)
    if origin is dict:
        return {}
    if isinstance(type, type_) and issubclass(type, msgspec.Struct):
        return made(type)
    if isinstance(type, type_) and hasattr(type, "__members__"):
        return next(iter(type))
    return {str: EVIL, int: 7, bool: True, float: 1.5}[type]


type_ = type


def made(kind: Any) -> Any:
    values = {}
    for field in msgspec.structs.fields(kind):
        fitting = OF_CLASS.get((kind.__name__, field.name), FITTING.get(field.name) if issubclass(kind, Step) else None)
        value = sample(field.type) if fitting is None else fitting
        values[field.name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def accepted(words: str) -> None:
    checked = subprocess.run(["bash", "-n"], input=words, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, ""), words


def test_all_were_found() -> None:
    assert len(STEPS) > 60


@pytest.mark.parametrize("kind", STEPS, ids=lambda one: one.__name__)
def test_a_step_can_be_told(kind: type[Step[Any]]) -> None:
    assert kind.why and kind.manual and kind.__doc__
    for method in ("describe", "shell", "apply"):
        assert getattr(kind, method) is not getattr(Step, method), f"{kind.__name__} has no {method}"
    step = made(kind)
    assert step.describe()
    for words in (step.shell(), step.script()):
        assert words
        accepted(f"{words.removesuffix(chr(92))} true" if words.endswith("\\") else words)


def test_a_script_is_one_for_bash_and_a_stranger_gets_no_line_of_it() -> None:
    evil = "web\ntouch owned\nEND_OF_after_pivot_root\nEND_OF_after_new_session"
    spec = replace(SPEC, hostname=evil, process=replace(SPEC.process, args=("sh", "-c", evil), cwd="/" + evil))
    text = script(plan(spec, CONTAINER, MACHINE))
    accepted(text)
    # No delimiter of ours is a line of the stranger's.
    lines = text.splitlines()
    begun = [line.split("'")[3] for line in lines if line.startswith("read -r -d ''")]
    assert len(begun) >= 3
    assert all(lines.count(end) == 1 for end in begun)
