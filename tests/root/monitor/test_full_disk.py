"""A data root without room: the container goes on, and what was not written is written when there is room again."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pydocker.model.container import State, Status
from pydocker.storage import documents
from tests.root.containers.room import Room, wait_until


@contextmanager
def own_disk(directory: Path, size: str) -> Iterator[None]:
    """A small file system for what is in the directory; it takes away what came to it later."""
    with tempfile.TemporaryDirectory() as kept:
        shutil.copytree(directory, kept, dirs_exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory], check=True)
        try:
            shutil.copytree(kept, directory, dirs_exist_ok=True)
            yield
        finally:
            subprocess.run(["umount", "--lazy", directory], check=True)


def test_a_container_outlives_a_full_disk(own_room: Room) -> None:
    script = "read x; head -c 9000 /dev/zero | tr '\\0' '\\n'; echo written; read x; echo end; exit 3"
    id = own_room.create("sh", "-c", script, open_stdin=True)
    directory = own_room.paths.container(id)
    with own_disk(directory, "256k"):
        own_room.containers.start(id)
        terminal = own_room.attach(id, stdin=True)
        terminal.send(b"\n")
        terminal.until(b"written")
        assert os.statvfs(directory).f_bavail == 0
        own_room.containers.pause(id)  # which has to be recorded
        os.truncate(next(directory.glob("*-json.log")), 0)
        wait_until(lambda: documents.read(directory / "state.json", State).status is Status.PAUSED)
        own_room.containers.unpause(id)
        terminal.send(b"\n")
        assert own_room.containers.wait(id).result() == 3
        assert own_room.containers.get(id).state.exit_code == 3
        assert own_room.log(id).endswith(b"end\n")
    complaints = own_room.directory / "monitors.log"
    said = [line for line in complaints.read_text().splitlines() if not line.startswith("event ")]
    assert len(said) == 2, said
    assert all("No space left on device" in line for line in said)
    complaints.write_text("")


def test_the_end_is_known_though_the_disk_stays_full(own_room: Room) -> None:
    """It is kept in memory, until the disk takes it."""
    id = own_room.create("sh", "-c", "read x; exit 5", open_stdin=True)
    directory = own_room.paths.container(id)
    with own_disk(directory, "256k"):
        own_room.containers.start(id)
        terminal = own_room.attach(id, stdin=True)
        with open(directory / "filler", "wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(bytes(4096))
        terminal.send(b"\n")
        assert own_room.containers.wait(id).result() == 5
        kept = own_room.paths.container_run(id) / "state.json"
        wait_until(kept.exists)
        for _ in range(2):
            state = own_room.containers.get(id).state
            assert (state.status, state.exit_code) == (Status.EXITED, 5)
        (directory / "filler").unlink()
        assert own_room.containers.get(id).state.exit_code == 5
        assert not kept.exists()
        assert documents.read(directory / "state.json", State).exit_code == 5
    (own_room.directory / "monitors.log").write_text("")
