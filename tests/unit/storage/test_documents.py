"""A document is either the old or the new one, and a lock ends with its holder."""

import os
import signal
import threading
from pathlib import Path

import msgspec
import pytest

from pydocker.errors import PydockerError
from pydocker.storage import documents, locks


class Note(msgspec.Struct):
    text: str


def test_written_is_read_back_with_its_mode_and_without_remains(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    documents.write(path, Note("a"))
    documents.write(path, Note("b"), durable=False, mode=0o644)
    assert documents.read(path, Note) == Note("b")
    assert path.stat().st_mode & 0o7777 == 0o644
    assert os.listdir(tmp_path) == ["note.json"]


def test_a_damaged_document_is_named(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    path.write_text('{"text": 3}')
    with pytest.raises(PydockerError, match=r"damaged document .*note\.json: .*\$\.text"):
        documents.read(path, Note)


def test_a_failed_replacement_keeps_the_old_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.mkdir()
    (target / "inside").touch()
    with pytest.raises(OSError):
        documents.write(target, Note("x"))  # rename(2) cannot put a file over a directory
    assert os.listdir(tmp_path) == ["taken"]


def test_a_lock_excludes_threads_and_tells_that_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not locks.is_held(path)
    inside = threading.Event()
    with locks.held(path):
        assert locks.is_held(path)
        assert locks.acquire(path, blocking=False) is None
        thread = threading.Thread(target=lambda: (locks.held(path).__enter__(), inside.set()))
        thread.start()
        assert not inside.wait(0.1)
    assert inside.wait(60)
    thread.join()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        locks.acquire(path)
        os.write(told, b"x")
        signal.pause()
    os.read(ready, 1)
    assert locks.is_held(path)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert not locks.is_held(path)
    os.close(ready)
    os.close(told)


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_on_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = locks.acquire(path)
    assert first is not None
    taken: list[int | None] = []
    thread = threading.Thread(target=lambda: taken.append(locks.acquire(path)))
    thread.start()
    path.unlink()
    os.close(first)
    thread.join(60)
    assert taken and taken[0] is not None
    assert os.fstat(taken[0]).st_ino == path.stat().st_ino
    os.close(taken[0])
