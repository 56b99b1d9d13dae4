"""`system check`: everything on disk against what it should be; with `repair`, what can be mended is."""

import itertools
import os
from collections.abc import Callable

from pydocker.containers import Containers
from pydocker.errors import Conflict, PydockerError
from pydocker.images.store import ImageStore
from pydocker.model.digest import Digest
from pydocker.storage import locks
from pydocker.upkeep import catalog, content, remains, unpacked, volumes
from pydocker.upkeep.findings import Finding, Summary, Tell, Verdict


def check(store: ImageStore, containers: Containers, told: Callable[[Verdict], None], tell: Tell, *,
          repair: bool) -> Summary:
    """Go through all of it. `told` gets every finding, `tell` the progress. Conflict: another check is running;
    PydockerError: a directory is no longer the engine's own, and what is in there cannot be judged.

    Images may be pulled, run and removed meanwhile: what is gone when it is looked at again was not wrong.
    """
    store.paths.make()
    store.make()
    path = store.paths.temporary / "check.lock"
    lock = locks.acquire(path, blocking=False)
    if lock is None:
        raise Conflict("another check is running")
    try:
        return _check(store, containers, told, tell, repair=repair)
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)


def _check(store: ImageStore, containers: Containers, told: Callable[[Verdict], None], tell: Tell, *,
           repair: bool) -> Summary:
    summary, good = Summary(), set[Digest]()
    for finding in itertools.chain(
            content.check(store, good, summary, tell), catalog.check(store, summary),
            unpacked.check(store, good, containers.resting, summary, tell), remains.check(store, containers, summary),
            volumes.check(store.paths, containers, summary)):
        verdict = _judged(finding, repair=repair)
        summary.problems += 1
        summary.mended += verdict.mended
        told(verdict)
    return summary


def _judged(finding: Finding, *, repair: bool) -> Verdict:
    verdict = Verdict(subject=finding.subject, problem=finding.problem, remedy=finding.remedy,
                      mendable=finding.mend is not None, mended=False)
    if not repair or finding.mend is None:
        return verdict
    try:
        finding.mend()
    except (PydockerError, OSError) as error:
        return Verdict(subject=finding.subject, problem=finding.problem, remedy=str(error), mendable=False,
                       mended=False)
    return Verdict(subject=finding.subject, problem=finding.problem, remedy=finding.remedy, mendable=True, mended=True)
