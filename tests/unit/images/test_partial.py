"""The bytes of a blob that is being fetched."""

import os
from pathlib import Path

import pytest

from pydocker.images.partial import Partial, sweep
from pydocker.model import digest
from runtime.linux import inotify


def test_what_was_emptied_is_not_complete(tmp_path: Path) -> None:
    """The second layer with the same blob would be told that all of it is there."""
    content = b"not what it should be"
    partial = Partial(tmp_path, digest.of(b"it"))
    try:
        partial.check.update(content)
        partial.write(content)
        partial.complete = True
        partial.empty()
        assert (partial.complete, partial.size, partial.path.read_bytes()) == (False, 0, b"")
        assert partial.check.digest() != digest.of(content)
    finally:
        partial.close()
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_leaves_the_lock_of_what_it_leaves_alone(tmp_path: Path) -> None:
    """A pull that began at this moment found it taken, and could not go on with the part."""
    part = tmp_path / f"partial-{digest.encoded(digest.of(b'it'))}"
    part.write_bytes(b"what there is")
    opened = inotify.watch(part, inotify.IN_CLOSE_NOWRITE)
    assert sweep(tmp_path) == 0
    with pytest.raises(BlockingIOError):
        os.read(opened, 4096)
    assert sweep(tmp_path, age=0) == len(b"what there is")
    assert os.read(opened, 4096)
    os.close(opened)
