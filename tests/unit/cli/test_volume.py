"""`pydocker volume`: what is sent, and what is printed."""

import json

from tests.unit.cli.conftest import CommandLine
from tests.unit.client.conftest import answer

MADE = answer("201 Created", b'{"Name":"kept","Driver":"local"}')


def sent(pydocker: CommandLine, *argv: str) -> dict[str, object]:
    pydocker.server.answers = [MADE]
    assert pydocker("volume", "create", *argv) == (0, "kept\n", "")
    body: dict[str, object] = json.loads(pydocker.server.requests[-1].partition(b"\r\n\r\n")[2])
    return body


def test_create(pydocker: CommandLine) -> None:
    assert sent(pydocker) == {"Name": "", "Driver": "local", "DriverOpts": {}, "Labels": {}}
    assert sent(pydocker, "-d", "x", "--label", "a=b", "-o", "o=addr=1,ro", "kept") == {
        "Name": "kept", "Driver": "x", "DriverOpts": {"o": "addr=1,ro"}, "Labels": {"a": "b"}}
    assert sent(pydocker, "--name", "kept")["Name"] == "kept"  # as it was told before Docker 1.13
    assert "cannot specify a volume-name through both" in pydocker("volume", "create", "--name", "a", "b").err
    assert "--name" not in pydocker("volume", "create", "--help").out
    body = sent(pydocker, "--type", "mount", "--scope", "multi", "--secret", "a=b", "--required-bytes", "1k",
                "--topology-required", "r=1,z=2", "--group", "g", "--sharing", "all", "--availability", "pause",
                "--limit-bytes", "2k", "--topology-preferred", "r=2", "kept")
    assert body["ClusterVolumeSpec"] == {
        "Group": "g", "AccessMode": {"Scope": "multi", "Sharing": "all", "MountVolume": {}}, "Availability": "pause",
        "Secrets": [{"Key": "a", "Secret": "b"}], "CapacityRange": {"RequiredBytes": 1024, "LimitBytes": 2048},
        "AccessibilityRequirements": {"Requisite": [{"Segments": {"r": "1", "z": "2"}}],
                                      "Preferred": [{"Segments": {"r": "2"}}]}}


def test_lists(pydocker: CommandLine) -> None:
    pydocker.server.answers = [answer("200 OK", b'{"Volumes":[{"Name":"b","Driver":"local"},{"Name":"a","Driver":"csi",'
                                      b'"ClusterVolume":{"Spec":{"Group":"g","Availability":"active"}}}]}')] * 3
    assert pydocker("volume", "ls").out == "DRIVER    VOLUME NAME\ncsi       a\nlocal     b\n"
    assert pydocker("volume", "ls", "--cluster").out == (
        "VOLUME NAME   GROUP     DRIVER    AVAILABILITY   STATUS\n"
        "a             g         csi       active         N/A\n")
    assert pydocker("volume", "list", "-q").out == "a\nb\n"
    many = b",".join(b'{"Name":"v%d","Driver":"local"}' % number for number in (10, 9, 1))
    pydocker.server.answers = [answer("200 OK", b'{"Volumes":[' + many + b"]}")]
    assert pydocker("volume", "ls", "-q").out == "v1\nv9\nv10\n"
    pydocker.server.answers = [answer("200 OK", b'{"Volumes":null}')]
    assert pydocker("volume", "ls", "-f", "dangling=true").out == "DRIVER    VOLUME NAME\n"


def test_a_format_of_nothing_is_an_empty_line(pydocker: CommandLine) -> None:
    """And what the server says has no blanks around it."""
    pydocker.server.answers = [answer("404 Not Found", b'{"message":"get x: no such volume "}')]
    assert pydocker("volume", "inspect", "-f", "{{.Name}}", "x") == (
        1, "\n", "Error response from daemon: get x: no such volume\n")


def test_update_is_the_servers_to_refuse(pydocker: CommandLine) -> None:
    pydocker.server.answers = [answer("503 Service Unavailable", b'{"message":"no swarm"}')]
    assert pydocker("volume", "update", "--availability", "drain", "x") == (
        1, "", "Error response from daemon: no swarm\n")
    assert b'{"Spec":{"Availability":"drain"}}' in pydocker.server.requests[-1]
