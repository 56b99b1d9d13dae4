"""Streams without a terminal: stdout apart from stderr, stdin to its end, large amounts, signals sent on, logs."""

import hashlib
import os
import signal
import subprocess

import pytest

from tests.root.cli.conftest import Peer
from tests.waiting import wait_until

RUN = ("run", "--rm", "--network", "none")


def test_stdout_and_stderr_stay_apart(peer: Peer) -> None:
    result = peer.run(*RUN, "busybox", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (result.code, result.out, result.err) == (3, "out\n", "err\n")


def test_stdin_reaches_the_program_and_ends(peer: Peer) -> None:
    assert peer.run(*RUN, "-i", "busybox", "cat", input="one\ntwo\n").out == "one\ntwo\n"
    assert peer.run(*RUN, "busybox", "cat", input="nobody asked").out == ""


def test_megabytes_both_ways_at_once(peer: Peer) -> None:
    """A program that answers while it reads: whoever only writes first would wait for ever."""
    data = os.urandom(6 * 1024 * 1024)
    with peer.popen(*RUN, "-i", "busybox", "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as command:
        out, _ = command.communicate(data, timeout=60)
    assert command.returncode == 0
    assert hashlib.sha256(out).digest() == hashlib.sha256(data).digest()


def test_only_the_streams_that_were_asked_for(peer: Peer) -> None:
    result = peer.run(*RUN, "-a", "stderr", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (result.out, result.err) == ("", "err\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_are_sent_on(peer: Peer, number: signal.Signals) -> None:
    script = f'trap "exit 9" {number.name.removeprefix("SIG")}; echo ready; while :; do sleep 0.1; done'
    with peer.popen(*RUN, "busybox", "sh", "-c", script, stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == b"ready\n"
        command.send_signal(number)
        assert command.wait(60) == 9


def test_exec_streams_and_statuses(peer: Peer) -> None:
    peer.ok("run", "-d", "--network", "none", "--name", "web", "busybox", "sleep", "1000")
    result = peer.run("exec", "web", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (result.code, result.out, result.err) == (3, "out\n", "err\n")
    assert peer.run("exec", "-i", "web", "cat", input="to the end").out == "to the end"
    assert peer.run("exec", "-e", "A=b", "-w", "/etc", "web", "sh", "-c", "echo $A $PWD").out == "b /etc\n"
    assert peer.run("exec", "-d", "web", "touch", "/etc/done").out == ""


def test_logs_tell_what_was_said(peer: Peer) -> None:
    script = "echo one; echo two >&2; while [ ! -e /heard ]; do sleep 0.1; done; echo 3"
    peer.ok("run", "-d", "--network", "none", "--name", "web", "busybox", "sh", "-c", script)
    wait_until(lambda: peer.run("logs", "web").err == "two\n")  # which stream was first, nobody knows
    peer.ok("exec", "web", "touch", "/heard")
    peer.ok("wait", "web")
    result = peer.run("logs", "web")
    assert (result.out, result.err) == ("one\n3\n", "two\n")
    assert peer.run("logs", "--tail", "1", "web").out == "3\n"
    assert peer.run("logs", "--tail", "-1", "web").out == "one\n3\n"
    assert peer.run("logs", "--since", "1h", "--until", "30m", "web").out == ""
    stamp, _, text = peer.run("logs", "-t", "web").out.splitlines()[0].partition(" ")
    assert text == "one"
    assert stamp.endswith("Z")


def test_logs_follow_until_the_end(peer: Peer) -> None:
    peer.ok("run", "-d", "--network", "none", "--name", "web", "busybox", "sh", "-c", "echo 1; sleep 1; echo 2")
    assert peer.run("logs", "-f", "web").out == "1\n2\n"


def test_attach_gets_what_comes_and_the_status(peer: Peer) -> None:
    script = "read x; echo got $x; exit 6"
    peer.ok("run", "-d", "-i", "--network", "none", "--name", "web", "busybox", "sh", "-c", script)
    # Not to the end of its input: Docker's server takes that for the end of the whole attachment.
    with peer.popen("attach", "web", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as command:
        assert command.stdin is not None and command.stdout is not None
        command.stdin.write(b"this\n")
        command.stdin.flush()
        assert command.stdout.read() == b"got this\n"
        assert command.wait(60) == 6
    result = peer.run("attach", "web")
    assert (result.code, result.err) == (1, "You cannot attach to a stopped container, start it first\n")
