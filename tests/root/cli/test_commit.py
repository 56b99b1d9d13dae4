"""`commit` against both servers: what the new image has, and that it runs."""

import json
import tarfile
from typing import Any

from tests.engine import Engine
from tests.root.cli.conftest import Peer
from tests.waiting import wait_until

RUN = ("run", "--network", "none")
CHANGES = (
    'CMD ["cat", "/made"]', "ENTRYPOINT []", "ENV A=1 B=two", "EXPOSE 80", "LABEL by=hand", "USER 1000", "VOLUME /v",
    "WORKDIR /made-dir", "ONBUILD RUN true",
    "HEALTHCHECK --interval=5s --retries=2 CMD test -e /made")


def inspected(peer: Peer, name: str) -> dict[str, Any]:
    [found] = json.loads(peer.ok("image", "inspect", name))
    return found  # type: ignore[no-any-return]


def test_a_container_becomes_an_image(peer: Peer) -> None:
    peer.ok(*RUN, "--name", "box", "-e", "C=3", "busybox", "sh", "-c",
            "echo made > /made; rm /etc/group; rm -r /var; mkdir /var; chmod 700 /root; mkfifo /pipe; ln /made /twin")
    # Debian's Docker has not yet learnt STOPSIGNAL here
    changes = CHANGES if peer.name == "docker" else (*CHANGES, "STOPSIGNAL SIGINT")
    flags = [word for change in changes for word in ("-c", change)]
    id = peer.ok("commit", "-a", "somebody", "-m", "a message", *flags, "box", "made:one")
    found = inspected(peer, "made:one")
    assert (found["Id"], found["Author"], found["Comment"]) == (id, "somebody", "a message")
    config = found["Config"]
    assert {key: config[key] for key in ("Cmd", "ExposedPorts", "Labels", "User", "WorkingDir", "OnBuild",
                                         "Volumes")} == {
        "Cmd": ["cat", "/made"], "ExposedPorts": {"80/tcp": {}}, "Labels": {"by": "hand"}, "User": "1000",
        "WorkingDir": "/made-dir", "OnBuild": ["RUN true"], "Volumes": {"/v": {}}}
    assert {"A=1", "B=two", "C=3"} <= set(config["Env"])
    assert config.get("StopSignal") == (None if peer.name == "docker" else "SIGINT")
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "test -e /made"], "Interval": 5_000_000_000, "Retries": 2}
    layers = [inspected(peer, name)["RootFS"]["Layers"] for name in ("busybox", "made:one")]
    assert layers[1][:-1] == layers[0] and len(layers[1]) == 2
    peer.ok("rm", "box")
    assert peer.ok(*RUN, "--rm", "-u", "0", "made:one") == "made"
    seen = peer.ok(*RUN, "--rm", "-u", "0", "made:one", "sh", "-c",
                   "ls -A /etc /var; stat -c %a /root; test -p /pipe && stat -c %h /made; pwd; echo $A$B$C")
    assert seen.endswith("/var:\n700\n2\n/made-dir\n1two3") and "passwd" in seen
    assert "group" not in seen.split()
    peer.ok("rmi", "made:one")


def test_what_runs_is_held_still_and_goes_on(peer: Peer) -> None:
    peer.ok(*RUN, "-d", "--name", "box", "busybox", "sh", "-c", "echo up > /up; sleep 1000")
    wait_until(lambda: peer.run("exec", "box", "test", "-s", "/up").code == 0)
    peer.ok("commit", "box", "live")
    peer.ok("commit", "--pause=false", "box", "live:two")
    assert peer.ok("ps", "--format", "{{.Status}}").startswith("Up") and "Paused" not in peer.ok("ps")
    assert peer.ok(*RUN, "--rm", "live", "cat", "/up") == peer.ok(*RUN, "--rm", "live:two", "cat", "/up") == "up"
    peer.ok("pause", "box")
    peer.ok("commit", "box", "live:three")
    assert "(Paused)" in peer.ok("ps")
    peer.ok("rm", "-f", "box")
    peer.ok("rmi", "live", "live:two", "live:three")


def test_nothing_changed_is_no_layer(peer: Peer) -> None:
    peer.ok(*RUN, "--name", "box", "busybox", "true")
    peer.ok("commit", "box", "same")
    assert inspected(peer, "same")["RootFS"] == inspected(peer, "busybox")["RootFS"]
    peer.ok("rm", "box")
    peer.ok("rmi", "same")


def test_refused(peer: Peer) -> None:
    peer.ok("create", "--network", "none", "--name", "box", "busybox")
    for argv, told in (
        (("nothing",), "No such container: nothing"),
        (("-c", "FROM x", "box"), "from is not a valid change command"),
        (("-c", "ONBUILD ONBUILD RUN x", "box"), "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        (("-c", "HEALTHCHECK SHELL x", "box"), "in HEALTHCHECK (try CMD)"),
        (("box", "UPPER"), "must be lowercase"),
        (("box", "sha256:x"), "refusing to create an ambiguous tag using digest algorithm as name"),
    ):
        failed = peer.run("commit", *argv)
        assert failed.code == 1 and told in failed.err, (argv, failed)
    peer.ok("rm", "box")


def test_the_layer_is_what_was_changed(engine: Engine) -> None:
    """Committed, saved, loaded elsewhere: unpacked it gives the same files, times to the nanosecond included."""
    engine.ok("run", "--name", "box", "busybox", "sh", "-c", "mkdir -p /a/b; echo x > /a/b/c; rm -r /var /etc/group")
    before = files(engine, "box")
    engine.ok("commit", "box", "layered")
    engine.ok("create", "--name", "again", "layered")
    assert files(engine, "again") == before
    assert engine.ok("diff", "again") == ""
    engine.ok("system", "check")


def files(engine: Engine, container: str) -> dict[str, dict[str, Any]]:
    """All that an archive says of each, but for what every start makes."""
    path = engine.root / "whole.tar"
    engine.ok("export", "-o", str(path), container)
    with tarfile.open(path) as archive:
        found = {member.name: {**member.get_info(), **member.pax_headers} for member in archive}
    path.unlink()
    return {name: said for name, said in found.items() if name not in ("etc", "etc/hosts", "etc/hostname",
                                                                       "etc/resolv.conf")}


def test_events(engine: Engine) -> None:
    engine.ok("create", "--name", "tellbox", "busybox")
    engine.ok("cp", "tellbox:/etc/passwd", "-")
    engine.ok("cp", "-", "tellbox:tmp", input="\0" * 1024)
    engine.ok("export", "-o", str(engine.root / "exported"), "tellbox")
    (engine.root / "exported").unlink()
    id = engine.ok("commit", "-m", "why", "tellbox", "told:1")
    lines = engine.ok("events", "--since", "1h", "--until", "0s", "--filter", "container=tellbox",
                      "--format", "{{json .}}").splitlines()
    told = [json.loads(line) for line in lines]
    assert [one["Action"] for one in told] == ["create", "archive-path", "extract-to-dir", "export", "commit"]
    attributes = told[-1]["Actor"]["Attributes"]
    assert (attributes["comment"], attributes["imageID"], attributes["imageRef"]) == (
        "why", id, "told:1")
