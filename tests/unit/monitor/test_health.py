"""What the results of health checks make of a container's health, and when the next one comes."""

import pytest

from pydocker.model.container import Health, HealthResult, HealthStatus
from pydocker.model.image import Healthcheck
from pydocker.monitor.health import after, argv, delay

SECOND = 10**9


def result(code: int, at: float = 100.0) -> HealthResult:
    return HealthResult(at, at + 1, code, "said")


def statuses(check: Healthcheck, *codes: int, started: float = 0.0) -> list[str]:
    """The status after each probe, the first of which comes 100 seconds after the beginning of time."""
    health, found = Health(), []
    for number, code in enumerate(codes):
        health = after(health, check, result(code, 100.0 + number), started)
        found.append(f"{health.status} {health.failing_streak}")
    return found


def test_three_failures_in_a_row() -> None:
    assert statuses(Healthcheck(), 1, 1, 0, 1, 1, 1, 0) == [
        "starting 1", "starting 2", "healthy 0", "healthy 1", "healthy 2", "unhealthy 3", "healthy 0"]
    assert statuses(Healthcheck(retries=1), -1) == ["unhealthy 1"]


def test_the_start_period_spares_failures_until_the_first_success() -> None:
    check = Healthcheck(retries=1, start_period=10 * SECOND)
    assert statuses(check, 1, 1, started=99.0) == ["starting 0", "starting 0"]
    assert statuses(check, 0, 1, started=99.0) == ["healthy 0", "unhealthy 1"]
    assert statuses(check, 1, started=80.0) == ["unhealthy 1"]


def test_the_last_five_results_are_kept() -> None:
    health = Health()
    for number in range(9):
        health = after(health, Healthcheck(), result(0, float(number)), 0.0)
    assert [one.start for one in health.log] == [4.0, 5.0, 6.0, 7.0, 8.0]


def test_when_the_next_one_comes() -> None:
    check = Healthcheck(interval=7 * SECOND, start_interval=2 * SECOND, start_period=60 * SECOND)
    assert [delay(Health(), check, ran) for ran in (0.0, 59.0, 60.0)] == [2.0, 2.0, 7.0]
    assert delay(Health(HealthStatus.HEALTHY), check, 0.0) == 7.0
    assert (delay(Health(), Healthcheck(), 0.0), delay(Health(), Healthcheck(start_period=SECOND), 0.0)) == (30.0, 5.0)


@pytest.mark.parametrize(("test", "expected"), [
    (None, ()), ((), ()), (("NONE",), ()), (("CMD", "a", "b"), ("a", "b")),
    (("CMD-SHELL", "a b"), ("/bin/sh", "-c", "a b")),
])
def test_what_is_run(test: tuple[str, ...] | None, expected: tuple[str, ...]) -> None:
    assert argv(Healthcheck(test=test)) == expected
    assert argv(None) == ()
