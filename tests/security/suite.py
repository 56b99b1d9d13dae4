"""The register of attacks, and the judge: sets up, attacks, cleans up, compares, gives a verdict."""

import re
import subprocess
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from tests import leaks
from tests.leaks import PATIENCE
from tests.security import canary
from tests.security.ground import Ground

PARTS = ("Attack:", "Held:", "Control:")
LONGEST = 400  # letters of evidence


class Broken(Exception):
    """The attack got what it was after."""


class NotAttacked(Exception):
    """The positive control failed: nothing can be said."""


class NotApplicable(Exception):
    """There is nothing to attack on this machine, or in this runtime."""


@dataclass(frozen=True)
class Attack:
    """One row: `names` are CVEs or words, `rules` the rules of our notes, `quick` and `full` how many tries."""

    names: str
    rules: str
    quick: int
    full: int
    function: Callable[[Ground, int], str]

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def room(self) -> str:
        return self.function.__module__.rpartition(".")[2]

    @property
    def text(self) -> str:
        return self.function.__doc__ or ""

    def part(self, word: str) -> str:
        """What the docstring says after `Attack:`, `Held:` or `Control:`; without a word, its first line."""
        if not word:
            return self.text.strip().splitlines()[0]
        found = re.search(rf"^ *{word}(.*?)(?=^ *(?:{'|'.join(PARTS)})|\Z)", self.text, re.DOTALL | re.MULTILINE)
        return " ".join(found[1].split()) if found else ""


@dataclass(frozen=True)
class Verdict:
    """One cell of the table."""

    word: str
    evidence: str
    seconds: float


REGISTER: list[Attack] = []

Function = Callable[[Ground, int], str]


def attack(names: str, *, rules: str, quick: int = 1, full: int = 1) -> Callable[[Function], Function]:
    """Put a function into the register."""
    def register(function: Function) -> Function:
        REGISTER.append(Attack(names, rules, quick, full, function))
        return function

    return register


def held(condition: object, evidence: object) -> None:
    if not condition:
        raise Broken(str(evidence))


def attacked(condition: object, evidence: object) -> None:
    if not condition:
        raise NotAttacked(str(evidence))


def judge(one: Attack, ground: Ground, times: int) -> Verdict:
    """Make one attack on one runtime."""
    began = time.monotonic()
    ground.directory.mkdir(parents=True)
    ground.prepare()
    before = ground.snapshot()
    word, evidence = "held", ""
    try:
        evidence = one.function(ground, times)
    except Broken as error:
        word, evidence = "BROKEN", str(error)
    except NotAttacked as error:
        word, evidence = "NO ATTACK", str(error)
    except NotApplicable as error:
        word, evidence = "not applicable", str(error)
    except subprocess.TimeoutExpired as error:
        word, evidence = "BROKEN", f"no answer after {error.timeout:.0f} s"
    except Exception as error:  # the attack itself is wrong, or met what nobody thought of
        where = traceback.extract_tb(error.__traceback__)[-1]
        word, evidence = "NO ATTACK", f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
    finally:
        ground.end()
    changed = settled(before, ground)
    if changed:
        leaks.end(before, ground.scope)
        word, evidence = "BROKEN", f"{evidence}; the host changed: " + "; ".join(changed)
    leaks.remove_tree(ground.directory)
    return Verdict(word, " ".join(evidence.split())[:LONGEST], time.monotonic() - began)


def settled(before: canary.Snapshot, ground: Ground) -> list[str]:
    """The differences that stay: a process may need a moment to leave."""
    deadline = time.monotonic() + PATIENCE
    while found := canary.differences(before, ground.snapshot()):
        if time.monotonic() > deadline:
            return found
        time.sleep(0.05)
    return []
