"""Restart policies: whether a container that has ended runs again, and when. Pure.

As Docker does it (moby, restartmanager): 100 ms, and twice as long after every run, up to a minute; a run of ten
seconds puts that back to the beginning. A container that was stopped by hand does not come back.
"""

import msgspec

from pydocker.model.container import RestartPolicy, State

FIRST, LONGEST = 0.1, 60.0  # seconds
KILLED = 137  # the exit code of what died with its monitor
LONG_ENOUGH = 10.0  # seconds of running, after which the next delay is the first one again


class Attempts(msgspec.Struct, frozen=True):
    """How often it was started again, and how long before the next time."""

    count: int = 0
    delay: float = 0.0


def again(policy: RestartPolicy, before: Attempts, *, ran: float, code: int, stopped: bool) -> Attempts | None:
    """The next attempt after a run of `ran` seconds that ended with `code`; None: it stays ended."""
    if stopped or not wanted(policy, before.count, code):
        return None
    delay = FIRST if ran >= LONG_ENOUGH or not before.delay else min(before.delay * 2, LONGEST)
    return Attempts(before.count + 1, delay)


def after_its_monitor(policy: RestartPolicy, state: State) -> bool:
    """Whether it runs again after its monitor was killed, and it with that: as Docker, whose shim was killed."""
    return state.running and not state.stopped and wanted(policy, state.restarts, KILLED)


def delay(state: State) -> float:
    """Seconds until the run that such a state waits for."""
    if state.finished - state.started >= LONG_ENOUGH:
        return FIRST
    return min(FIRST * 2.0 ** min(max(state.restarts - 1, 0), 16), LONGEST)


def wanted(policy: RestartPolicy, count: int, code: int) -> bool:
    """Whether the policy wants another run of what ended with `code` and was started again `count` times."""
    match policy.name:
        case "always" | "unless-stopped":
            return True
        case "on-failure":
            return code != 0 and (not policy.maximum_retry_count or count < policy.maximum_retry_count)
    return False


def after_boot(policy: RestartPolicy, *, count: int, started: float, stopped: bool, code: int) -> bool:
    """Whether it comes back when the engine starts for the first time after the machine did."""
    if not started or (stopped and policy.name != "always"):
        return False
    return wanted(policy, count, code)
