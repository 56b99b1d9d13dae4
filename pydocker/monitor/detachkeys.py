"""The keys that let go of a terminal: by default ctrl-p, then ctrl-q.

They are looked for in the byte stream from the client. A beginning of the sequence is held back until the next byte
decides: either the rest of the sequence comes (detach, and nothing of it reaches the program) or it is passed on late.
"""

from pydocker.errors import InvalidParameter

DEFAULT = "ctrl-p,ctrl-q"


def parse(text: str) -> bytes:
    """`ctrl-p,ctrl-q` -> b"\\x10\\x11". Raises InvalidParameter for anything that is no key."""
    return bytes(_key(word) for word in (text or DEFAULT).split(","))


def _key(word: str) -> int:
    if len(word) == 1 and word.isascii():
        return ord(word)
    letter = word.removeprefix("ctrl-").upper()
    if word.startswith("ctrl-") and len(letter) == 1 and letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ@[\\]^_":
        return ord(letter) & 0x1F
    raise InvalidParameter(f"invalid detach keys: unknown character: '{word[:40]}'")


class Watch:
    """Looks for the sequence in what is fed to it."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._seen = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What may be passed on, and whether the sequence was complete (what follows it is dropped)."""
        if not self._seen and self._keys[0] not in data:  # nearly always
            return data, False
        out = bytearray()
        for byte in data:
            if byte != self._keys[self._seen]:
                out += self._keys[:self._seen]
                self._seen = 0
            if byte == self._keys[self._seen]:
                self._seen += 1
                if self._seen == len(self._keys):
                    self._seen = 0
                    return bytes(out), True
            else:
                out.append(byte)
        return bytes(out), False
