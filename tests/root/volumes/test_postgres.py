"""A real database and its volume: what was committed is there, whatever is killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.engine import CHECKOUT, Engine
from tests.peers import postgres

SERVE = f"""[ -s {postgres.DATA}/PG_VERSION ] || initdb -N -A trust -D {postgres.DATA} >/dev/null || exit 9
exec postgres -D {postgres.DATA} -k /tmp -c listen_addresses= -c shared_buffers=2MB"""
PATIENCE = 90.0


def image(engine: Engine) -> str:
    """Its VOLUME is the data directory, which is the user's in the image."""
    done = subprocess.run(
        (sys.executable, "-m", "pydocker", "import", "-c", f"VOLUME {postgres.DATA}", "-c", "USER postgres",
         "-c", f"ENV PATH={postgres.programs()}:/bin", "-c", "ENV PGHOST=/tmp", "-c", "ENV TZ=UTC", "-", "postgres"),
        input=postgres.archive(), cwd=CHECKOUT, env=engine.environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return "postgres"


def sql(engine: Engine, container: str, text: str) -> str:
    return engine.ok("exec", container, "psql", "-qAt", "-c", text, "postgres")


def started(engine: Engine, image: str, *flags: str) -> str:
    id = engine.ok("run", "-d", "--network", "none", *flags, image, "sh", "-c", SERVE)
    deadline = time.monotonic() + PATIENCE
    while engine.pydocker("exec", id, "pg_isready", "-q").code:
        assert engine.ok("inspect", "-f", "{{.State.Running}}", id) == "true", engine.pydocker("logs", id).err
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return id


@pytest.mark.timeout(400)
def test_what_was_committed_survives(fresh_engine: Engine) -> None:
    engine, volume = fresh_engine, ("-v", f"pg:{postgres.DATA}")
    database = image(engine)
    first = started(engine, database, *volume)
    sql(engine, first, "create table kept (n int primary key, text text)")
    sql(engine, first, "insert into kept select n, repeat('x', 1000) from generate_series(1, 3000) n")
    engine.ok("rm", "-f", "-v", first)  # SIGKILL, amid of it all

    second = started(engine, database, *volume)
    assert sql(engine, second, "select count(*), sum(n), min(length(text)) from kept") == "3000|4501500|1000"
    sql(engine, second, "insert into kept values (3001, 'y')")
    pid = int(engine.ok("inspect", "-f", "{{.State.Pid}}", second))
    engine.kill()
    os.kill(pid, signal.SIGKILL)
    engine.ok("wait", second)
    engine.ok("start", second)
    deadline = time.monotonic() + PATIENCE
    while engine.pydocker("exec", second, "pg_isready", "-q").code:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert sql(engine, second, "select count(*), sum(n) from kept") == "3001|4504501"

    engine.ok("stop", second)
    engine.ok("volume", "clone", "pg", "copy")
    engine.ok("rm", second)
    engine.ok("volume", "rm", "pg")
    third = started(engine, database, "-v", f"copy:{postgres.DATA}")
    assert sql(engine, third, "select count(*), sum(n) from kept") == "3001|4504501"
