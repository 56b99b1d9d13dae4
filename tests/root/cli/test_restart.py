"""Restart policies, of whole engines: by the monitor alone, whether a server runs or not."""

import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import leaks
from tests.engine import Engine
from tests.root.containers.room import wait_until


def state(engine: Engine, name: str) -> dict[str, object]:
    """State and RestartCount of `inspect`."""
    found: dict[str, object] = json.loads(engine.ok("inspect", "-f", "{{json .State}}", name))
    return found | {"Count": int(engine.ok("inspect", "-f", "{{.RestartCount}}", name))}


def test_it_fails_three_times_more(engine: Engine) -> None:
    name = engine.ok("run", "-d", "--restart", "on-failure:3", "busybox", "sh", "-c", "echo again; exit 3")
    wait_until(lambda: state(engine, name)["Status"] == "exited")
    found = state(engine, name)
    assert (found["ExitCode"], found["Count"], found["Restarting"]) == (3, 3, False)
    assert engine.ok("logs", name).splitlines() == ["again"] * 4
    engine.ok("start", name)
    wait_until(lambda: engine.ok("logs", name).count("again") == 8)


def test_success_is_no_failure(engine: Engine) -> None:
    name = engine.ok("run", "-d", "--restart", "on-failure", "busybox", "true")
    assert engine.ok("wait", name) == "0"
    assert state(engine, name)["Status"] == "exited" and state(engine, name)["Count"] == 0


def test_no_server_is_needed_and_stop_ends_it(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    engine = make_engine()
    engine.import_busybox()
    name = engine.ok("run", "-d", "--restart", "always", "-v", f"{tmp_path}:/out", "busybox", "sh", "-c",
                     "echo x >> /out/runs; exit 1")
    engine.kill()
    wait_until(lambda: (tmp_path / "runs").exists() and len((tmp_path / "runs").read_text()) >= 8)
    # In between it runs, for a moment each time.
    wait_until(lambda: bool(state(engine, name)["Restarting"]))
    wait_until(lambda: "Restarting (1) " in engine.ok("ps", "--format", "{{.Status}}"))
    wait_until(lambda: "is restarting, wait until" in engine.pydocker("exec", name, "true").err)
    wait_until(lambda: f"You cannot remove a restarting container {name}" in engine.pydocker("rm", name).err)
    engine.ok("stop", name)
    assert state(engine, name)["Status"] == "exited"
    before = (tmp_path / "runs").read_text()
    engine.ok("start", name)
    wait_until(lambda: len((tmp_path / "runs").read_text()) > len(before))
    engine.ok("rm", "-f", name)


def test_a_policy_may_be_changed_while_it_runs(engine: Engine, tmp_path: Path) -> None:
    name = engine.ok("run", "-d", "--restart", "always", "-v", f"{tmp_path}:/in", "busybox", "sh", "-c",
                     "while [ ! -e /in/end ]; do sleep 0.05; done; exit 4")
    engine.ok("update", "--restart", "no", name)
    (tmp_path / "end").touch()
    wait_until(lambda: not state(engine, name)["Running"])
    assert (state(engine, name)["Status"], state(engine, name)["Count"]) == ("exited", 0)


def test_a_running_one_is_stopped_for_good(engine: Engine) -> None:
    name = engine.ok("run", "-d", "--restart", "unless-stopped", "busybox", "sleep", "100")
    engine.ok("stop", "-t", "0", name)
    assert (state(engine, name)["Status"], state(engine, name)["ExitCode"]) == ("exited", 137)
    engine.ok("start", name)
    assert engine.ok("restart", "-t", "0", name) == name
    assert state(engine, name)["Running"] is True
    engine.ok("kill", name)
    assert state(engine, name)["Status"] == "exited"


def removed(cgroup: Path) -> bool:
    """Whether it could be removed: a process that was killed is in it for a while longer."""
    try:
        cgroup.rmdir()
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def test_after_a_boot(make_engine: Callable[..., Engine], token: str) -> None:
    """A boot is imitated by what it does: all processes end, their cgroups are gone, the run root is empty."""
    engine = make_engine()
    engine.import_busybox()
    for policy in ("always", "unless-stopped", "no"):
        engine.ok("run", "-d", "--restart", policy, "--name", policy, "busybox", "sleep", "100")
    engine.ok("run", "-d", "--restart", "unless-stopped", "--name", "stopped", "busybox", "sleep", "100")
    engine.ok("stop", "-t", "0", "stopped")
    engine.stop()
    pids = [json.loads(path.read_text())["pid"] for path in (engine.root / "data/containers").glob("*/state.json")]
    for pid in filter(None, pids):
        monitor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        for one in (monitor, pid):
            os.kill(one, signal.SIGKILL)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in filter(None, pids)))
    leaks.remove_tree(engine.root / "run")
    for hierarchy in leaks.hierarchies():
        for container in (engine.root / "data/containers").iterdir():
            if (cgroup := hierarchy / token / container.name).exists():
                wait_until(lambda empty=cgroup: removed(empty))
    wait_until(lambda: engine.ok("ps", "--format", "{{.Names}}").split() == ["unless-stopped", "always"])
    assert state(engine, "no")["ExitCode"] == 255


@pytest.mark.parametrize(("flags", "words"), [
    (("--rm", "--restart", "always"), "conflicting options: cannot specify both --restart and --rm"),
    (("--restart", "sometimes"), "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', "),
    (("--restart", "always:3"), "invalid restart policy: maximum retry count can only be used with 'on-failure'"),
    (("--restart", "on-failure:x"), "maximum retry count must be an integer"),
    (("--restart", ":3"), "no policy provided before colon"),
])
def test_policies_that_cannot_be(engine: Engine, flags: tuple[str, ...], words: str) -> None:
    said = engine.pydocker("run", *flags, "busybox", "true")
    assert said.code == 125 and words in said.err


def test_a_restart_is_not_the_end_that_run_with_rm_waits_for(engine: Engine, tmp_path: Path) -> None:
    script = "echo run >> /out/runs; while [ ! -e /out/end ]; do sleep 0.05; done; exit 6"
    command = ("run", "--rm", "--name", "again", "-v", f"{tmp_path}:/out", "busybox", "sh", "-c", script)
    with engine.popen(*command) as waiting:
        wait_until(lambda: (tmp_path / "runs").exists())
        engine.ok("restart", "-t", "0", "again")
        wait_until(lambda: (tmp_path / "runs").read_text() == "run\nrun\n")
        assert waiting.poll() is None
        (tmp_path / "end").touch()
        assert waiting.wait() == 6
    assert engine.pydocker("inspect", "again").code == 1
