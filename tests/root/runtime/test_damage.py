"""What others did to the files of a container, and places where none can be written: one line, and nothing is stuck."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.root.runtime.conftest import Runtime


def truncated(place: Path) -> None:
    os.truncate(place / "state.json", 100)


def emptied(place: Path) -> None:
    os.truncate(place / "state.json", 0)


def zeroed(place: Path) -> None:
    (place / "state.json").write_bytes(bytes(500))


def of_other_types(place: Path) -> None:
    (place / "state.json").write_text('{"id": 5}')


def a_directory(place: Path) -> None:
    (place / "state.json").unlink()
    (place / "state.json/below").mkdir(parents=True)


def a_link_to_itself(place: Path) -> None:
    (place / "state.json").unlink()
    (place / "state.json").symlink_to("state.json")


def a_fifo(place: Path) -> None:
    (place / "state.json").unlink()
    os.mkfifo(place / "state.json")


def a_file_in_its_place(place: Path) -> None:
    shutil.rmtree(place)
    place.touch()


def of_another(place: Path) -> None:
    content = (place / "state.json").read_text()
    (place / "state.json").write_text(content.replace('"id":"c"', '"id":"d"', 1))


@pytest.mark.parametrize("damage", (truncated, emptied, zeroed, of_other_types, a_directory, a_link_to_itself, a_fifo,
                                    a_file_in_its_place, of_another))
def test_a_state_that_cannot_be_read(runtime: Runtime, damage: Callable[[Path], None]) -> None:
    """Each command names the file, and `list` goes on; by force, and with a warning, the id is free."""
    runtime.configure("true")
    runtime.create()
    process = Path(f"/proc/{runtime.pid()}/root")
    shutil.copytree(runtime.root / "c", runtime.directory / "kept", ignore=shutil.ignore_patterns("*.fifo"))
    file = f"{runtime.root}/c/state.json: "
    damage(runtime.root / "c")
    for words in (("state", "c"), ("kill", "c"), ("delete", "c"), ("exec", "c", "true")):
        done = runtime(*words)
        assert done.returncode == (255 if words[0] == "exec" else 1), words
        assert done.stderr.startswith(f"pydocker-runtime: {file}") and done.stderr.count("\n") == 1, done.stderr
    listed = runtime("list", "--quiet", check=True)
    assert listed.stdout.split() == [] and file in listed.stderr and "level=warning" in listed.stderr
    forced = runtime("delete", "--force", "c", check=True)
    assert file in forced.stderr and "forgotten" in forced.stderr and forced.stderr.count("\n") == 1
    assert not (runtime.root / "c").exists() and process.exists(), "whose it is cannot be told"
    shutil.copytree(runtime.directory / "kept", runtime.root / "c")
    runtime("delete", "--force", "c", check=True)
    assert not process.exists()


@pytest.mark.parametrize("content", ("nothing of ours", "a container's"))
def test_a_link_in_its_place_leads_nowhere(runtime: Runtime, content: str) -> None:
    """Neither is anything removed behind it, nor what runs there signalled."""
    runtime.background("sleep", "60")
    decoy = runtime.directory / "decoy"
    if content == "a container's":
        shutil.copytree(runtime.root / "c", decoy)
    else:
        decoy.mkdir()
    (decoy / "file").write_text("kept")
    before = {*os.listdir(decoy)}
    (runtime.root / "linked").symlink_to(decoy)
    for words in (("state", "linked"), ("kill", "linked", "KILL"), ("delete", "linked")):
        done = runtime(*words)
        assert (done.returncode, done.stderr) == (
            1, f"pydocker-runtime: {runtime.root}/linked: a symbolic link\n"), words
    runtime("delete", "--force", "linked", check=True)
    assert {*os.listdir(runtime.root)} == {"c"} and {*os.listdir(decoy)} == before
    assert runtime.state()["status"] == "running"


@pytest.mark.parametrize("name", ("notify", "state.json", "more"))
def test_links_among_its_files_lead_nowhere(runtime: Runtime, name: str) -> None:
    runtime.background("sleep", "60")
    decoy = runtime.directory / "decoy"
    decoy.mkdir()
    shutil.copy(runtime.root / "c/state.json", decoy)
    (runtime.root / "c" / name).unlink(missing_ok=True)
    (runtime.root / "c" / name).symlink_to(decoy / name if name == "state.json" else decoy)
    runtime("delete", "--force", "c", check=True)
    assert not (runtime.root / "c").exists() and os.listdir(decoy) == ["state.json"]


@pytest.mark.parametrize("place", ("c", "c/more", "c/notify", "c/state.json"))
def test_what_is_mounted_there_is_not_removed(runtime: Runtime, place: str) -> None:
    decoy, at = runtime.directory / "decoy", runtime.root / place
    (decoy / "below").mkdir(parents=True)
    (decoy / "file").write_text("kept")
    runtime.configure("true")
    runtime.create()
    kept = (runtime.root / "c/state.json").read_bytes()
    if place != "c":
        at.unlink(missing_ok=True)
        at.mkdir()
    subprocess.run(["mount", "--bind", decoy, at], check=True)
    try:
        done = runtime("delete", "--force", "c")
        assert done.returncode == 1 and f"remove {at.name}: a mount" in done.stderr, done.stderr
        assert {*os.listdir(decoy)} == {"below", "file"}
    finally:
        subprocess.run(["umount", at], check=True)
    (runtime.root / "c").mkdir(exist_ok=True)
    if place == "c/state.json":
        at.rmdir()
    (runtime.root / "c/state.json").write_bytes(kept)
    runtime("delete", "--force", "c", check=True)
    assert not (runtime.root / "c").exists()


@pytest.mark.parametrize("name", ("exec.fifo", "more"))
def test_what_is_not_ours_goes_along(runtime: Runtime, name: str) -> None:
    runtime.configure("true")
    runtime.create()
    (runtime.root / "c" / name).unlink(missing_ok=True)
    (runtime.root / "c" / name / "below").mkdir(parents=True)
    runtime("delete", "--force", "c", check=True)
    assert not (runtime.root / "c").exists()


@pytest.fixture
def small(runtime: Runtime) -> Iterator[Path]:
    """The state's directory on a disk that is nearly full."""
    runtime.root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=711", "small", runtime.root], check=True)
    yield runtime.root
    runtime("delete", "--force", "c", check=True)
    subprocess.run(["umount", runtime.root], check=True)


def test_a_disk_that_is_nearly_full_keeps_the_state_that_was(runtime: Runtime, small: Path) -> None:
    """It takes a part of what is written, and only the next write fails: no half of a state comes in its place."""
    runtime.configure("sleep", "60", env=["PATH=/bin", "X=" + "y" * 6000])
    runtime.create()
    (small / "more").write_bytes(bytes(4096))
    before = (small / "c/state.json").read_bytes()
    done = runtime("update", "--pids-limit", "9", "c")
    assert done.returncode == 1 and done.stderr == (
        f"pydocker-runtime: write {small}/c/state.json: no space left on device (write(2), rename(2))\n")
    assert (small / "c/state.json").read_bytes() == before and runtime.state()["status"] == "created"
    (small / "more").unlink()
    runtime("delete", "c", check=True)
    runtime.configure("true", env=["PATH=/bin", "X=" + "y" * 20000])
    done = runtime("run", "--bundle", str(runtime.bundle), "c")
    assert done.returncode == 1 and "no space left on device" in done.stderr and done.stderr.count("\n") == 1
    assert os.listdir(small) == []


def test_a_filter_for_which_there_is_no_room_leaves_nothing(runtime: Runtime, small: Path) -> None:
    """The state takes what there is."""
    (small / "more").write_bytes(bytes(12 << 10))
    runtime.configure("true")
    rule = {"names": ["getpriority"], "action": "SCMP_ACT_ERRNO"}
    runtime.change(linux__seccomp={"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})
    done = runtime("run", "--bundle", str(runtime.bundle), "c")
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("pydocker-runtime: write @seccomp/")
    assert done.stderr.endswith(": no space left on device (write(2), rename(2))\n")
    assert os.listdir(small / "@seccomp") == [] and {*os.listdir(small)} == {"@seccomp", "more"}


@pytest.mark.parametrize(("place", "words"), [
    ("no/pid", "no such file or directory (open(2), rename(2))"), ("directory", "not a regular file"),
    ("fifo", "not a regular file"), ("/proc/pid", "no such file or directory (open(2), rename(2))")])
def test_a_pid_file_that_cannot_be_written(runtime: Runtime, place: str, words: str) -> None:
    (runtime.directory / "directory").mkdir()
    os.mkfifo(runtime.directory / "fifo")
    before = os.listdir(runtime.directory)
    runtime.configure("sleep", "60")
    path = str(runtime.directory / place)
    bundle = ("--bundle", str(runtime.bundle))
    expected = f"pydocker-runtime: --pid-file {path}: {words}\n"
    done = runtime("create", *bundle, "--pid-file", path, "c")
    assert (done.returncode, done.stderr) == (1, expected) and not (runtime.root / "c").exists()
    runtime.background("sleep", "60")
    done = runtime("exec", "--detach", "--pid-file", path, "c", "sleep", "61")
    assert (done.returncode, done.stderr) == (255, expected)
    assert len(runtime("ps", "c", check=True).stdout.splitlines()) == 2
    assert {*os.listdir(runtime.directory)} == {*before, "state"}
