"""Content digests: `sha256:<64 lower-case hexadecimal digits>`, the name of every blob (OCI image spec, descriptor.md).

A digest becomes a file name, so nothing but the exact grammar may pass: a loose check was CVE-2024-3727.
"""

import re
from typing import NewType, TypeGuard

from pydocker.errors import InvalidParameter

Digest = NewType("Digest", str)

_GRAMMAR = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def parse(text: str) -> Digest:
    """The digest that `text` is. Raises InvalidParameter for anything else, other algorithms included."""
    if not _GRAMMAR.fullmatch(text):
        raise InvalidParameter(f"invalid digest {text[:100]!r}: expected sha256:<64 hexadecimal digits>")
    return Digest(text)


def is_one(text: str) -> TypeGuard[Digest]:
    """Whether `text` is a digest: for names on disk, where anything may lie."""
    return _GRAMMAR.fullmatch(text) is not None


def of(content: bytes) -> Digest:
    """The digest of `content`."""
    import hashlib  # here, since it loads OpenSSL (5 ms): the command line only reads digests

    return Digest("sha256:" + hashlib.sha256(content).hexdigest())


def encoded(digest: Digest) -> str:
    """The part behind the colon, which is the blob's file name."""
    return digest.partition(":")[2]
