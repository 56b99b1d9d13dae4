"""How much an archive may ask for. A layer comes from a stranger, and the unpacker runs as root.

A gzip stream can name a thousand bytes with one, so size alone is no measure: content is allowed up to `floor` bytes in
any case, beyond that up to `ratio` times what was really downloaded. Real layers compress 2 to 10 times. Above that
stands a ceiling for what one layer may become, holes of its sparse files included: `max-layer-size` in daemon.json.
"""

from pydocker.config import LARGEST_LAYER
from pydocker.errors import InvalidParameter


class ArchiveError(InvalidParameter):
    """The archive is damaged, or asks for something that no layer may have."""


FLOOR = 1 << 30  # bytes
RATIO = 200
CEILING = LARGEST_LAYER  # unless daemon.json says something else
MOST_ENTRIES = 4_000_000
LONGEST_PATH = 4096  # PATH_MAX: the kernel takes no longer one (path_resolution(7))
MOST_DEPTH = 256  # of directories: what is deeper could not be removed again without tricks
LARGEST_EXTENSION = 1 << 20  # bytes of PAX records before one entry
LARGEST_MAP = 1 << 22  # bytes of a sparse file's map
LARGEST_XATTR = 1 << 16  # XATTR_SIZE_MAX
LATEST = 1 << 34  # seconds: where ext4's times end (year 2446)
LARGEST_ID = (1 << 32) - 2  # 2**32 - 1 means "leave as it is" to chown(2)


def largest_content(compressed: int) -> int:
    """Bytes that may come out of a stream after `compressed` bytes of it went in."""
    return max(FLOOR, RATIO * compressed)


def check_ceiling(size: int, ceiling: int) -> None:
    """Raises ArchiveError for a layer that becomes larger than the administrator allows."""
    if size > ceiling:
        raise ArchiveError(f"a layer of more than {ceiling} bytes: max-layer-size in daemon.json allows no more")
