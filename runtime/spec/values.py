"""What the fields of config.json are made of: bounded numbers, bounded strings, and the one shape of all its objects.

Go's decoder, for which the OCI specification is written, takes `null` for "not there"; so does `without_nulls`.
Unknown fields are to be ignored (runtime-spec, config.md "Extensibility"), wrong types are not.
"""

from typing import Annotated, Any

import msgspec

LEAST, MOST = -(2**63), 2**64 - 1

UInt16 = Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)]
UInt32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
UInt64 = Annotated[int, msgspec.Meta(ge=0)]
# 2^32-1 is (uid_t) -1: "do not change" to setresuid(2). As an identity it would silently mean "stay root".
Id = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 2)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
# The kernel takes C strings: a NUL would cut the value where nobody looks.
Text = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]
AbsolutePath = Annotated[str, msgspec.Meta(pattern=r"^/[^\x00]*$")]


class Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An object of config.json: immutable, camelCase on paper, defaults left out when written."""


def without_nulls(value: Any, at: str = "$") -> Any:
    """The same JSON value without the members that are null. Raises ValidationError for a number beyond 64 bits:

    the kernel has none, Python would carry it along, and no bound of msgspec's can say 2^64 - 1.
    """
    if isinstance(value, dict):
        return {name: without_nulls(member, f"{at}.{name}") for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_nulls(member, f"{at}[{number}]") for number, member in enumerate(value)]
    if isinstance(value, int) and not LEAST <= value <= MOST:
        raise msgspec.ValidationError(f"Expected a number of 64 bits - at `{at}`")
    return value
