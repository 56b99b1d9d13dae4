"""What docker, podman and skopeo save is loaded here, and the other way round; the layers are the same."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.root.judges.engines import Judge

NAMES = ("box:1", "box:2", "other/box:latest")
Loads = Callable[[Path], set[str]]


@pytest.fixture(scope="module")
def saved(engine: Engine, session_directory: Path) -> Path:
    """Two images, one of them of an empty layer, with three names."""
    engine.ok("tag", "busybox", "box:1")
    engine.ok("tag", "busybox", "other/box")
    engine.ok("import", "-c", "USER 7", "-", "box:2", input="")
    path = session_directory / "three.tar"
    engine.ok("save", "-o", str(path), *NAMES)
    return path


def ids(engine: Engine) -> dict[str, str]:
    return {name: engine.ok("image", "inspect", "--format", "{{.Id}}", name) for name in NAMES}


def test_docker_loads_and_saves(dockers: tuple[Judge, Judge], engine: Engine, saved: Path, tmp_path: Path) -> None:
    docker, _ = dockers
    assert sorted(docker.ok("load", "-i", str(saved)).splitlines()) == [f"Loaded image: {name}" for name in NAMES]
    assert {name: docker.ok("image", "inspect", "--format", "{{.Id}}", name) for name in NAMES} == ids(engine)
    assert docker.ok("run", "--rm", "--network", "none", "box:1", "echo", "hello") == "hello"
    docker.ok("save", "-o", str(tmp_path / "theirs.tar"), *NAMES)
    docker.ok("rmi", *NAMES)
    reloaded(engine, tmp_path / "theirs.tar", {name: name for name in NAMES})


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_podman_loads_and_saves(form: str, podmans: tuple[Judge, Judge], engine: Engine, saved: Path,
                                tmp_path: Path) -> None:
    podman, _ = podmans
    podman.ok("load", "-i", str(saved))
    theirs = tmp_path / "theirs.tar"
    podman.ok("save", "--format", form, "-o", str(theirs), "localhost/box:1")
    podman.ok("rmi", *(f"localhost/{name}" for name in NAMES))
    reloaded(engine, theirs, {"localhost/box:1": "box:1"})


def layers(engine: Engine, name: str) -> str:
    """Not the id: podman writes a config of its own when it changes the format."""
    return engine.ok("image", "inspect", "--format", "{{json .RootFS}}", name)


def reloaded(engine: Engine, archive: Path, names: dict[str, str]) -> None:
    """What is in the archive is the same image under each name; and runs."""
    said = engine.ok("load", "-i", str(archive)).splitlines()
    assert sorted(line for line in said if line.startswith("Loaded")) == sorted(
        f"Loaded image: {name}" for name in names)
    for name, ours in names.items():
        assert layers(engine, name) == layers(engine, ours)
    assert engine.ok("run", "--rm", next(iter(names)), "echo", "hello") == "hello"


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="not installed: skopeo")
def test_skopeo_copies_from_one_form_into_another(engine: Engine, saved: Path, tmp_path: Path) -> None:
    one, again = tmp_path / "one.tar", tmp_path / "again.tar"
    engine.ok("save", "-o", str(one), "box:1")
    raw = json.loads(skopeo("inspect", "--raw", f"oci-archive:{one}"))
    for form in ("docker-archive", "oci-archive"):
        again.unlink(missing_ok=True)
        skopeo("copy", "--insecure-policy", f"oci-archive:{one}", f"{form}:{again}:h.example/{form}:1")
        reloaded(engine, again, {f"h.example/{form}:1": "box:1"})
        back = tmp_path / "back.tar"
        engine.ok("save", "-o", str(back), f"h.example/{form}:1")
        assert json.loads(skopeo("inspect", "--raw", f"oci-archive:{back}")) == raw
    assert json.loads(skopeo("inspect", f"docker-archive:{saved}:docker.io/library/box:1"))["Os"] == "linux"


def skopeo(*argv: str) -> str:
    return subprocess.run(["skopeo", *argv], check=True, capture_output=True, text=True, timeout=60).stdout
