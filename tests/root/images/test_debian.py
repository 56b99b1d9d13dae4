"""Images that others made, through the whole engine: pulled, listed, run, removed."""

import shutil
import tarfile
import tempfile
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.peers import debian
from tests.peers.layout import Layout
from tests.peers.registry import Registry


@pytest.fixture(scope="module")
def name(registry: Registry, session_directory: Path) -> str:
    """Debootstrap's tree, packed as one layer and pushed with skopeo."""
    top = Path(tempfile.mkdtemp(dir=session_directory))
    layout = Layout(top)
    registry.push(layout.tag("x", layout.image([debian.archive().read_bytes()], Cmd=["sh"])), "debian:1")
    shutil.rmtree(top)
    return registry.name("debian:1")


@pytest.mark.timeout(300)
def test_debian_is_pulled_and_run(engine: Engine, name: str) -> None:
    lines = engine.ok("pull", name, timeout=200).splitlines()
    assert lines[0] == "1: Pulling from debian"
    assert lines[-2] == f"Status: Downloaded newer image for {name}"
    assert lines[-1] == name
    assert engine.ok("run", "--rm", "--network", "none", name, "apt-get", "--version").startswith("apt 2.")
    listed = engine.ok("run", "--rm", "--network", "none", name, "dpkg", "-l")
    assert " base-files " in listed
    assert engine.ok("pull", name).splitlines()[-2] == f"Status: Image is up to date for {name}"
    removed = engine.ok("rmi", name).splitlines()
    assert removed[0] == f"Untagged: {name}"
    assert [line.split(":")[0] for line in removed] == ["Untagged", "Untagged", "Deleted", "Deleted"]


@pytest.mark.timeout(300)
def test_the_docker_client_does_the_same(engine: Engine, name: str) -> None:
    if shutil.which("docker") is None:
        pytest.skip("needs docker: make setup")
    engine.start()
    assert f"Status: Downloaded newer image for {name}" in engine.docker("pull", name, timeout=200).out
    assert engine.docker("run", "--rm", "--network", "none", name, "cat", "/etc/debian_version").out.startswith("12.")
    assert name.rpartition(":")[0] in engine.docker("images").out
    assert f"Untagged: {name}" in engine.docker("rmi", name).out


@pytest.mark.parametrize(("reference", "words"), [
    ("127.0.0.1:1/x:1", "connection refused"), ("UPPER", "repository name (library/UPPER) must be lowercase"),
    ("a b", "invalid reference format"), ("scratch", "'scratch' is a reserved name"),
])
def test_bad_names(engine: Engine, reference: str, words: str) -> None:
    result = engine.pydocker("pull", reference)
    assert result.code == 1
    assert words in result.err
    assert len(result.err.splitlines()) == 1


def test_an_unknown_image_in_a_known_registry(engine: Engine, registry: Registry) -> None:
    result = engine.pydocker("pull", registry.name("nothing:1"))
    assert result.code == 1
    assert "manifest unknown" in result.err


def test_an_import_runs(engine: Engine, session_directory: Path) -> None:
    path = session_directory / "tree.tar"
    with tarfile.open(path, "w:xz") as tar:
        tar.add("/bin/busybox", "bin/sh")
    assert engine.ok("import", str(path), "tree:1").startswith("sha256:")
    said = engine.ok("run", "--rm", "--network", "none", "tree:1", "/bin/sh", "-c", "echo $0 from $(pwd)")
    assert said == "/bin/sh from /"
    path.unlink()
