"""lines.txt as values: scenes of command lines, and what is known to differ."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path

FILE = Path(__file__).parent / "lines.txt"


@dataclass
class Line:
    """One command line. `reason`: why its result differs (empty: it must not); `fields` the same for inspect's."""

    number: int
    text: str
    input: str = ""
    reason: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def argv(self) -> list[str]:
        words = shlex.split(self.text)
        if words[0] in ("run", "create") and not any(word.startswith(("--net", "--help")) for word in words):
            words[1:1] = ["--network", "none"]
        return words


@dataclass
class Scene:
    """Lines that have containers in common."""

    title: str
    lines: list[Line] = field(default_factory=list)


def read() -> tuple[dict[str, str], list[Scene]]:
    """The fields that differ everywhere, and the scenes. Raises ValueError for a line that fits nowhere."""
    common: dict[str, str] = {}
    scenes: list[Scene] = []
    for number, raw in enumerate(FILE.read_text().splitlines(), 1):
        mark, _, text = raw.strip().partition(" ")
        if not raw.strip() or raw.startswith("#"):
            continue
        if mark == "==":
            scenes.append(Scene(text))
        elif mark == "@":
            path, _, reason = text.partition(": ")
            (scenes[-1].lines[-1].fields if scenes else common)[path] = reason
        elif not scenes:
            raise ValueError(f"{FILE.name}:{number}: a command before the first scene")
        elif raw[0] != " ":
            scenes[-1].lines.append(Line(number, raw))
        elif mark == "<":
            scenes[-1].lines[-1].input += text + "\n"
        elif mark == "~":
            scenes[-1].lines[-1].reason = text
        else:
            raise ValueError(f"{FILE.name}:{number}: {raw!r}")
    return common, scenes
