"""The `WWW-Authenticate` header: what a server wants to see (RFC 9110, section 11.6.1).

    Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull", Basic realm="x"

Several challenges may stand in one header, separated by the same comma that separates the parameters of one: a word
followed by a space (or by the end) opens a challenge, a word followed by `=` is a parameter.
"""

import re
from dataclasses import dataclass, field

_LONGEST = 8192  # characters; what is longer is not read at all
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'[\s,]*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))', re.ASCII | re.DOTALL)
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?:\s+|,|\Z)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in. `scheme` and the parameters' names are lower case."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse(header: str) -> tuple[Challenge, ...]:
    """Every challenge of a header, as far as it is well-formed; garbage gives none."""
    found: list[Challenge] = []
    position = 0
    text = header if len(header) <= _LONGEST else ""
    while position < len(text):
        if found and (match := _PARAMETER.match(text, position)):
            value = re.sub(r"\\(.)", r"\1", match[2], flags=re.DOTALL) if match[2] is not None else match[3]
            found[-1].parameters.setdefault(match[1].lower(), value)
        elif match := _SCHEME.match(text, position):
            found.append(Challenge(match[1].lower()))
        else:
            break
        position = match.end()
    return tuple(found)
