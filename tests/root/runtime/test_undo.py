"""A step that fails: all earlier ones are undone, for every step of the plan; the error is the step's own."""

import subprocess
import sys

import pytest

from tests.root.runtime.conftest import REPOSITORY, Runtime

# In a process of its own: the plan gets one more step, which fails, at every place in turn. Nothing else is changed.
SCRIPT = """
import os, sys
from typing import ClassVar
import runtime.create as create
from runtime.errors import Fault, StepFailed
from runtime.linux.prctl import set_child_subreaper
from msgspec.structs import replace
from runtime.step import Step

class Fail(Step, frozen=True):
    why: ClassVar[str] = "a test wants to see what is undone"
    manual: ClassVar[str] = "abort(3)"
    def describe(self): return "fail"
    def apply(self, at): raise StepFailed("injected")

root, bundle = sys.argv[1:]
decide = create.plan
wanted = create.Wanted(id="c", root=root, bundle=bundle)
_, _, whole = create.decided(wanted)
set_child_subreaper()

def attempt(side, place):
    def failing(*arguments):
        plan = decide(*arguments)
        steps = getattr(plan, side)
        return replace(plan, **{side: (*steps[:place], Fail(), *steps[place:])})
    create.plan = failing
    try:
        create.create(wanted)
    except Fault as error:
        assert str(error) == "injected", f"{side} {place}: {error}"
    else:
        raise AssertionError(f"{side} {place}: no error")
    finally:
        create.plan = decide
    assert not os.path.exists(os.path.join(root, "c")), f"{side} {place}: state is left"
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                raise AssertionError(f"{side} {place}: a process is left")
        except ChildProcessError:
            return

for side in ("outside", "leaving"):
    for place in range(len(getattr(whole, side))):
        attempt(side, place)
# What comes after the handshake happens after create has returned.
last = [type(step).__name__ for step in whole.inside].index("WaitForStart")
for place in range(last + 1):
    attempt("inside", place)
print(len(whole.outside) + last + 1)
"""


@pytest.mark.parametrize("hooks", ((), ("prestart", "createRuntime", "createContainer", "startContainer")))
def test_a_failure_at_any_step_leaves_nothing(runtime: Runtime, hooks: tuple[str, ...]) -> None:
    """The leak check afterwards looks for cgroups, mounts, namespaces and processes."""
    runtime.configure("sleep", "100")
    runtime.change(hooks={kind: [{"path": "/bin/true"}] for kind in hooks})
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(runtime.root), str(runtime.bundle)], cwd=REPOSITORY,
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40


@pytest.mark.parametrize(("change", "words"), [
    ({"root": {"path": "nowhere"}}, "no such file or directory"),
    ({"mounts": [{"destination": "/x", "type": "nosuchfs"}]}, "mount nosuchfs on /x: "),
    ({"mounts": [{"destination": "/x", "type": "tmpfs", "options": ["size=many"]}]}, "size"),
    ({"mounts": [{"destination": "/x", "type": "bind", "source": "/no/such/source"}]}, "no such file or directory"),
    ({"mounts": [{"destination": "/etc/passwd/x", "type": "tmpfs"}]}, "not a directory"),
    ({"linux__namespaces": [{"type": "mount"}, {"type": "network", "path": "/proc/self/ns/uts"}]},
     "network namespace /proc/self/ns/uts: this is a uts namespace"),
    ({"linux__namespaces": [{"type": "mount"}, {"type": "network", "path": "/no/such"}], "hostname": ""},
     "/no/such: no such file or directory"),
    ({"process__cwd": "/etc/passwd"}, "not a directory"),
])
def test_what_the_kernel_refuses_is_told_in_one_line(runtime: Runtime, change: dict[str, object], words: str) -> None:
    runtime.configure("true")
    if "linux__namespaces" in change:
        change = {**change, "hostname": ""}
    runtime.change(**change)
    done = runtime.run()
    assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_missing_or_broken_config(runtime: Runtime) -> None:
    done = runtime("create", "--bundle", str(runtime.bundle), "c")
    assert done.returncode == 1 and "config.json" in done.stderr and "no such file or directory" in done.stderr
    broken = '{"ociVersion": "1", "linux": {"resources": {"memory": {"limit": ""}}}}'
    (runtime.bundle / "config.json").write_text(broken)
    done = runtime("create", "--bundle", str(runtime.bundle), "c")
    assert done.returncode == 1 and "`$.linux.resources.memory.limit`" in done.stderr
