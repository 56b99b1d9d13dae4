"""`run --dry-run` tells what a run does: compared with the plan of a container that runs."""

import json
import re
import subprocess
import sys

from tests.engine import CHECKOUT, Engine

ID = "0" * 64
FLAGS = ("-m", "64m", "--pids-limit", "50", "--hostname", "web", "--read-only", "-u", "user")
PROGRAM = ("busybox", "sleep", "1000")


def steps(engine: Engine, *flags: str) -> list[dict[str, str]]:
    told = json.loads(engine.ok("run", "--dry-run=json", *flags))
    assert isinstance(told, list)
    return told


def explained(engine: Engine, id: str) -> list[str]:
    """The runtime's plan of the bundle that the running container was made from."""
    _, run = engine.roots
    done = subprocess.run((sys.executable, "-m", "runtime", "--root", run / "runtime", "explain", "--bundle",
                           run / "containers" / id / "bundle", "--format", "json", id),
                          cwd=CHECKOUT, capture_output=True, check=True)
    by_descriptor = re.compile(r"/proc/\d+/fd/\d+")  # where the rehearsal, which has no namespace, names one
    return [by_descriptor.sub(f"/run/netns/{id[:12]}", step["what"]) for step in json.loads(done.stdout)]


def test_what_is_told_is_what_a_run_does(engine: Engine) -> None:
    told = [step["describe"] for step in steps(engine, *FLAGS, *PROGRAM)]
    id = engine.ok("run", "-d", *FLAGS, *PROGRAM)
    begin = told.index(next(what for what in told if what.startswith("compile the seccomp profile")))
    renamed = [what.replace(ID, id).replace(ID[:12], id[:12]) for what in told[begin:-1]]
    assert renamed == explained(engine, id)
    assert told[0] == "make a network namespace" and told[-1].startswith("runtime start")
    assert any(what.startswith("connect the container's eth0") for what in told)


def test_every_step_has_its_reason_its_manual_and_its_command(engine: Engine) -> None:
    told = steps(engine, "-t", "--network", "host", "busybox")
    assert len(told) > 40
    assert all(step["why"] and step["manual"] and step["describe"] and step["shell"] for step in told)


def test_the_text_shows_all_steps_in_order_and_nothing_of_this_rehearsal(engine: Engine) -> None:
    text = engine.ok("run", "--dry-run", *FLAGS, *PROGRAM)
    told = steps(engine, *FLAGS, *PROGRAM)
    positions = [text.index(f"{number:2}. ") for number in range(1, len(told) + 1)]
    assert positions == sorted(positions)
    data, run = engine.roots
    assert f"{run}/runtime/{ID[:12]}/exec.fifo" in text
    assert str(data / "tmp") not in text


def test_the_script_is_one_that_bash_can_read(engine: Engine) -> None:
    script = engine.ok("run", "--dry-run=sh", *FLAGS, *PROGRAM)
    assert script.startswith("#!/bin/bash\n") and "pivot_root" in script
    subprocess.run(("bash", "-n"), input=script.encode(), check=True)


def test_what_a_run_would_refuse_is_refused(engine: Engine) -> None:
    for flags, words in ((("-m", "1m", "busybox"), "Minimum memory limit allowed is 6MB"),
                         (("--pull", "never", "nosuch"), "No such image: nosuch:latest")):
        result = engine.pydocker("run", "--dry-run", *flags)
        assert result.code == 125 and words in result.err
