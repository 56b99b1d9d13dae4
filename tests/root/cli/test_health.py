"""Health checks, of a whole engine: what the monitor finds out, and where it is shown."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine import Engine
from tests.root.containers.room import wait_until


def health(engine: Engine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.ok("inspect", "-f", "{{json .State.Health}}", name))
    return found


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def begin(engine: Engine, *flags: str) -> str:
    return engine.ok("run", "-d", *flags, "busybox", "sleep", "100")


def test_starting_healthy_unhealthy_and_back(engine: Engine, tmp_path: Path) -> None:
    check = "cat /in/well && echo fine >&2"
    name = begin(engine, "--health-cmd", check, "--health-interval", "150ms", "--health-retries", "2",
                 "-v", f"{tmp_path}:/in", "-l", "health=yes", "--health-start-period", "1h",
                 "--health-start-interval", "100ms")
    wait_until(lambda: len(health(engine, name)["Log"]) >= 3)
    found = health(engine, name)
    assert (found["Status"], found["FailingStreak"], found["Log"][0]["ExitCode"]) == ("starting", 0, 1)
    assert "No such file or directory" in found["Log"][0]["Output"]
    assert "(health: starting)" in engine.ok("ps", "--filter", "label=health", "--format", "{{.Status}}")
    (tmp_path / "well").write_text("well\n")
    wait_until(lambda: health(engine, name)["Status"] == "healthy")
    found = health(engine, name)
    assert (found["FailingStreak"], found["Log"][-1]["Output"], len(found["Log"]) <= 5) == (0, "well\nfine\n", True)
    assert engine.ok("ps", "--filter", "label=health", "--format", "{{.Status}}").endswith(" (healthy)")
    assert engine.ok("ps", "--no-trunc", "-q", "--filter", "health=healthy") == name
    (tmp_path / "well").unlink()
    wait_until(lambda: health(engine, name)["Status"] == "unhealthy")
    assert health(engine, name)["FailingStreak"] >= 2
    assert engine.ok("ps", "--filter", "label=health", "--format", "{{.Status}}").endswith(" (unhealthy)")
    assert engine.ok("inspect", "-f", "{{.ExecIDs}}", name) in ("[]", "<no value>", "<nil>")


def test_it_goes_on_without_a_server(engine: Engine, tmp_path: Path) -> None:
    name = begin(engine, "--health-cmd", "echo x >> /in/probes", "--health-interval", "100ms", "-v", f"{tmp_path}:/in")
    monitor = int(Path(f"/proc/{engine.ok('inspect', '-f', '{{.State.Pid}}', name)}/stat").read_text()
                  .rpartition(")")[2].split()[1])
    children = Path(f"/proc/{monitor}/task/{monitor}/children")
    wait_until(lambda: (tmp_path / "probes").exists() and len((tmp_path / "probes").read_text()) >= 6)
    before, descriptors = len((tmp_path / "probes").read_text()), open_files(monitor)
    wait_until(lambda: len((tmp_path / "probes").read_text()) >= before + 20)
    wait_until(lambda: len(children.read_text().split()) <= 3)
    wait_until(lambda: open_files(monitor) <= descriptors)  # as they are between two probes: twenty have left nothing
    engine.ok("stop", "-t", "0", name)
    assert health(engine, name)["Status"] == "unhealthy"  # as Docker has it


def test_what_takes_too_long_is_killed(engine: Engine) -> None:
    name = begin(engine, "--health-cmd", "exec sleep 77", "--health-interval", "100ms", "--health-timeout", "200ms",
                 "--health-retries", "1")
    wait_until(lambda: health(engine, name)["Status"] == "unhealthy")
    result = health(engine, name)["Log"][0]
    assert (result["ExitCode"], result["Output"]) == (-1, "Health check exceeded timeout (0.2s)")
    assert engine.ok("exec", name, "ps").count("sleep 77") <= 1  # that of the next probe, perhaps


def test_a_probe_that_is_due_in_a_hundred_years(engine: Engine) -> None:
    """Longer than one wait of the kernel's can be: the monitor did not survive it, nor did its container."""
    name = begin(engine, "--health-cmd", "true", "--health-interval", "876000h", "--health-start-interval", "876000h")
    assert engine.ok("exec", name, "echo", "works") == "works"
    assert health(engine, name)["Status"] == "starting"


def test_the_images_own(engine: Engine) -> None:
    image = "checked:latest"
    archive = engine.root / "rootfs.tar"
    holder = engine.ok("create", "busybox")
    engine.ok("export", "-o", str(archive), holder)
    engine.ok("import", "-c", 'HEALTHCHECK --interval=100ms --retries=7 CMD ["true"]', str(archive), image)
    name = engine.ok("run", "-d", "--health-timeout", "9s", image, "sleep", "100")
    assert json.loads(engine.ok("inspect", "-f", "{{json .Config.Healthcheck}}", name)) == {
        "Test": ["CMD", "true"], "Interval": 100_000_000, "Timeout": 9_000_000_000, "Retries": 7}
    wait_until(lambda: health(engine, name)["Status"] == "healthy")
    off = engine.ok("run", "-d", "--no-healthcheck", image, "sleep", "100")
    assert engine.ok("inspect", "-f", "{{json .Config.Healthcheck.Test}}", off) == '["NONE"]'
    assert "(health" not in engine.ok("ps", "--filter", f"id={off}", "--format", "{{.Status}}")


@pytest.mark.parametrize(("flags", "words"), [
    (("--no-healthcheck", "--health-cmd", "x"), "--no-healthcheck conflicts with --health-* options"),
    (("--health-cmd", "x", "--health-interval", "1us"), "Interval in Healthcheck cannot be less than 1ms"),
    (("--health-retries", "-1"), "--health-retries cannot be negative"),
    (("--health-timeout", "x"), 'invalid argument "x" for "--health-timeout" flag'),
])
def test_checks_that_cannot_be(engine: Engine, flags: tuple[str, ...], words: str) -> None:
    said = engine.pydocker("run", *flags, "busybox", "true")
    assert said.code == 125 and words in said.err
