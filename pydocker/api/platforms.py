"""The platform that a query names: as text, or as Docker's newer clients write it."""

import msgspec

from pydocker.errors import InvalidParameter
from pydocker.model import platform
from pydocker.model.image import PlatformFields
from pydocker.model.platform import Platform


def read(text: str) -> Platform | None:
    """`linux/arm64`, or as Docker's newer clients write it, an OCI platform in JSON. Raises InvalidParameter."""
    if not text.startswith("{"):
        return platform.parse(text) if text else None
    try:
        fields = msgspec.json.decode(text, type=PlatformFields)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise InvalidParameter(f"invalid platform: {error}") from error
    return platform.normalised(fields.os, fields.architecture, fields.variant)
