"""Health checks: a command that is run in the container again and again, and what its results say. By the monitor.

    starting ── exit 0 ──> healthy ── `retries` failures in a row ──> unhealthy ── exit 0 ──> healthy
        └── `retries` failures after the start period ────────────────────^

Docker's rules (moby, daemon/health.go): a probe that takes longer than `timeout` is killed and counts as failed; within
the start period failures do not count, as long as none has succeeded, and probes come every `start_interval`.
"""

import time
from collections.abc import Callable

import msgspec

from pydocker.model.container import Health, HealthResult, HealthStatus
from pydocker.model.image import Healthcheck
from pydocker.monitor.execs import Execs
from pydocker.monitor.loop import Loop

INTERVAL, TIMEOUT, START_INTERVAL = 30.0, 30.0, 5.0  # seconds, where the check says nothing
RETRIES = 3
MOST_RESULTS, MOST_OUTPUT = 5, 4096
TIMED_OUT = -1


def argv(check: Healthcheck | None) -> tuple[str, ...]:
    """What is run; empty if nothing is. `CMD` takes words, `CMD-SHELL` a line for the shell."""
    kind, *words = (check.test if check and check.test else None) or ("NONE",)
    if kind == "CMD-SHELL":
        return ("/bin/sh", "-c", *words)
    return tuple(words) if kind == "CMD" else ()


def seconds(nanoseconds: int, otherwise: float) -> float:
    return nanoseconds / 1e9 if nanoseconds else otherwise


def after(health: Health, check: Healthcheck, result: HealthResult, started: float) -> Health:
    """The health after one more probe of a container that was started then. Pure."""
    log = (*health.log, result)[-MOST_RESULTS:]
    if result.exit_code == 0:
        return Health(HealthStatus.HEALTHY, 0, log)
    spared = health.status is HealthStatus.STARTING and result.start - started < seconds(check.start_period, 0.0)
    streak = health.failing_streak + (not spared)
    failed = streak >= (check.retries or RETRIES)
    return Health(HealthStatus.UNHEALTHY if failed else health.status, streak, log)


def delay(health: Health, check: Healthcheck, running_for: float) -> float:
    """Seconds until the next probe. Pure."""
    if health.status is HealthStatus.STARTING and running_for < seconds(check.start_period, 0.0):
        return seconds(check.start_interval, START_INTERVAL)
    return seconds(check.interval, INTERVAL)


class Prober:
    """Probes one run of a container. `record` is told of every result, `tell` of every change of the status."""

    def __init__(self, loop: Loop, execs: Execs, check: Healthcheck, started: float,
                 record: Callable[[Health], None], tell: Callable[[str], None], paused: Callable[[], bool]) -> None:
        self._loop = loop
        self._execs = execs
        self._check = check
        self._started = started
        self._record = record
        self._tell = tell
        self._paused = paused
        self._health = Health()
        self._over = False
        self._current: _Probe | None = None
        self._wait()

    def _wait(self) -> None:
        self._loop.after(delay(self._health, self._check, time.time() - self._started), self._probe)

    def _probe(self) -> None:
        if self._over:
            return
        if self._paused():  # it could not answer
            self._wait()
        else:
            self._current = _Probe(self._loop, self._execs, self._check, self._result)

    def drop(self) -> None:
        """The container is paused: a probe that is under way could only fail by that, and says nothing."""
        if self._current is not None:
            self._current.cancel()
            self._current = None
            self._wait()

    def _result(self, result: HealthResult) -> None:
        self._current = None
        if self._over:
            return
        before, self._health = self._health, after(self._health, self._check, result, self._started)
        self._record(self._health)
        if self._health.status is not before.status:
            self._tell(f"health_status: {self._health.status}")
        self._wait()

    def close(self) -> Health:
        """The run is over. What is not watched any more is not healthy, says Docker."""
        self._over = True
        return msgspec.structs.replace(self._health, status=HealthStatus.UNHEALTHY)


class _Probe:
    """One probe: it ends by itself, or when its time is up."""

    def __init__(self, loop: Loop, execs: Execs, check: Healthcheck, then: Callable[[HealthResult], None]) -> None:
        self._then = then
        self._start = time.time()
        self._output = bytearray()
        self._done = False
        self._limit = seconds(check.timeout, TIMEOUT)
        self._kill = execs.run(argv(check), self._hear, self._finish)
        loop.after(self._limit, self._expire)

    def _hear(self, stream: int, data: bytes) -> None:
        self._output += data[:MOST_OUTPUT + 1 - len(self._output)]

    def _expire(self) -> None:
        if not self._done:
            self._output[:] = f"Health check exceeded timeout ({self._limit:g}s)".encode()
            self._kill()
            self._finish(TIMED_OUT, "")

    def cancel(self) -> None:
        """Kill it, and do not tell of it."""
        self._done = True
        self._kill()

    def _finish(self, code: int, error: str) -> None:
        """It has ended, or (with an error) could not be started."""
        if self._done:
            return
        self._done = True
        text = error or bytes(self._output[:MOST_OUTPUT]).decode(errors="replace")
        cut = "..." if len(self._output) > MOST_OUTPUT and not error else ""
        self._then(HealthResult(self._start, time.time(), code, text + cut))
