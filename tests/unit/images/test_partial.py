"""The bytes of a blob that is being fetched."""

from pathlib import Path

from pydocker.images.partial import Partial
from pydocker.model import digest


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
