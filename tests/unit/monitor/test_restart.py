"""Restart policies as data."""

import pytest

from pydocker.model.container import RestartPolicy
from pydocker.monitor.restart import Attempts, after_boot, again


def delays(policy: RestartPolicy, ran: tuple[float, ...]) -> list[float]:
    """The pauses before the next runs, of a program that fails after so many seconds each time."""
    attempts, found = Attempts(), []
    for seconds in ran:
        attempts = again(policy, attempts, ran=seconds, code=1, stopped=False) or pytest.fail("it gave up")
        found.append(attempts.delay)
    return found


def test_twice_as_long_each_time_up_to_a_minute() -> None:
    found = delays(RestartPolicy("always"), (0.0,) * 12)
    assert found[:4] == [0.1, 0.2, 0.4, 0.8] and found[-2:] == [60.0, 60.0] and 51.2 in found


def test_ten_seconds_of_running_are_a_new_beginning() -> None:
    assert delays(RestartPolicy("unless-stopped"), (0.0, 9.9, 10.0, 0.0)) == [0.1, 0.2, 0.1, 0.2]


@pytest.mark.parametrize(("policy", "count", "code", "stopped", "expected"), [
    (RestartPolicy(), 0, 1, False, False), (RestartPolicy("no"), 0, 1, False, False),
    (RestartPolicy("always"), 99, 0, False, True), (RestartPolicy("always"), 0, 0, True, False),
    (RestartPolicy("on-failure"), 99, 1, False, True), (RestartPolicy("on-failure"), 0, 0, False, False),
    (RestartPolicy("on-failure", 3), 2, 1, False, True), (RestartPolicy("on-failure", 3), 3, 1, False, False),
])
def test_who_comes_back(policy: RestartPolicy, count: int, code: int, stopped: bool, expected: bool) -> None:
    found = again(policy, Attempts(count, 0.1), ran=1.0, code=code, stopped=stopped)
    assert (found is not None) == expected
    assert found is None or found.count == count + 1


@pytest.mark.parametrize(("name", "started", "stopped", "code", "expected"), [
    ("always", 1.0, True, 0, True), ("always", 0.0, False, 0, False), ("unless-stopped", 1.0, True, 0, False),
    ("unless-stopped", 1.0, False, 0, True), ("on-failure", 1.0, False, 255, True),
    ("on-failure", 1.0, False, 0, False), ("no", 1.0, False, 255, False),
])
def test_after_a_boot(name: str, started: float, stopped: bool, code: int, expected: bool) -> None:
    assert after_boot(RestartPolicy(name), count=0, started=started, stopped=stopped, code=code) == expected
