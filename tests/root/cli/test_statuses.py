"""Exit statuses and words for what goes wrong; the same whichever server answers."""

import pytest

from tests.root.cli.conftest import Peer

HINT = "\n\nRun 'pydocker run --help' for more information\n"


@pytest.mark.parametrize(("argv", "code", "word"), [
    (("nosuch",), 127, 'exec: "nosuch": executable file not found in $PATH'),
    (("",), 127, 'exec: "": executable file not found in $PATH'),
    (("/etc/passwd",), 126, "permission denied"),
    (("sh", "-c", "exit 41"), 41, ""),
    (("sh", "-c", "kill -9 $$"), 0, ""),  # pid 1 ignores what it has no handler for, even from itself
])
def test_the_programs_fate(peer: Peer, argv: tuple[str, ...], code: int, word: str) -> None:
    result = peer.run("run", "--rm", "--network", "none", "busybox", *argv)
    assert (result.code, result.out) == (code, "")
    assert word in result.err
    assert not word or (result.err.startswith("pydocker: Error response from daemon: ") and result.err.endswith(HINT))


def test_killed_by_a_signal(peer: Peer) -> None:
    peer.ok("run", "-d", "--network", "none", "--name", "web", "busybox", "sleep", "1000")
    assert peer.ok("kill", "web") == "web"
    assert peer.ok("wait", "web") == "137"


@pytest.mark.parametrize(("argv", "err"), [
    (("-m", "1m", "busybox"), "Minimum memory limit allowed is 6MB"),
    (("--name", "!", "busybox"), "Invalid container name (!), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
    (("--cap-add", "FOO", "busybox"), 'invalid CapAdd: unknown capability: "CAP_FOO"'),
    (("--pull", "never", "nosuch"), "No such image: nosuch:latest"),
    (("-w", "relative", "busybox"), "the working directory 'relative' is invalid, it needs to be an absolute path"),
])
def test_what_the_server_refuses_is_125(peer: Peer, argv: tuple[str, ...], err: str) -> None:
    result = peer.run("run", "--rm", "--network", "none", *argv)
    assert (result.code, result.out, result.err) == (125, "", f"pydocker: Error response from daemon: {err}{HINT}")


def test_a_name_in_use_tells_whose_it_is(peer: Peer) -> None:
    identifier = peer.ok("create", "--network", "none", "--name", "web", "busybox")
    conflict = (f'Error response from daemon: Conflict. The container name "/web" is already in use by container '
                f'"{identifier}". You have to remove (or rename) that container to be able to reuse that name.')
    result = peer.run("create", "--name", "web", "busybox")
    assert (result.code, result.err) == (1, conflict + "\n")
    result = peer.run("run", "--name", "web", "busybox")
    assert (result.code, result.err) == (125, f"pydocker: {conflict}{HINT}")


@pytest.mark.parametrize(("line", "err"), [
    ("stop nope", "Error response from daemon: No such container: nope"),
    ("start nope", "Error response from daemon: No such container: nope\nError: failed to start containers: nope"),
    ("rm z", "Error response from daemon: No such container: z"),
    ("rm nope", "Error response from daemon: No such container: nope"),
    ("wait nope", "Error response from daemon: No such container: nope"),
    ("logs nope", "Error response from daemon: No such container: nope"),
    ("exec nope true", "Error response from daemon: No such container: nope"),
    ("attach nope", "Error response from daemon: No such container: nope"),
    ("rename nope new",
     "Error response from daemon: No such container: nope\nError: failed to rename container named nope"),
    ("inspect nope", "Error: No such object: nope"),
    ("container inspect nope", "Error response from daemon: No such container: nope"),
    ("rmi nope", "Error response from daemon: No such image: nope:latest"),
    ("tag nope x", "Error response from daemon: No such image: nope:latest"),
    ("ps --filter foo=bar", "Error response from daemon: Invalid filter 'foo'"),
])
def test_what_is_not_there(peer: Peer, line: str, err: str) -> None:
    result = peer.run(*line.split())
    assert (result.code, result.err.lower()) == (1, err.lower() + "\n")


def test_exec_says_what_is_wrong_with_the_program(peer: Peer) -> None:
    peer.ok("run", "-d", "--network", "none", "--name", "web", "busybox", "sleep", "1000")
    result = peer.run("exec", "web", "nosuch")
    assert result.code in (126, 127)  # 126: Docker's before 23, for any trouble
    assert 'exec: "nosuch": executable file not found in $PATH' in result.out + result.err
    result = peer.run("exec", "-u", "nosuch", "web", "true")
    assert result.code == 126
    assert "unable to find user nosuch: no matching entries in passwd file" in result.out + result.err
    peer.ok("kill", "web")
    result = peer.run("exec", "web", "true")
    assert result.code == 1
    assert result.err.endswith("is not running\n")


def test_a_container_from_its_creation_to_its_removal(peer: Peer) -> None:
    identifier = peer.ok("run", "-d", "--network", "none", "--name", "web", "-l", "a=b", "busybox", "sleep", "1000")
    assert len(identifier) == 64
    assert peer.ok("ps", "--no-trunc", "--format", "{{.ID}} {{.Image}} {{.Command}} {{.Names}} {{.State}}") == (
        f'{identifier} busybox "sleep 1000" web running')
    assert peer.ok("inspect", "-f", "{{.Id}} {{.State.Running}} {{.Config.Labels}}", "web") == (
        f"{identifier} true map[a:b]")
    assert peer.ok("rename", "web", "db") == ""
    assert peer.run("rm", "db").err.startswith("Error response from daemon: You cannot remove a running container")
    assert peer.ok("stop", "-t", "0", "db") == "db"
    assert peer.ok("ps", "-q") == ""
    assert peer.ok("ps", "-a", "--format", "{{.Names}} {{.Status}}").startswith("db Exited (137) ")
    assert peer.ok("restart", "-t", "0", "db") == "db"
    assert peer.ok("rm", "-f", "db") == "db"
    result = peer.run("rm", "-f", "db")
    assert (result.code, result.out, result.err) == (0, "", "Error response from daemon: No such container: db\n")
