"""`python -m tests.security`: every attack on every runtime that is installed, and the table of what came of it."""

import argparse
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests import leaks
from tests.security import attacks, rows  # noqa: F401  (attacks fills the register)
from tests.security.ground import Ground
from tests.security.runtimes import KNOWN, OURS, installed
from tests.security.suite import PARTS, REGISTER, Attack, Verdict, attacked, judge


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.security", description="attacks on OCI runtimes")
    parser.add_argument("--runtime", action="append", default=[], metavar="NAME[=PROGRAM FLAGS]",
                        help="a runtime to judge; may be repeated (default: pydocker-runtime, runc, crun)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiply the number of tries by this")
    parser.add_argument("--list", action="store_true", help="say what each attack does, and make none")
    parser.add_argument("only", nargs="*", help="names of attacks or of their files; none: all")
    return parser.parse_args()


def chosen(only: list[str]) -> list[Attack]:
    return [one for one in REGISTER if not only or {one.name, one.room, *one.names.split()} & {*only}]


def tell(every: list[Attack]) -> None:
    for one in every:
        print(f"{one.room}.{one.name}  ({one.names}; {one.rules})\n  {one.part('')}")
        print("\n".join(f"  {word} {one.part(word)}" for word in PARTS) + "\n")


def main() -> int:
    asked = arguments()
    every = chosen(asked.only)
    if asked.list:
        tell(every)
        print(rows.told())
        return 0
    if os.geteuid() != 0:
        print("attacks on a runtime need root", file=sys.stderr)
        return 1
    token = f"security-{uuid.uuid4().hex[:8]}"
    os.environ[leaks.MARKER] = token
    leaks.isolate_network()
    namespace = leaks.isolate_mounts()
    session = Path(tempfile.mkdtemp(prefix=f"{token}-", dir="/var/tmp"))
    began = time.monotonic()
    scope = leaks.Scope(token, (session,), namespace)
    before = leaks.snapshot(scope)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        table = {}
        for runtime in installed(asked.runtime or [*KNOWN], session):
            print(f"{runtime.name}: {' '.join(runtime.command)}", flush=True)
            table[runtime.name] = column(every, partial(Ground, runtime, session, scope), asked.scale)
    finally:
        leaks.end(before, scope)  # of an attack that was interrupted
        leaks.remove_tree(session)
        leaks.remove_parents(token)
    show(every, table)
    if not asked.only:
        print(rows.told())
    print(f"\n{len(every)} attacks, {len(table)} runtimes, {time.monotonic() - began:.0f} s")
    judged = table.get(OURS) or {name: verdict for one in table.values() for name, verdict in one.items()}
    return int(any(verdict.word in ("BROKEN", "NO ATTACK") for verdict in judged.values()))


def column(every: list[Attack], ground: Callable[[], Ground], scale: float) -> dict[str, Verdict]:
    """One runtime: each attack, told as it ends."""
    found = {}
    cannot = judge(Attack("none", "none", 1, 1, runs_at_all), ground(), 1)
    if cannot.word == "NO ATTACK":
        print(f"  cannot run here: {cannot.evidence}")
        return {one.name: Verdict("not applicable", f"cannot run here: {cannot.evidence}", 0.0) for one in every}
    for one in every:
        found[one.name] = verdict = judge(one, ground(), max(1, round(one.full * scale)))
        print(f"  {verdict.word:14} {one.name} ({verdict.seconds:.1f} s): {verdict.evidence}", flush=True)
    return found


def runs_at_all(ground: Ground, times: int) -> str:
    """An ordinary container. What cannot run it cannot be attacked here."""
    done = ground.box().run("echo", "ran")
    attacked(done.stdout == "ran\n", f"exit code {done.returncode}: {done.stderr}")
    return done.stdout


def show(every: list[Attack], table: dict[str, dict[str, Verdict]]) -> None:
    """Rows are attacks, columns are runtimes; below it, the reasons for what is not `held`."""
    width = max((len(one.name) for one in every), default=0)
    print("\n" + " " * width + "".join(f"  {name:16}" for name in table))
    for one in every:
        print(f"{one.name:{width}}" + "".join(f"  {column[one.name].word:16}" for column in table.values())
              + f"  {one.names}")
    for name, column in table.items():
        for one in every:
            if column[one.name].word != "held":
                print(f"{name}: {one.name}: {column[one.name].word}: {column[one.name].evidence}")


if __name__ == "__main__":
    sys.exit(main())
