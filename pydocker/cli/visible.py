"""Text from elsewhere on a person's terminal.

An image names its programs and labels, a registry words its errors. A terminal takes control characters in them as
commands: they retitle its window, hide lines, on some they write files. So they are shown and not sent.
"""

# C0, DEL and C1 (ECMA-48), but for what lays text out
_SHOWN = {number: f"\\x{number:02x}" for number in (*range(32), *range(127, 160)) if number not in (9, 10)}


def visible(text: str) -> str:
    """`text` with its control characters written out: `\\x1b[2J`. Tabs and line feeds stay."""
    return text.translate(_SHOWN)
