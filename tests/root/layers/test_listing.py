"""What a layer has, hides and removes, told from its directory: the same that its archive said."""

import tarfile
from pathlib import Path

from pydocker.layers.listing import listing
from pydocker.model.stack import shares
from tests.root.layers.archive import entry, folder, hard, link
from tests.root.layers.conftest import Unpack


def test_an_unpacked_layer_is_told_apart(unpacked: Unpack, target: Path) -> None:
    unpacked(folder("d"), entry("d/a", content=b"12345"), hard("d/b", "d/a"), link("d/l", "a"), entry("d/.wh.gone"),
             entry("d/null", tarfile.CHRTYPE, major=1, minor=3), folder("o"), entry("o/.wh..wh..opq"), entry("o/x"))
    found = listing(target)
    assert set(found.files) == {b"d/a", b"d/b", b"d/l", b"d/null", b"o/x"}
    assert found.files[b"d/a"] == found.files[b"d/b"]
    assert [found.files[path].size for path in (b"d/a", b"d/l", b"d/null")] == [5, 0, 0]
    assert sorted(found.directories) == [b"", b"d", b"o"]
    assert (list(found.removes), list(found.opaque)) == ([b"d/gone"], [b"o"])


def test_a_directory_that_takes_a_files_place_brings_nothing_of_the_layers_below(
        unpacked: Unpack, target: Path, tmp_path: Path) -> None:
    """A directory replaced by a link, and back: what it had before does not come back."""
    below = target.parent / "below"
    below.mkdir()
    unpacked(folder("d"), entry("d/old", content=b"12345"), into=below)
    unpacked(folder("d"), link("d", "/"), folder("d"), entry("d/new"))
    assert shares([listing(below), listing(target)])[1].removed == 1
    assert shares([listing(below), listing(target)])[0].wasted == 5
