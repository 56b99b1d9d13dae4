"""Numbers as archives write them: octal text or base 256 in a header's fields, decimal text in PAX records."""

from pydocker.layers.limits import ArchiveError


def number(field: bytes) -> int:
    """Octal text, or a big-endian number with the top bit set (GNU's base-256)."""
    if field[0] & 0x80:
        return _base256(field)
    text = field.partition(b"\0")[0].strip()
    if not text:
        return 0
    try:
        if not text.isdigit():  # int() takes signs, underscores and 0o as well
            raise ValueError
        return int(text, 8)
    except ValueError:
        raise ArchiveError(f"invalid tar header: {field!r} is not a number") from None


def _base256(field: bytes) -> int:
    negative = field[0] & 0x40
    value = int.from_bytes(field, "big") - (1 << 8 * len(field) if negative else 1 << 8 * len(field) - 1)
    if abs(value) >> 62:
        raise ArchiveError(f"invalid tar header: {field!r} is too large")
    return value


def decimal(value: bytes) -> int:
    """A record's number, which is never negative."""
    if not value.isdigit() or len(value) > 19:
        raise ArchiveError(f"invalid PAX header: {value[:64]!r} is not a number")
    return int(value)
