"""Login, logout, push, search: the client's file in Docker's format, and programs that keep secrets."""

import base64
import json
import os
from pathlib import Path

import pytest

from tests.unit.cli.conftest import CommandLine
from tests.unit.client.conftest import answer

WELCOME = answer("200 OK", b'{"IdentityToken":"","Status":"Login Succeeded"}')
TOKEN = answer("200 OK", b'{"IdentityToken":"later","Status":"Login Succeeded"}')
REFUSED = answer("401 Unauthorized", b'{"message":"Get \\"https://r.test/v2/\\": unauthorized: wrong"}')
PUSHED = answer("200 OK", b"""{"status":"The push refers to repository [docker.io/a/b]"}
{"status":"Pushing","progressDetail":{"current":5,"total":10},"id":"aa"}
{"status":"Pushed","progressDetail":{},"id":"aa"}
{"status":"1: digest: sha256:00 size: 7"}
{"progressDetail":{},"aux":{"Tag":"1","Digest":"sha256:00","Size":7}}
""")
UNENCRYPTED = "WARNING! Your credentials are stored unencrypted in "


def config(pydocker: CommandLine) -> Path:
    return pydocker.directory / ".docker" / "config.json"


def write(pydocker: CommandLine, document: object) -> None:
    config(pydocker).parent.mkdir(exist_ok=True)
    config(pydocker).write_text(json.dumps(document))


def written(pydocker: CommandLine) -> dict[str, object]:
    found: dict[str, object] = json.loads(config(pydocker).read_text())
    return found


def sent(pydocker: CommandLine, at: int = -1) -> dict[str, str]:
    body: dict[str, str] = json.loads(pydocker.server.requests[at].partition(b"\r\n\r\n")[2])
    return body


def authorization(pydocker: CommandLine, at: int = -1) -> dict[str, str] | None:
    lines = pydocker.server.requests[at].split(b"\r\n")
    found = [line.split(b": ")[1] for line in lines if line.lower().startswith(b"x-registry-auth")]
    return json.loads(base64.urlsafe_b64decode(found[0])) if found else None


def test_what_was_verified_is_kept(pydocker: CommandLine) -> None:
    write(pydocker, {"auths": {"other.test": {"auth": "eA=="}}, "psFormat": "x", "HttpHeaders": {"A": "b"}})
    pydocker.server.answers = [WELCOME]
    said = pydocker("login", "-u", "user", "--password-stdin", "https://r.test/v2/", stdin=b"pass:word\r\n")
    assert (said.code, said.out) == (0, "Login Succeeded\n")
    assert said.err.startswith(f"{UNENCRYPTED}{config(pydocker)}.\n")
    assert sent(pydocker) == {"serveraddress": "r.test", "username": "user", "password": "pass:word"}
    auth = base64.b64encode(b"user:pass:word").decode()
    assert written(pydocker) == {"auths": {"other.test": {"auth": "eA=="}, "r.test": {"auth": auth}}, "psFormat": "x",
                                 "HttpHeaders": {"A": "b"}}
    assert config(pydocker).stat().st_mode & 0o777 == 0o600
    assert config(pydocker).read_text().startswith('{\n\t"auths"')
    assert os.listdir(config(pydocker).parent) == ["config.json"]


@pytest.mark.parametrize("server", [[], ["docker.io"], ["https://index.docker.io/v1/"], ["index.docker.io"]])
def test_docker_hub_has_its_old_name(pydocker: CommandLine, server: list[str]) -> None:
    pydocker.server.answers = [WELCOME]
    assert pydocker("login", "-u", "u", "-p", "p", *server).code == 0
    assert list(written(pydocker)["auths"]) == ["https://index.docker.io/v1/"]  # type: ignore[call-overload]
    assert sent(pydocker)["serveraddress"] == "https://index.docker.io/v1/"
    pydocker.server.answers = [PUSHED]
    pydocker("push", "a/b:1")
    assert authorization(pydocker) == {"auth": "dTpw"}
    assert pydocker("logout", *server).out == "Removing login credentials for https://index.docker.io/v1/\n"
    assert written(pydocker) == {"auths": {}}


def test_a_token_is_kept_instead_of_the_password(pydocker: CommandLine) -> None:
    pydocker.server.answers = [TOKEN, PUSHED]
    assert pydocker("login", "-u", "user", "-p", "secret", "r.test").code == 0
    assert written(pydocker) == {"auths": {"r.test": {"auth": "dXNlcjo=", "identitytoken": "later"}}}
    pydocker("push", "r.test/a:1")
    assert authorization(pydocker) == {"auth": "dXNlcjo=", "identitytoken": "later"}


def test_what_was_refused_is_not_kept(pydocker: CommandLine) -> None:
    pydocker.server.answers = [REFUSED]
    said = pydocker("login", "-u", "user", "-p", "secret", "r.test")
    assert (said.code, said.out) == (1, "")
    assert said.err == ("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n"
                        'Error response from daemon: Get "https://r.test/v2/": unauthorized: wrong\n')
    assert not config(pydocker).exists()


@pytest.mark.parametrize(("argv", "words"), [
    (("-u", "u", "-p", "p", "--password-stdin"),
     "conflicting options: cannot specify both --password and --password-stdin"),
    (("-u", "", "--password-stdin"), "username is empty"), (("-u", "u", "-p", ""), "password is empty"),
    (("--password-stdin",), "the --password-stdin option requires --username to be set"),
    (("-u", "u", "--password-stdin"), "Error: Password Required"),
    ((), "Error: Cannot perform an interactive login from a non TTY device"),
    (("-u", "u"), "Error: Cannot perform an interactive login from a non TTY device"),
])
def test_logins_that_cannot_be(pydocker: CommandLine, argv: tuple[str, ...], words: str) -> None:
    said = pydocker("login", *argv, "r.test", stdin=b"\n" if "-u" in argv else b"")
    assert said.code == 1
    assert said.err == f"{words}\n"
    assert not pydocker.server.requests


def test_what_is_kept_already_is_tried_first(pydocker: CommandLine) -> None:
    write(pydocker, {"auths": {"https://r.test/v1/": {"auth": "dTpw"}}})
    pydocker.server.answers = [WELCOME]
    said = pydocker("login", "r.test")
    assert (said.code, said.out) == (0, "Authenticating with existing credentials...\nLogin Succeeded\n")
    assert sent(pydocker) == {"serveraddress": "r.test", "username": "u", "password": "p"}
    pydocker.server.answers = [REFUSED]
    assert pydocker("login", "r.test").code == 1
    assert pydocker("logout", "r.test").out == "Removing login credentials for r.test\n"
    assert pydocker("logout", "r.test").out == "Not logged in to r.test\n"
    assert written(pydocker) == {"auths": {}}


@pytest.mark.parametrize("server", ["http://", "https:///x", "user@r.test", "https://user:secret@r.test/", "a b"])
def test_addresses_that_are_none(pydocker: CommandLine, server: str) -> None:
    for argv in (("login", "-u", "u", "--password-stdin"), ("logout",)):
        said = pydocker(*argv, server, stdin=b"p")
        assert (said.code, "is no address of a registry" in said.err) == (1, True)
    assert not pydocker.server.requests


def test_a_link_stays_one(pydocker: CommandLine) -> None:
    config(pydocker).parent.mkdir()
    elsewhere = pydocker.directory / "elsewhere.json"
    config(pydocker).symlink_to(elsewhere)
    pydocker.server.answers = [WELCOME]
    pydocker("login", "-u", "u", "-p", "p", "r.test")
    assert config(pydocker).is_symlink()
    assert "r.test" in elsewhere.read_text()


def test_a_damaged_file_is_named_and_left_alone(pydocker: CommandLine) -> None:
    write(pydocker, {})
    config(pydocker).write_text("{nonsense")
    for argv in (("login", "-u", "u", "-p", "p", "r.test"), ("logout", "r.test"), ("push", "r.test/a")):
        said = pydocker(*argv)
        assert (said.code, "config.json: " in said.err) == (1, True)
    assert config(pydocker).read_text() == "{nonsense"


HELPER = """#!/bin/sh
# keeps everything in one file per registry, and notes what it was asked
echo "$1" >> "$STORE/asked"
case $1 in
    store) cat > "$STORE/new"; name=$(sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/' "$STORE/new" | tr / _)
           mv "$STORE/new" "$STORE/$name.json" ;;
    get)   name=$(tr / _); cat "$STORE/$name.json" 2>/dev/null ||
           { echo "credentials not found in native keychain"; exit 1; } ;;
    erase) rm "$STORE/$(tr / _).json" ;;
    list)  echo '{"r.test": "user"}' ;;
esac
"""


@pytest.fixture
def store(pydocker: CommandLine) -> Path:
    """Where docker-credential-test keeps its secrets; it is in PATH."""
    programs, store = pydocker.directory / "bin", pydocker.directory / "store"
    programs.mkdir()
    store.mkdir()
    for name, text in (("test", HELPER), ("broken", "#!/bin/sh\necho no keyring here\nexit 1\n"),
                       ("liar", "#!/bin/sh\necho junk\n")):
        (programs / f"docker-credential-{name}").write_text(text)
        (programs / f"docker-credential-{name}").chmod(0o755)
    pydocker.environment |= {"PATH": f"{programs}:{os.environ['PATH']}", "STORE": str(store)}
    return store


def test_a_helper_keeps_the_secret(pydocker: CommandLine, store: Path) -> None:
    write(pydocker, {"credsStore": "test"})
    pydocker.server.answers = [WELCOME, PUSHED, PUSHED]
    said = pydocker("login", "-u", "user", "-p", "secret", "r.test")
    assert (said.code, UNENCRYPTED in said.err) == (0, False)
    assert json.loads((store / "r.test.json").read_text()) == {
        "ServerURL": "r.test", "Username": "user", "Secret": "secret"}
    assert written(pydocker) == {"credsStore": "test", "auths": {"r.test": {}}}
    pydocker("push", "r.test/a:1")
    assert authorization(pydocker) == {"username": "user", "password": "secret"}
    pydocker("push", "other.test/a:1")
    assert authorization(pydocker) == {}
    assert pydocker("logout", "r.test").out == "Removing login credentials for r.test\n"
    assert not (store / "r.test.json").exists()
    assert written(pydocker) == {"credsStore": "test", "auths": {}}
    assert pydocker("logout", "r.test").out == "Not logged in to r.test\nLogged in to: r.test\n"  # it lists a constant
    assert (store / "asked").read_text().split() == ["store", "get", "get", "get", "erase", "get", "list"]


def test_a_misspelt_registry_and_those_that_there_are(pydocker: CommandLine) -> None:
    write(pydocker, {"auths": {"r.test": {"auth": "dTpw"}, "https://index.docker.io/v1/": {"auth": "dTpw"}}})
    assert pydocker("logout", "r.tset").out == (
        "Not logged in to r.tset\nLogged in to: https://index.docker.io/v1/, r.test\n")


def test_a_helper_keeps_a_token(pydocker: CommandLine, store: Path) -> None:
    write(pydocker, {"credHelpers": {"r.test": "test"}})
    pydocker.server.answers = [TOKEN, PUSHED, WELCOME]
    pydocker("login", "-u", "user", "-p", "secret", "r.test")
    assert json.loads((store / "r.test.json").read_text())["Username"] == "<token>"
    pydocker("push", "r.test/a:1")
    assert authorization(pydocker) == {"identitytoken": "later"}
    assert pydocker("login", "r.test").out.endswith("Login Succeeded\n")
    assert sent(pydocker) == {"serveraddress": "r.test", "identitytoken": "later"}


def test_a_helper_is_for_its_registry_only(pydocker: CommandLine, store: Path) -> None:
    write(pydocker, {"credHelpers": {"other.test": "test"}, "auths": {"r.test": {"auth": "dTpw"}}})
    pydocker.server.answers = [PUSHED]
    pydocker("push", "r.test/a:1")
    assert authorization(pydocker) == {"auth": "dTpw"}
    assert not (store / "asked").exists()


@pytest.mark.parametrize(("helper", "words"), [
    ("nosuch", 'exec: "docker-credential-nosuch": executable file not found in $PATH'),
    ("broken", "docker-credential-broken get: no keyring here"),
    ("liar", "docker-credential-liar get: not what a credential helper says"),
])
def test_a_helper_that_fails_costs_its_credentials_only(
    pydocker: CommandLine, store: Path, helper: str, words: str
) -> None:
    write(pydocker, {"credsStore": helper})
    pydocker.server.answers = [PUSHED]
    said = pydocker("push", "r.test/a:1")
    assert said.code == 0
    assert said.err.startswith(f"WARNING: error getting credentials for r.test: {words}")
    assert authorization(pydocker) == {}


def test_a_helper_that_fails_keeps_nothing(pydocker: CommandLine, store: Path) -> None:
    write(pydocker, {"credsStore": "broken"})
    pydocker.server.answers = [WELCOME]
    said = pydocker("login", "-u", "user", "-p", "secret", "r.test")
    assert said.code == 1
    assert said.err.endswith("docker-credential-broken store: no keyring here\n") or "get: no keyring here" in said.err
    assert written(pydocker) == {"credsStore": "broken"}


def test_what_a_push_prints(pydocker: CommandLine) -> None:
    pydocker.server.answers = [PUSHED] * 4
    lines = ("The push refers to repository [docker.io/a/b]\naa: Pushed\n1: digest: sha256:00 size: 7\n")
    assert pydocker("push", "a/b:1") == (0, lines, "")
    assert pydocker("push", "a/b") == (0, f"Using default tag: latest\n{lines}", "")
    assert pydocker("image", "push", "-q", "a/b:1") == (0, "docker.io/a/b:1\n", "")
    assert pydocker("push", "-a", "--platform", "linux/arm64", "a/b") == (0, lines, "")
    assert [request.split()[1] for request in pydocker.server.requests] == [
        b"/v1.47/images/a/b/push?tag=1", b"/v1.47/images/a/b/push?tag=latest", b"/v1.47/images/a/b/push?tag=1",
        b"/v1.47/images/a/b/push?platform=%7B%22os%22:%22linux%22%2C%22architecture%22:%22arm64%22%7D"]
    pydocker.server.answers = [answer("200 OK", b'{"errorDetail":{"message":"no"},"error":"denied"}')]
    assert pydocker("push", "a/b:1") == (1, "", "denied\n")


@pytest.mark.parametrize(("argv", "words"), [
    (("push", "-a", "a/b:1"), "tag can't be used with --all-tags/-a"),
    (("pull", "-a", "a/b:1"), "tag can't be used with --all-tags/-a"),
    (("push", f"a/b@sha256:{'0' * 64}"), "cannot push a digest reference"),
    (("push", "a/B"), "invalid reference format: repository name (a/B) must be lowercase"),
    (("push", "--platform", "a/b/c/d", "a/b"), '"a/b/c/d": cannot parse platform specifier'),
])
def test_what_cannot_be_pushed(pydocker: CommandLine, argv: tuple[str, ...], words: str) -> None:
    said = pydocker(*argv)
    assert (said.code, words in said.err) == (1, True)
    assert not pydocker.server.requests


def test_every_tag_of_a_repository(pydocker: CommandLine) -> None:
    pydocker.server.answers = [answer("200 OK", b'{"status":"Pulling from a/b","id":"1"}\n')]
    assert pydocker("pull", "-a", "a/b") == (0, "1: Pulling from a/b\ndocker.io/a/b\n", "")
    assert pydocker.server.requests[-1].split()[1] == b"/v1.47/images/create?fromImage=a%2Fb"


def test_a_search_as_a_table(pydocker: CommandLine) -> None:
    found = [{"name": "one", "description": "x" * 60, "star_count": 3}, {
        "name": "two", "description": "a\nb", "star_count": 9, "is_official": True}]
    pydocker.server.answers = [answer("200 OK", json.dumps(found).encode())] * 3
    assert pydocker("search", "--limit", "5", "-f", "stars=3", "app").out == (
        "NAME      DESCRIPTION                                     STARS     OFFICIAL\n"
        "two       a b                                             9         [OK]\n"
        f"one       {'x' * 44}…   3         \n")
    assert pydocker.server.requests[-1].split()[1] == (
        b"/v1.47/images/search?term=app&limit=5&filters=%7B%22stars%22:%7B%223%22:true%7D%7D")
    assert "x" * 60 in pydocker("search", "--no-trunc", "app").out
    assert pydocker("search", "--format", "{{.Name}} {{.StarCount}}", "app").out == "two 9\none 3\n"
