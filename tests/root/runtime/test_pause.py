"""`pause`, `resume`, `ps`: what the kernel's freezer holds, and what the host's ps says of a container."""

import json
import signal

import pytest

from runtime.state import start_time
from tests.waiting import catches, ran, rests, wait_until


@pytest.fixture
def paused(runtime):
    pid = runtime.background("sh", "-c", "while true; do :; done")
    runtime("pause", "c", check=True)
    return pid


def test_a_paused_container_does_not_run_and_says_so(runtime, paused):
    assert runtime.state()["status"] == "paused"
    assert "paused" in runtime("list").stdout
    wait_until(lambda: rests(paused))
    before = ran(paused)
    runtime("resume", "c", check=True)
    assert runtime.state()["status"] == "running"
    wait_until(lambda: ran(paused) != before)


@pytest.mark.parametrize("words, refused", [
    (("pause", "c"), "container not running"),
    (("exec", "c", "true"), "cannot exec in a paused container (use --ignore-paused to override)"),
    (("start", "c"), "cannot start a container in the paused state"),
    (("delete", "c"), "cannot delete container c that is not stopped: paused"),
])
def test_what_a_paused_container_refuses_in_the_words_of_runc(runtime, paused, words, refused):
    done = runtime(*words)
    assert (done.returncode, refused in done.stderr) == (255 if "exec" in words else 1, True), done.stderr


def test_sigkill_ends_a_paused_container(runtime, paused):
    runtime("kill", "c", "KILL", check=True)
    runtime.await_status("stopped")


def test_another_signal_waits_until_it_is_resumed(runtime):
    pid = runtime.background("sh", "-c", "trap 'exit 3' TERM; while true; do sleep 0.01; done")
    wait_until(lambda: catches(pid, signal.SIGTERM))
    runtime("pause", "c", check=True)
    runtime("kill", "c", "TERM", check=True)
    assert runtime.state()["status"] == "paused"
    runtime("resume", "c", check=True)
    runtime.await_status("stopped")


def test_force_deletes_a_paused_container(runtime, paused):
    runtime("delete", "--force", "c", check=True)
    assert start_time(paused) is None, "it may be a zombie, as nobody here is its parent"


def test_only_what_is_paused_can_be_resumed_and_only_what_runs_paused(runtime):
    runtime.background("sleep", "100")
    assert "container not paused" in runtime("resume", "c").stderr
    runtime("kill", "c", "KILL", check=True)
    runtime.await_status("stopped")
    assert "container not running" in runtime("pause", "c").stderr
    assert "container not paused" in runtime("resume", "c").stderr
    assert "container does not exist" in runtime("pause", "nobody").stderr


def test_a_container_that_was_not_started_can_be_paused(runtime):
    runtime.configure("true")
    runtime.create()
    runtime("pause", "c", check=True)
    assert runtime.state()["status"] == "paused"
    runtime("resume", "c", check=True)
    assert runtime.state()["status"] == "created"


def test_ps_lists_the_processes_as_the_host_sees_them(runtime):
    pid = runtime.background("sh", "-c", "sleep 100 & exec sleep 200")
    programs = ("ps", "c", "-o", "pid,args", "-e")

    def begun() -> bool:
        lines = runtime(*programs, check=True).stdout.splitlines()[1:]
        return {line.split(maxsplit=1)[1] for line in lines} == {"sleep 100", "sleep 200"}

    wait_until(begun)  # a child is the shell, until it has become the program
    pids = json.loads(runtime("ps", "--format", "json", "c", check=True).stdout)
    assert pid in pids and len(pids) == 2
    title, *lines = runtime("ps", "c", check=True).stdout.splitlines()
    assert title.split()[:3] == ["UID", "PID", "PPID"]
    assert sorted(int(line.split()[1]) for line in lines) == sorted(pids)


@pytest.mark.parametrize("options, refused", [
    (("-o", "comm"), "couldn't find PID field in ps output"),
    (("--nonsense",), "ps: exit status 1"),
])
def test_ps_options_that_make_no_table_of_processes(runtime, options, refused):
    runtime.background("sleep", "100")
    done = runtime("ps", "c", *options)
    assert (done.returncode, refused in done.stderr, done.stderr.count("\n")) == (1, True, 1), done.stderr
