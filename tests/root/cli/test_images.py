"""The real docker client, asking pydocker's server and Docker's own about the same images: it prints the same.

Ids and ages differ, as each server has made the images for itself: these are taken out of both texts. Sizes are asked
for with three digits at most: Docker counts the lengths of symbolic links into them, pydocker the content of files.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.engine import Engine, busybox_archive
from tests.root.cli.dockerd import Dockerd, installed

Ask = Callable[..., str]


@pytest.fixture(scope="module")
def hosts(engine: Engine, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Both servers with the same image under the same names, one of them used by a container, one without a name."""
    if not installed():
        pytest.skip("dockerd is not installed")
    daemon: Dockerd = request.getfixturevalue("dockerd")
    engine.start()
    daemon.empty()
    found = engine.host, daemon.host
    for host in found:
        for name, label in (("side/a:1", "a=b"), ("side/bare", "c=d")):
            subprocess.run(["docker", "-H", host, "import", "-c", "CMD [\"sh\"]", "-c", f"LABEL {label}", "-", name],
                           input=busybox_archive(), check=True, capture_output=True, timeout=60)
        for argv in (("tag", "side/a:1", "side/a:2"), ("tag", "side/a:1", "reg.example:5000/x/y:z"),
                     ("tag", "side/a:1", "side/bare")):
            subprocess.run(["docker", "-H", host, *argv], check=True, timeout=60)
    yield found
    for host in found:
        subprocess.run(["docker", "-H", host, "image", "prune", "-f"], check=True, timeout=60, capture_output=True)
        subprocess.run(["docker", "-H", host, "rmi", "-f", "side/a:1", "side/a:2", "reg.example:5000/x/y:z",
                        "side/bare"], timeout=60, capture_output=True, check=False)


@pytest.fixture
def ask(hosts: tuple[str, str]) -> Iterator[Callable[[str, str], str]]:
    """`ask(host, "images -q")`: both streams and the status, without what has to differ."""
    def run(host: str, words: str) -> str:
        done = subprocess.run(["docker", "-H", host, *words.split()], capture_output=True, text=True, timeout=60,
                              input="n\n", check=False)
        return f"{_same(done.stdout)}{_same(done.stderr)}=> {done.returncode}"

    yield run
    for host in hosts:
        for name in ("side-c", "side-d"):
            subprocess.run(["docker", "-H", host, "rm", "-f", name], capture_output=True, timeout=60, check=False)


def _same(text: str) -> str:
    text = re.sub(r"[0-9a-f]{64}|\b[0-9a-f]{12}\b", "ID", text)
    text = re.sub(r"(About )?(\d+|a|an|Less than a) (second|minute)s? ago", "AGO", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "MOMENT", text)
    return re.sub(r" +", " ", text.replace("invalid", "Invalid").replace("=[maybe]", "=maybe"))


ALIKE = (
    "images side/a", "images --digests side/a:1", "images -a --filter reference=side/*:1",
    "images --filter dangling=true", "images --filter label=a=b", "images --filter label=nothing",
    "images --filter since=side/nothing", "images --filter colour=red", "images --filter dangling=maybe",
    "images --filter before=busybox side/a", "images --format {{.Repository}}|{{.Tag}}|{{.Size}} side/a",
    "history side/a:1", "history --human=false --format {{.CreatedAt}}|{{.Comment}} side/a:1",
    "history --no-trunc --format {{.ID}}{{.CreatedBy}} side/a:1",
    "history side/nothing", "tag side/nothing x", "tag side/a:1 UPPER", "rmi side/nothing", "rmi -f side/nothing",
    "image inspect side/a:1 --format {{.Config.Labels}}{{.Config.Cmd}}{{.RepoTags}}{{.Os}}{{.Architecture}}",
    "image prune", "image prune -f --filter until=nonsense", "image prune -f --filter label=nothing",
    "image prune -f --filter until=2001-01-01", "container prune -f --filter label=nothing",
    "system prune -f --filter label=nothing", "system df --format {{.Type}}|{{.TotalCount}}|{{.Active}}",
)


@pytest.mark.parametrize("words", ALIKE)
def test_both_say_the_same(words: str, hosts: tuple[str, str], ask: Ask) -> None:
    ours, theirs = (ask(host, words) for host in hosts)
    if words.startswith("images"):  # dockerd lists an image's names in no order (Go's, of a map)
        ours, theirs = ("\n".join(sorted(said.splitlines())) for said in (ours, theirs))
    assert ours.replace("Invalid filter 'until=nonsense': ", "") == theirs  # Docker names the filter since 23


def test_conflicts(hosts: tuple[str, str], ask: Ask) -> None:
    """What may not be removed, and what is told of it, from the same state on."""
    for host in hosts:
        ask(host, "create --name side-c side/bare sh")
        ask(host, "run -d --name side-d --network none side/bare sleep 60")
    for words in ("rmi side/a:2", "rmi reg.example:5000/x/y:z", "rmi side/a:1", "rmi side/bare", "rmi ID", "rmi -f ID",
                  "rm -f side-d", "rmi ID", "rm side-c"):
        said = []
        for host in hosts:
            id = _docker(host, "images", "-q", "side/bare")[:12]
            said.append(ask(host, words.replace("ID", id)))
        assert said[0] == said[1], words


def _docker(host: str, *argv: str) -> str:
    return subprocess.run(["docker", "-H", host, *argv], check=True, capture_output=True, text=True, timeout=60).stdout


def test_the_tree_of_the_real_client(engine: Engine) -> None:
    """Docker's own can only be asked since API 1.47; so this is what its client makes of our answer."""
    clients = [path for path in ("/usr/local/bin/docker", shutil.which("docker")) if path and shutil.which(path)]
    said = engine.docker("images", "--tree", client=clients[0])
    if "unknown flag" in said.err or "requires" in said.err:
        pytest.skip("this docker client has no --tree")
    assert "busybox:latest" in said.out
    assert re.search(r"└─ linux/\w+ +[0-9a-f]{12} +[0-9.]+MB +[0-9.]+MB", said.out)
