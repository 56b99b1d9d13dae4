"""What shows and steers containers that run, at both servers: pause, unpause, top, port, events, stats, update."""

import json
import re
import select
import signal
import subprocess
import tarfile
import time
from pathlib import Path

from tests.engine import Engine
from tests.root.cli.conftest import Peer
from tests.waiting import wait_until


def test_pause_and_unpause(peer: Peer) -> None:
    for name in ("one", "two"):
        peer.ok("run", "-d", "--network", "none", "--name", name, "busybox", "sleep", "100")
    both = peer.run("pause", "one", "nope", "two")
    if peer.name == "pydocker":
        assert (both.code, both.out, "No such container: nope" in both.err) == (1, "one\ntwo\n", True)
    else:  # it asks for all at the same time, and may end at the first refusal, before it has asked for the others
        assert both.code == 1
        for name in ("one", "two"):
            peer.run("pause", name)
    assert peer.ok("ps", "--filter", "status=paused", "--format", "{{.Names}} {{.State}}") == "two paused\none paused"
    attached = peer.run("attach", "one")
    assert (attached.code, attached.err) == (1, "You cannot attach to a paused container, unpause it first\n")
    assert peer.ok("unpause", "one") == "one"
    again = peer.run("unpause", "one")
    assert (again.code, again.err.endswith("is not paused\n")) == (1, True)


def test_top(peer: Peer) -> None:
    peer.ok("run", "-d", "--network", "none", "--name", "busy", "busybox", "sleep", "123")
    peer.begun("busy", "sleep 123")
    head, line = peer.ok("top", "busy").splitlines()
    assert head == "UID".ljust(20) + "PID".ljust(20) + "PPID".ljust(20) + "C".ljust(20) + "STIME".ljust(20) + \
        "TTY".ljust(20) + "TIME".ljust(20) + "CMD"
    assert line.endswith("sleep 123")
    assert peer.ok("top", "busy", "-o", "pid,comm").split()[3] == "sleep"
    assert peer.run("top", "busy", "-o", "comm").code == 1


def test_sizes(peer: Peer) -> None:
    """What a container has written: by itself, not what is mounted in it."""
    peer.ok("run", "-d", "--network", "none", "--name", "fat", "--tmpfs", "/t", "busybox", "sh", "-c",
            "dd if=/dev/zero of=/a bs=1M count=2; cp /a /t/b; sleep 100")
    while peer.run("exec", "fat", "test", "-e", "/t/b").code:
        time.sleep(0.05)
    shown = peer.ok("ps", "-s", "--format", "{{.Size}}")
    assert re.fullmatch(r"2\.1MB \(virtual \d\.\d+MB\)", shown)
    assert peer.ok("ps", "--format", "table {{.Size}}").splitlines() == ["SIZE", shown]
    assert peer.ok("ps", "-s").splitlines()[0].endswith("NAMES     SIZE")
    assert peer.ok("ps", "--format", "{{.Names}}") == "fat"
    own, all_ = peer.ok("inspect", "-s", "-f", "{{.SizeRw}} {{.SizeRootFs}}", "fat").split()
    assert (int(own) == 2 << 20, int(all_) > int(own) + 1_000_000) == (True, True)
    assert peer.ok("container", "inspect", "-f", "{{.SizeRw}}", "fat") == "<nil>"
    assert peer.run("inspect", "--type", "image", "fat").code == 1
    said = peer.run("inspect", "--type", "nonsense", "fat").err
    assert said.startswith('unknown type: "nonsense": must be one of "config", "container", ')


def test_unfinished_execs_are_shown(peer: Peer) -> None:
    peer.ok("run", "-d", "--network", "none", "--name", "busy", "busybox", "sleep", "100")
    assert peer.ok("inspect", "-f", "{{len .ExecIDs}}", "busy") == "0"
    peer.ok("exec", "busy", "true")
    peer.ok("exec", "-d", "busy", "sleep", "100")
    wait_until(lambda: peer.ok("inspect", "-f", "{{len .ExecIDs}}", "busy") == "1")  # Docker's takes a moment


def test_port(peer: Peer) -> None:
    peer.ok("create", "--network", "none", "--name", "closed", "busybox", "true")
    assert peer.ok("port", "closed") == ""
    for asked, words in (("80", "Error: No public port '80' published for closed\n"),
                         ("53/udp", "Error: No public port '53/udp' published for closed\n"),
                         ("x", 'Error: invalid port (x): strconv.ParseUint: parsing "x": invalid syntax\n')):
        result = peer.run("port", "closed", asked)
        assert (result.code, result.err) == (1, words)


def test_events_of_the_past(peer: Peer) -> None:
    since = f"{time.time():.9f}"
    id = peer.ok("create", "--network", "none", "--name", "eventful", "-l", "a=b", "busybox", "sh", "-c", "exit 4")
    peer.run("start", "-a", "eventful")
    peer.ok("rm", "eventful")
    peer.ok("tag", "busybox", "another:1")
    peer.ok("rmi", "another:1")
    window = ("events", "--since", since, "--until", "0s")
    lines = [line for line in peer.ok(*window).splitlines() if " network " not in line]
    assert [" ".join(line.split()[1:3]) for line in lines] == [
        "container create", "container attach", "container start", "container die", "container destroy", "image tag",
        "image untag"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) container create " + id
                        + r" \(a=b, image=busybox, name=eventful\)", lines[0])
    assert "exitCode=4" in lines[3]
    chosen = peer.ok(*window, "-f", "container=eventful", "-f", "event=die", "-f", "event=start", "-f", "label=a=b",
                     "--format", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.ID}}")
    assert chosen.splitlines() == [f"container start eventful {id}", f"container die eventful {id}"]
    [shown] = peer.ok(*window, "-f", "type=image", "-f", "event=tag", "--format", "json").splitlines()
    tag = json.loads(shown)
    assert (tag["Type"], tag["status"], tag["Actor"]["Attributes"]) == ("image", "tag", {"name": "another:1"})
    assert peer.run("events", "--since", "yesterday").code == 1


def test_events_of_images(peer: Peer, tmp_path: Path) -> None:
    since = f"{time.time():.9f}"
    archive = tmp_path / "root.tar"
    with tarfile.open(archive, "w") as tar:
        tar.addfile(tarfile.TarInfo("file"))
    id = peer.ok("import", str(archive), "mine:1")
    peer.ok("save", "-o", str(tmp_path / "saved.tar"), "mine:1")
    peer.ok("rmi", "mine:1")
    peer.ok("load", "-i", str(tmp_path / "saved.tar"))
    peer.ok("import", str(archive), "mine:1")  # with another time in it: the first one has lost its name
    peer.ok("image", "prune", "-f")
    peer.ok("rmi", "mine:1")
    peer.ok("container", "prune", "-f")
    shown = peer.ok("events", "--since", since, "--until", "0s", "--format",
                    "{{.Type}} {{.Action}} {{.Actor.ID}} {{json .Actor.Attributes}}")
    told = [line.split(" ", 3) for line in shown.splitlines()]
    assert [action for _, action, of, _ in told if of in (id, "")] == [
        "tag", "import", "save", "untag", "delete", "load", "delete", "prune", "prune"]
    assert (told[0][3], told[1][3]) == ('{"name":"mine:1"}', f'{{"name":"{id}"}}')
    assert all([*json.loads(attributes)] == ["reclaimed"] for _, action, _, attributes in told if action == "prune")


def test_events_of_a_commit(peer: Peer, tmp_path: Path) -> None:
    since = f"{time.time():.9f}"
    peer.ok("create", "--network", "none", "--name", "base", "busybox", "true")
    peer.ok("export", "-o", str(tmp_path / "all.tar"), "base")
    id = peer.ok("commit", "-m", "why", "base", "child:1")
    shown = peer.ok("events", "--since", since, "--until", "0s", "--format", "{{.Action}} {{json .Actor.Attributes}}")
    told = {action: json.loads(attributes) for action, attributes in (line.split(" ", 1)
                                                                      for line in shown.splitlines())}
    assert [*told] == ["create", "export", "tag", "commit"]
    assert told["tag"]["name"] == "child:1"
    assert told["commit"] == {"image": "busybox", "name": "base", "comment": "why", "imageID": id,
                              "imageRef": "child:1"}
    peer.ok("rm", "base")
    peer.ok("rmi", "child:1")


def test_events_as_they_come(peer: Peer) -> None:
    events = peer.popen("events", "-f", "type=container", "--format", "{{.Action}}", stdout=subprocess.PIPE)
    assert events.stdout is not None
    first = ""
    while not first:  # until it listens, nothing is heard
        peer.run("run", "--rm", "--network", "none", "busybox", "true")
        if select.select([events.stdout], [], [], 0.1)[0]:
            first = events.stdout.readline().decode()
    peer.ok("run", "--rm", "--network", "none", "busybox", "true")
    heard = [first.strip()]
    while heard[-5:] != ["create", "attach", "start", "die", "destroy"] or len(heard) < 6:
        heard.append(events.stdout.readline().decode().strip())
    events.send_signal(signal.SIGINT)
    assert events.wait(60) == 130
    events.stdout.close()


def test_events_go_on_after_the_server(fresh_engine: Engine) -> None:
    """A server that is killed takes nothing along: the next one tells of what happened while there was none."""
    fresh_engine.import_busybox()
    fresh_engine.ok("create", "--name", "early", "busybox", "true")
    following = fresh_engine.popen("events", "--since", "10m", "-f", "type=container", "--format",
                                   "{{.Action}} {{.Actor.Attributes.name}}", stdout=subprocess.PIPE)
    assert following.stdout is not None
    assert following.stdout.readline() == b"create early\n"
    fresh_engine.ok("run", "-d", "--name", "late", "busybox", "sh", "-c", "sleep 0.5; exit 3")
    for expected in (b"create late\n", b"start late\n"):
        assert following.stdout.readline() == expected
    fresh_engine.kill()
    assert following.stdout.readline() == b"die late\n"
    fresh_engine.ok("rm", "late", "early")
    assert {following.stdout.readline(), following.stdout.readline()} == {b"destroy late\n", b"destroy early\n"}
    following.send_signal(signal.SIGINT)
    assert following.wait(60) == 130
    following.stdout.close()


def test_stats_once(peer: Peer) -> None:
    id = peer.ok("run", "-d", "--network", "none", "-m", "64m", "--name", "small", "busybox", "sleep", "100")
    peer.begun("small", "sleep 100")
    peer.ok("create", "--network", "none", "--name", "off", "busybox", "true")
    head, line = peer.ok("stats", "--no-stream").splitlines()
    assert re.split(r" {2,}", head.strip()) == ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %",
                                                "NET I/O", "BLOCK I/O", "PIDS"]
    cells = re.split(r" {2,}", line.strip())
    assert (cells[0], cells[1], cells[3].endswith(" / 64MiB"), cells[5], cells[7]) == (id[:12], "small", True,
                                                                                       "0B / 0B", "1")
    format = "{{.Container}} {{.ID}} {{.Name}} {{.PIDs}}"
    shown = peer.ok("stats", "--no-stream", "-a", "--no-trunc", "--format", format)
    rows = [row.split() for row in shown.splitlines()]
    assert [(len(row[1]), *row[2:]) for row in rows] == [(64, "off", "0"), (64, "small", "1")]
    assert peer.ok("stats", "--no-stream", "--format", "{{.Container}} {{.MemUsage}}", "off") == "off 0B / 0B"
    assert json.loads(peer.ok("stats", "--no-stream", "--format", "json", "small"))["Name"] == "small"
    missing = peer.run("stats", "--no-stream", "nope", "small")
    # Docker's client may end before it has printed why.
    assert (missing.code, missing.out, "nope" in missing.err or peer.name == "docker") == (1, "", True)


def test_stats_as_they_change(peer: Peer) -> None:
    """Drawn over itself, with whoever comes and without whoever goes."""
    peer.ok("run", "-d", "--network", "none", "--name", "first", "busybox", "sleep", "100")
    stats = peer.popen("stats", stdout=subprocess.PIPE)
    assert stats.stdout is not None
    seen = b""

    def screen() -> bytes:
        return seen.rpartition(b"\033[H")[2]

    for now, before in ((b"first", b""), (b"second", b""), (b"second", b"first")):
        if now == b"second" and not before:
            peer.ok("run", "-d", "--network", "none", "--name", "second", "busybox", "sleep", "100")
        if before:
            peer.ok("rm", "-f", "first")
        while now not in screen() or (before and before in screen()):
            seen += stats.stdout.read1(4096)
    stats.send_signal(signal.SIGINT)
    assert stats.wait(60) == 130
    stats.stdout.close()


def test_update(peer: Peer) -> None:
    """Several at once; one that fails does not keep the others from it."""
    for name in ("one", "two"):
        peer.ok("run", "-d", "--network", "none", "-m", "64m", "--name", name, "busybox", "sleep", "100")
    some = peer.run("update", "-m", "32m", "--pids-limit", "30", "--restart", "on-failure:3", "one", "nope", "two")
    assert (some.code, some.out, "No such container: nope" in some.err) == (1, "one\ntwo\n", True)
    [shown] = json.loads(peer.ok("inspect", "two"))
    host = shown["HostConfig"]
    assert (host["Memory"], host["PidsLimit"], host["RestartPolicy"]) == (
        32 << 20, 30, {"Name": "on-failure", "MaximumRetryCount": 3})
    for flags, words in (
            ((), "you must provide one or more flags when using this command\n"),
            (("-m", "4m"), "Minimum memory limit allowed is 6MB\n"),
            (("-m", "1g"), "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at "
                           "the same time\n"),
            (("--cpu-quota", "500"), "CPU cfs quota can not be less than 1ms (i.e. 1000)\n"),
            (("--restart", "foo"), "invalid restart policy 'foo'\n"),
            (("--restart", ":3"), "invalid restart policy format: no policy provided before colon\n"),
            (("--restart", "on-failure:x"),
             "invalid restart policy format: maximum retry count must be an integer\n")):
        result = peer.run("update", *flags, "one")
        assert (result.code, result.out, result.err.endswith(words)) == (1, "", True), result
    peer.ok("update", "--restart", "no", "one", "two")
