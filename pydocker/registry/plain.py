"""What a registry says, made fit to be shown."""

_LONGEST = 200  # characters


def plain(text: object) -> str:
    """A stranger's text as one short line: no control character of it may reach a terminal."""
    line = " ".join(str(text).split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:_LONGEST]
