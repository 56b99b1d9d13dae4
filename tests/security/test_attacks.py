"""Every attack, with few tries, on pydocker-runtime; and the suite itself, whose canary must not be blind."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import leaks
from tests.security import attacks, canary, suite  # noqa: F401
from tests.security.ground import Ground
from tests.security.runtimes import Runtime
from tests.security.suite import PARTS, REGISTER, Attack, judge


@pytest.fixture
def ground(ours: Runtime, session_directory: Path, scope: leaks.Scope) -> Callable[[], Ground]:
    return lambda: Ground(ours, session_directory / "security", scope)


@pytest.mark.parametrize("one", REGISTER, ids=lambda one: one.name)
def test_attack(ground: Callable[[], Ground], one: Attack) -> None:
    verdict = judge(one, ground(), one.quick)
    if verdict.word == "not applicable":
        pytest.skip(verdict.evidence)
    assert verdict.word == "held", verdict.evidence


@pytest.mark.parametrize("one", REGISTER, ids=lambda one: one.name)
def test_every_attack_says_what_it_does(one: Attack) -> None:
    assert all(len(one.part(word)) > 8 for word in PARTS) and one.names and one.rules and one.quick <= one.full


def test_names_are_unique() -> None:
    assert len({one.name for one in REGISTER}) == len(REGISTER)


def evil(do: Callable[[Ground], object]) -> Attack:
    """An attack that is not in the register: it does this, and says that all is well."""
    def function(ground: Ground, times: int) -> str:
        do(ground)
        return "nothing happened"

    one = Attack("none", "none", 1, 1, function)
    assert one not in REGISTER
    return one


def write(path: str, text: str) -> None:
    Path(path).write_text(text)


def another(path: str) -> str:
    return str(int(Path(path).read_text()) + 1)


SYSCTL = f"/proc/sys/{canary.HARMLESS}"


@pytest.mark.parametrize(("kind", "do", "mend"), [
    ("canary", lambda ground: (ground.canary / "secret").write_text("x"), None),
    ("canary", lambda ground: (ground.canary / "sub/new").touch(), None),
    ("canary", lambda ground: (ground.canary / "secret").chmod(0o600), None),
    ("canary", lambda ground: os.utime(ground.canary / "sub"), None),
    ("sysctl", lambda ground: write(SYSCTL, another(SYSCTL)), lambda old: write(SYSCTL, old)),
    ("runtime's file", lambda ground: ground.runtime.files[0].touch(), None),
    ("process", lambda ground: os.spawnvp(os.P_NOWAIT, "sleep", ["sleep", "30"]), None),
])
def test_the_judge_sees_what_changed(ground: Callable[[], Ground], monkeypatch: pytest.MonkeyPatch, kind: str,
                                     do: Callable[[Ground], object], mend: Callable[[str], object] | None) -> None:
    monkeypatch.setattr(suite, "PATIENCE", 0.0)
    old = Path(SYSCTL).read_text()
    made: list[object] = []
    verdict = judge(evil(lambda ground: made.append(do(ground))), ground(), 1)
    if mend:
        mend(old)
    if kind == "process":
        os.kill(int(str(made[0])), 9)
        os.waitpid(int(str(made[0])), 0)
    assert verdict.word == "BROKEN" and f"{kind}: now " in verdict.evidence, verdict


HANGS = """#!/bin/sh
case "$*" in *" run "*) ;; *) exit 0;; esac
mkdir -p CGROUP
sh -c 'echo $$ > CGROUP/cgroup.procs; exec sleep 1000'
"""


def test_a_runtime_that_hangs_is_told_and_what_it_leaves_is_taken_away(
        ours: Runtime, session_directory: Path, scope: leaks.Scope, monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path) -> None:
    """With a live process in a cgroup: the next attack finds the ground as this one has found it."""
    program = tmp_path / "hangs"
    cgroup = [*leaks.hierarchies()][-1] / scope.token / "left"
    program.write_text(HANGS.replace("CGROUP", str(cgroup)))
    program.chmod(0o755)
    monkeypatch.setattr(suite, "PATIENCE", 0.0)
    before = leaks.snapshot(scope)
    for seconds in (2, 20, 60):  # until it had the time to leave something
        ground = Ground(Runtime("hangs", (str(program),), ()), session_directory / "security", scope)
        verdict = judge(evil(lambda ground, seconds=seconds: ground.box().run("true", timeout=seconds)), ground, 1)
        assert verdict.word == "BROKEN" and verdict.evidence.startswith(f"no answer after {seconds} s"), verdict
        if "process: now " in verdict.evidence and f"cgroup: now {cgroup}" in verdict.evidence:
            break
    assert "; the host changed: " in verdict.evidence, verdict
    assert "process: now " in verdict.evidence and f"cgroup: now {cgroup}" in verdict.evidence, verdict
    after = leaks.snapshot(scope)
    assert after["process"] <= before["process"] and after["cgroup"] <= before["cgroup"]


def test_the_judge_tells_words_apart(ground: Callable[[], Ground]) -> None:
    def raises(error: Exception) -> Attack:
        def do(ground: Ground) -> None:
            raise error

        return evil(do)

    words = {error: judge(raises(error), ground(), 1).word for error in (
        suite.Broken("x"), suite.NotAttacked("x"), suite.NotApplicable("x"), KeyError("x"))}
    assert [*words.values()] == ["BROKEN", "NO ATTACK", "not applicable", "NO ATTACK"]
