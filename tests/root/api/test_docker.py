"""The real docker client works for what the engine can do, as it does against Docker's own daemon."""

import json
import subprocess
import tempfile
import time
from pathlib import Path

from tests.engine import Engine
from tests.peers.layout import Layout, archive
from tests.peers.registry import Registry
from tests.root.api.conftest import Docker
from tests.waiting import wait_until


def test_version_info_and_images(docker: Docker) -> None:
    assert "Server: pydocker" in docker.ok("version")
    assert "Storage Driver: overlay2" in docker.ok("info")
    assert docker.ok("images", "--format", "{{.Repository}}:{{.Tag}}") == "busybox:latest"
    [image] = json.loads(docker.ok("inspect", "busybox"))
    assert image["Config"]["Cmd"] == ["sh"]


def test_run_in_the_foreground(docker: Docker) -> None:
    result = docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.code, result.out, result.err) == (7, "out\n", "err\n")
    assert docker.ok("ps", "-aq") == ""


def test_run_with_input(docker: Docker) -> None:
    text = "".join(f"line {number}\n" for number in range(50_000))
    assert docker.ok("run", "-i", "--rm", "busybox", "cat", input=text) == text.rstrip("\n")


def test_what_is_said_at_once_is_never_missed(docker: Docker) -> None:
    for number in range(10):
        assert docker.ok("run", "--rm", "busybox", "echo", str(number)) == str(number)


def test_programs_that_cannot_be_run(docker: Docker) -> None:
    missing = docker("run", "--rm", "busybox", "nosuch")
    assert (missing.code, "executable file not found in $PATH" in missing.err) == (127, True)
    closed = docker("run", "--rm", "busybox", "/etc/passwd")
    assert (closed.code, "permission denied" in closed.err) == (126, True)
    assert docker.ok("ps", "-aq") == ""


def test_limits_and_environment(docker: Docker) -> None:
    name = docker.ok("run", "-d", "-m", "64m", "-e", "A=b", "--hostname", "web", "-l", "k=v", "--user", "1000",
                     "busybox", "sleep", "100")
    [shown] = json.loads(docker.ok("inspect", name))
    assert (shown["HostConfig"]["Memory"], shown["Config"]["Hostname"], shown["Config"]["Labels"]) == (
        64 << 20, "web", {"k": "v"})
    assert docker.ok("exec", name, "sh", "-c", "echo $A $(hostname) $(id -u)") == "b web 1000"
    small = docker("run", "--rm", "-m", "4m", "busybox", "true")
    assert (small.code, "Minimum memory limit" in small.err) == (125, True)


def test_the_life_of_a_container(docker: Docker) -> None:
    script = 'trap "exit 5" TERM; echo started; while :; do sleep 0.1; done'
    id = docker.ok("run", "-d", "--name", "web", "busybox", "sh", "-c", script)
    assert docker.ok("ps", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}}") == f"{id} web running"
    wait_until(lambda: docker.ok("logs", "web") == "started")
    taken = docker("run", "--name", "web", "busybox", "true")
    assert (taken.code, "already in use by container" in taken.err) == (125, True)
    assert docker.ok("exec", "web", "cat", "/proc/1/comm") == "sh"
    assert docker("exec", "web", "sh", "-c", "exit 9").code == 9
    assert docker("exec", "web", "nosuch").code == 127
    assert docker.ok("exec", "-i", "web", "cat", input="in\n") == "in"
    assert "cannot remove" in docker("rm", "web").err
    assert docker.ok("stop", "-t", "60", "web") == "web"
    assert docker.ok("stop", "web") == "web"
    assert docker.ok("wait", "web") == "5"
    assert "Exited (5)" in docker.ok("ps", "-a")
    assert docker.ok("start", "web") == "web"
    assert docker.ok("logs", "web") in ("started\nstarted", "started")  # the second word may still be to come
    assert docker.ok("kill", "web") == "web"
    assert docker.ok("wait", "web") == "137"
    assert docker.ok("rename", "web", "shop") == ""
    assert docker.ok("rm", "shop") == "shop"
    assert "No such container: shop" in docker("stop", "shop").err


def test_logs_are_followed_to_the_end(docker: Docker) -> None:
    name = docker.ok("run", "-d", "busybox", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.3; done")
    assert docker.ok("logs", "-f", name) == "1\n2\n3"
    assert docker.ok("logs", "--tail", "1", name) == "3"
    assert docker.ok("logs", "-t", name).split()[0].startswith("20")
    assert docker.ok("logs", "--since", "2099-01-01T00:00:00Z", name) == ""


def test_a_wait_for_a_running_one(docker: Docker) -> None:
    name = docker.ok("run", "-d", "busybox", "sh", "-c", "sleep 0.5; exit 3")
    assert docker.ok("wait", name) == "3"


def test_attach_and_start_attached(docker: Docker) -> None:
    name = docker.ok("run", "-d", "-i", "busybox", "sh", "-c", "read line; echo got $line; exit 4")
    attached = docker("attach", name, input="it\n")
    assert (attached.code, attached.out) == (4, "got it\n")
    made = docker.ok("create", "-i", "busybox", "cat")
    assert docker.ok("start", "-ai", made, input="hello") == "hello"


def test_a_terminal(docker: Docker) -> None:
    script = ('until stty size 2>/dev/null | grep -v "^0 0"; do sleep 0.1; done; '
              'read word; echo "got $word"; trap "stty size; exit 7" WINCH; echo rea""dy; '
              "while :; do sleep 0.1; done")
    with docker.terminal("run", "-it", "--rm", "busybox", "sh", "-c", script, rows=31, columns=97) as it:
        it.expect("31 97")
        it.type("first\n")
        it.expect("got first")
        it.expect("ready")
        it.resize(41, 107)
        it.expect("41 107")
        assert it.end() == 7


def test_keys_and_letting_go(docker: Docker) -> None:
    with docker.terminal("run", "-it", "--name", "kept", "busybox", "sh") as it:
        it.type("echo he''re\n")
        it.expect("here")
        it.type("sh -c 'trap \"exit 1\" INT; echo wai\"\"ting; while :; do sleep 0.1; done'\n")
        it.expect("waiting")
        it.type("\x03")
        it.type("echo interrup''ted\n")
        it.expect("interrupted")
        it.type("\x10\x11")
        assert it.end() in (0, 1)
    assert docker.ok("ps", "--format", "{{.Names}}") == "kept"
    with docker.terminal("exec", "-it", "kept", "sh", "-c", "tty; exit 6") as it:
        it.expect("/dev/pts/")
        assert it.end() == 6


def test_many_at_a_time(docker: Docker) -> None:
    environment = docker.engine.environment | {"DOCKER_HOST": docker.engine.host}
    running = [subprocess.Popen([docker.client, "run", "--rm", "busybox", "sh", "-c", f"echo {number}; exit {number}"],
                                env=environment, stdout=subprocess.PIPE, text=True) for number in range(10)]
    for number, process in enumerate(running):
        out, _ = process.communicate(timeout=60)
        assert (out, process.returncode) == (f"{number}\n", number)


def test_pull_run_and_remove(docker: Docker, registry: Registry, session_directory: Path) -> None:
    layout = Layout(Path(tempfile.mkdtemp(dir=session_directory)))
    binary = Path("/bin/busybox").read_bytes()
    image = layout.image([archive({"busybox": binary})], Cmd=["/busybox", "echo", "pulled"])
    registry.push(layout.tag("x", image), "some/it:1")
    name = registry.name("some/it:1")
    unknown = docker("run", "--rm", registry.name("some/other"))
    assert unknown.code == 125
    assert "manifest unknown" in unknown.err or "not found" in unknown.err
    first = docker.ok("pull", name)
    assert f"Status: Downloaded newer image for {name}" in first
    assert f"Status: Image is up to date for {name}" in docker.ok("pull", name)
    assert docker.ok("image", "inspect", "-f", "{{index .RepoTags 0}}", name) == name
    assert f"Untagged: {name}" in docker.ok("rmi", name)
    assert "No such image" in docker("rmi", name).err


def test_tags_and_image_use(docker: Docker, engine: Engine) -> None:
    docker.ok("tag", "busybox", "other:1")
    used = docker.ok("create", "other:1", "true")
    refused = docker("rmi", "other:1")
    assert refused.code in (0, 1)
    docker.ok("rm", used)
    if refused.code:
        docker.ok("rmi", "other:1")
    assert docker.ok("images", "-q", "other") == ""


def test_names_are_the_ones_that_are_meant(docker: Docker) -> None:
    for tag in ("b", "a"):
        docker.ok("tag", "busybox", f"named:{tag}")
    shown = ("--format", "{{.Repository}}:{{.Tag}}")
    assert docker.ok("images", *shown, "named:b") == "named:b"
    assert docker.ok("images", *shown, "named") == "named:a\nnamed:b"
    used = docker.ok("create", "named:a", "true")
    assert docker.ok("ps", "-a", "--format", "{{.Image}}") == "named:a"
    docker.ok("rmi", "named:a", "named:b")
    assert docker.ok("ps", "-a", "--format", "{{.Image}}") == docker.ok("images", "-q", "busybox")
    docker.ok("rm", used)


def test_errors_in_dockers_words(docker: Docker) -> None:
    assert "No such container: nothing" in docker("logs", "nothing").err
    assert "No such object: nothing" in docker("inspect", "nothing").err
    mounted = docker("run", "--volume-driver", "nodriver", "-v", "data:/b", "busybox", "true")
    assert (mounted.code, 'volume plugin nodriver: plugin "nodriver" not found' in mounted.err) == (125, True)
    assert docker("run", "--network", "nowhere", "busybox", "true").code == 125


def test_pause_and_top(docker: Docker) -> None:
    docker.ok("run", "-d", "--name", "still", "busybox", "sleep", "100")
    assert docker.ok("pause", "still") == "still"
    assert "(Paused)" in docker.ok("ps", "--filter", "status=paused", "--format", "{{.Status}}")
    assert "Paused: 1" in docker.ok("info")
    refused = docker("exec", "still", "true")
    assert (refused.code, "unpause the container before exec" in refused.err) == (1, True)
    assert docker.ok("unpause", "still") == "still"
    assert docker("unpause", "still").code == 1
    assert docker.ok("top", "still", "-o", "pid,args").split()[:2] == ["PID", "COMMAND"]
    assert docker.ok("port", "still") == ""
    assert docker("port", "still", "80").err.startswith("Error: No public port '80")
    assert docker.ok("kill", "still") == "still"


def test_events(docker: Docker) -> None:
    since = f"{time.time():.9f}"
    docker.ok("run", "--rm", "--name", "seen", "busybox", "true")
    window = ("events", "--since", since, "--until", f"{time.time():.9f}")
    assert docker.ok(*window, "--filter", "container=seen", "--format", "{{.Action}}").split() == [
        "create", "attach", "start", "die", "destroy"]
    assert "(image=busybox, name=seen)" in docker.ok(*window, "-f", "event=destroy")


def test_stats(docker: Docker) -> None:
    docker.ok("run", "-d", "--name", "small", "-m", "64m", "busybox", "sleep", "100")
    shown = docker.ok("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}} {{.NetIO}}").split()
    assert (shown[0], shown[2:]) == ("small", ["/", "64MiB", "1", "0B", "/", "0B"])


def test_update(docker: Docker) -> None:
    docker.ok("run", "-d", "--name", "small", "-m", "64m", "busybox", "sleep", "100")
    assert docker.ok("update", "-m", "32m", "--cpus", "0.5", "small") == "small"
    format = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}"
    assert docker.ok("inspect", "-f", format, "small") == "33554432 500000000"
    assert "6MB" in docker("update", "-m", "1m", "small").err


def test_files(docker: Docker, tmp_path: Path) -> None:
    docker.ok("run", "-d", "--network", "none", "--name", "filed", "busybox", "sleep", "1000")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_text("text\n")
    docker.ok("cp", f"{tmp_path}/in", "filed:/made")
    docker.ok("cp", "filed:/made/.", f"{tmp_path}/out")
    assert (tmp_path / "out/file").read_text() == "text\n"
    assert sorted(docker.ok("diff", "filed").splitlines()) == ["A /made", "A /made/file"]
    docker.ok("export", "-o", f"{tmp_path}/all.tar", "filed")
    assert (tmp_path / "all.tar").stat().st_size > 1_000_000
    id = docker.ok("commit", "-m", "why", "-c", "CMD cat /made/file", "filed", "filed:one")
    assert id.startswith("sha256:") and docker.ok("run", "--rm", "--network", "none", "filed:one") == "text"
