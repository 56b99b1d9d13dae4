"""Where hooks stand in the plan, and what their steps say; as data."""

import msgspec
import pytest

from runtime.checks import check
from runtime.errors import InvalidSpec, StepFailed
from runtime.hooks import KINDS, of_kind, placed
from runtime.hooks.running import run
from runtime.hooks.steps import Subject
from runtime.plan import plan
from runtime.spec import Hook, Hooks, Status
from tests.unit.runtime.test_plan import CONTAINER, MACHINE, SPEC

NAMES = {"prestart": "prestart", "createRuntime": "create_runtime", "createContainer": "create_container",
         "startContainer": "start_container", "poststart": "poststart", "poststop": "poststop"}
ALL = Hooks(**{field: (Hook(path=f"/hooks/{kind}", args=("zero", "one")),) for kind, field in NAMES.items()})


def names(steps: tuple[object, ...]) -> list[str]:
    return [type(step).__name__ + (f" {step.kind}" if hasattr(step, "kind") and hasattr(step, "hook") else "")
            for step in steps]


def test_the_places_of_all_kinds() -> None:
    decided = plan(msgspec.structs.replace(SPEC, hooks=ALL), CONTAINER, MACHINE)
    outside, inside = names(decided.outside), names(decided.inside)
    assert outside[outside.index("Clone"):] == [
        "Clone", "RememberProcess", "AwaitMounts", "RuntimeHook prestart", "RuntimeHook createRuntime", "LetGoOn"]
    order = ["AwaitRuntimeHooks", "GoToRoot", "ContainerHook createContainer", "PivotRoot", "WaitForStart",
             "ContainerHook startContainer", "TellStarted", "Execute"]
    assert [name for name in inside if name in order] == order
    mounts = [number for number, name in enumerate(inside) if name in ("NewFilesystem", "BindMount", "DeviceNode")]
    assert max(mounts) < inside.index("AwaitRuntimeHooks") < inside.index("MaskPath")
    assert names(decided.later) == ["LaterHook poststart", "LaterHook poststop"]


def test_without_hooks_there_is_nothing_of_them() -> None:
    for hooks in (None, Hooks()):
        decided = plan(msgspec.structs.replace(SPEC, hooks=hooks), CONTAINER, MACHINE)
        known = {"AwaitMounts", "LetGoOn", "AwaitRuntimeHooks", "GoToRoot", "TellStarted", "RememberProcess"}
        assert not known & {*names(decided.steps)} and not decided.later


def test_only_those_that_wait_for_each_other_are_there() -> None:
    about = Subject(oci_version="1.2.0", id="c", status=Status.CREATING, bundle="/b")
    container = placed(Hooks(create_container=ALL.create_container), "/answer", about)
    assert names(container.outside) == ["RememberProcess"]
    assert names(container.mounted) == ["GoToRoot", "ContainerHook createContainer"]
    assert not container.leaving and not container.started
    start = placed(Hooks(start_container=ALL.start_container), "/answer", about)
    assert names(start.leaving) == ["OpenAnswer"] and not start.outside and not start.mounted


def test_each_kind_is_found_by_its_name() -> None:
    assert [of_kind(ALL, kind)[0].path for kind in KINDS] == [f"/hooks/{kind}" for kind in KINDS]
    assert of_kind(None, "prestart") == ()


def test_the_shell_form_gives_the_state_and_nothing_of_ours() -> None:
    about = Subject(oci_version="1.2.0", id="c", status=Status.CREATING, bundle="/b")
    hook = Hook(path="/bin/hook", args=("zero", "a b"), env=("A=b",), timeout=5)
    (step,) = [one for one in placed(Hooks(prestart=(hook,)), "", about).outside if hasattr(one, "hook")]
    assert step.describe() == "run the prestart hook #0: /bin/hook"
    assert step.shell().endswith("| timeout -s KILL 5 env -i A=b /bin/hook 'a b'")


@pytest.mark.parametrize(("hook", "path"), [
    (Hook(path="/x", timeout=0), "$.hooks.createRuntime[1].timeout"),
    (Hook(path="/x", timeout=-3), "$.hooks.createRuntime[1].timeout"),
    (Hook(path="/x", args=("",)), "$.hooks.createRuntime[1].args[0]"),
    (Hook(path="/x", env=("A=b", "C")), "$.hooks.createRuntime[1].env[1]"),
])
def test_what_is_wrong_with_a_hook_is_told_with_its_path(hook: Hook, path: str) -> None:
    wrong = msgspec.structs.replace(SPEC, hooks=Hooks(create_runtime=(Hook(path="/y"), hook)))
    with pytest.raises(InvalidSpec) as caught:
        check(wrong, MACHINE)
    assert f"`{path}`" in str(caught.value)


def test_a_hook_runs_without_privileges_too() -> None:
    """The program's own words, and a state larger than a pipe that nobody reads."""
    run("prestart", 0, Hook(path="/bin/true"), b"x" * 1_000_000)
    shout = Hook(path="/bin/sh", args=("sh", "-c", "read -r state; echo \"$state\"; echo $A >&2; exit 7"), env=("A=b",))
    with pytest.raises(StepFailed) as caught:
        run("prestart", 4, shout, b'{"id": "c"}\n')
    assert str(caught.value) == 'error running prestart hook #4: exit status 7, stdout: {"id": "c"}, stderr: b'
