"""What an image's config says, and its layers by their names, whether they came from a registry or an archive."""

from typing import NamedTuple

import msgspec

from pydocker.errors import PydockerError
from pydocker.model import digest
from pydocker.model.digest import Digest
from pydocker.model.image import Descriptor, ImageConfig

MISMATCH = "layers from manifest don't match image configuration"


class Layer(NamedTuple):
    """One layer by its three names: where it stands, what is in it, how it was packed."""

    chain: Digest
    diff_id: Digest
    blob: Descriptor


def config_of(content: bytes) -> ImageConfig:
    """Read an image's config. Go writes `null` for what is not set. Raises PydockerError with the JSON path."""
    try:
        return msgspec.convert(_without_nulls(msgspec.json.decode(content)), ImageConfig)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise PydockerError(f"image config {digest.of(content)}: not a valid document: {error}") from error


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value
