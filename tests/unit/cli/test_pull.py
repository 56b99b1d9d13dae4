"""A pull as a person sees it: plain lines in a file, lines rewritten in place on a terminal, credentials on the way."""

import base64
import json

from tests.unit.cli.conftest import CommandLine
from tests.unit.client.conftest import answer

STREAM = answer("200 OK", b"""{"status":"Pulling from library/alpine","id":"3.20"}
{"status":"Pulling fs layer","progressDetail":{},"id":"aa"}
{"status":"Downloading","progressDetail":{"current":5,"total":10},"id":"aa"}
{"status":"Pull complete","progressDetail":{},"id":"aa"}
{"status":"Status: Downloaded newer image for alpine:3.20"}
""")
LINES = "3.20: Pulling from library/alpine\naa: Pulling fs layer\naa: Pull complete\n"
STATUS = "Status: Downloaded newer image for alpine:3.20\n"


def test_plain_lines_where_nobody_watches(pydocker: CommandLine) -> None:
    pydocker.server.answers = [STREAM] * 3
    assert pydocker("pull", "alpine:3.20") == (0, LINES + STATUS + "docker.io/library/alpine:3.20\n", "")
    assert pydocker("pull", "-q", "alpine:3.20").out == "docker.io/library/alpine:3.20\n"
    assert pydocker("pull", "alpine").out.startswith("Using default tag: latest\n")
    assert [request.split()[1] for request in pydocker.server.requests] == [
        b"/v1.47/images/create?fromImage=alpine&tag=3.20", b"/v1.47/images/create?fromImage=alpine&tag=3.20",
        b"/v1.47/images/create?fromImage=alpine&tag=latest"]


def test_an_error_at_the_end_of_the_stream(pydocker: CommandLine) -> None:
    pydocker.server.answers = [answer("200 OK", b'{"errorDetail":{"message":"no"},"error":"manifest unknown"}')]
    assert pydocker("pull", "alpine:9") == (1, "", "manifest unknown\n")


def test_run_pulls_what_is_missing_and_creates_again(pydocker: CommandLine) -> None:
    missing = answer("404 Not Found", b'{"message":"No such image: alpine:3.20"}')
    pydocker.server.answers = [missing, STREAM, answer("201 Created", b'{"Id":"abc","Warnings":[]}')]
    said = f"Unable to find image 'alpine:3.20' locally\n{LINES}{STATUS}"
    assert pydocker("create", "alpine:3.20") == (0, "abc\n", said)
    pydocker.server.answers = [missing]
    said = pydocker("create", "--pull", "never", "alpine:3.20")
    assert (said.code, said.err) == (1, "Error response from daemon: No such image: alpine:3.20\n")
    pydocker.server.answers = [STREAM, answer("201 Created", b'{"Id":"abc"}')]
    assert pydocker("create", "--pull", "always", "-q", "alpine:3.20") == (0, "abc\n", "")


def test_what_docker_login_left_is_sent_to_its_registry_only(pydocker: CommandLine) -> None:
    (pydocker.directory / ".docker").mkdir()
    auths = {"localhost:5000": {"auth": "dTpw"}, "https://index.docker.io/v1/": {"auth": "aHVi"}}
    (pydocker.directory / ".docker" / "config.json").write_text(json.dumps({"auths": auths, "other": 1}))
    sent = {}
    for name in ("localhost:5000/a", "alpine", "ghcr.io/a"):
        pydocker.server.answers = [STREAM]
        pydocker("pull", "-q", name)
        headers = pydocker.server.requests[-1].lower()
        sent[name] = b"x-registry-auth" in headers
    assert sent == {"localhost:5000/a": True, "alpine": True, "ghcr.io/a": False}
    header = next(line for line in pydocker.server.requests[0].split(b"\r\n") if line.lower().startswith(b"x-registry"))
    assert json.loads(base64.urlsafe_b64decode(header.split(b": ")[1])) == {"auth": "dTpw"}
    (pydocker.directory / ".docker" / "config.json").write_text("{")
    said = pydocker("pull", "alpine")
    assert said.code == 1
    assert "config.json: " in said.err
