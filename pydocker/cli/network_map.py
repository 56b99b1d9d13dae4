"""`pydocker network map`: who is plugged in where, as a tree in the terminal or (`--svg FILE`) as a picture."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from pydocker.cli import phrases
from pydocker.cli.command import NONE, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import value
from pydocker.cli.session import Session
from pydocker.cli.visible import visible
from pydocker.client import containers, networks
from pydocker.client.api import ApiError


class Box(NamedTuple):
    """Something with a title, what is to be said of it, and what hangs below it by a cable of this name."""

    title: str
    lines: Sequence[str] = ()
    below: "Sequence[tuple[str, Box]]" = ()


def draw(session: Session, arguments: tuple[str, ...], *, svg: str | None) -> int:
    """The tree, or the picture into a file."""
    client = session.client()
    found = []
    for one in networks.listed(client, {}):
        with contextlib.suppress(ApiError):  # removed meanwhile
            found.append(networks.detail(client, one.id))
    ids = {id for one in found for id in one.members}
    pids = {}
    for id in ids:
        with contextlib.suppress(ApiError):
            pids[id] = containers.detail(client, id).state.pid
    box = host(found, pids)
    if svg is None:
        session.write("".join(f"{visible(line)}\n" for line in tree(box)))
        return 0
    try:
        with open(os.path.join(session.directory, svg), "w", encoding="utf-8") as file:
            file.write(picture(box))
    except OSError as error:
        raise CommandError(f"open {svg}: {(error.strerror or '').lower()}") from error
    return 0


def host(found: Sequence[networks.Network], pids: dict[str, int]) -> Box:
    """The host, with what hangs below it. A bridge that nobody is in is shown, too."""
    shown = [one for one in sorted(found, key=lambda one: phrases.natural(one.name)) if one.interface]
    return Box("host", (), [("", _network(one, pids)) for one in shown])


def _network(one: networks.Network, pids: dict[str, int]) -> Box:
    pools = [f"{pool.subnet}, gateway {pool.gateway}" if pool.gateway else pool.subnet
             for pool in one.ipam.config or ()]
    words = " (internal)" if one.internal else ""
    below = [(_cable(member), _container(id, member, pids.get(id, 0)))
             for id, member in sorted(one.members.items(), key=lambda item: item[1].name)]
    return Box(f"{one.interface}: {one.driver} network {one.name}{words}", pools, below)


def _cable(member: networks.Member) -> str:
    return f"{member.host_interface} ═ {member.interface}" if member.host_interface else member.interface


def _container(id: str, member: networks.Member, pid: int) -> Box:
    addresses = ", ".join(filter(None, (member.ipv4, member.ipv6, member.mac)))
    ports = [f"{_address(port.host_ip)}:{port.host_port} → {port.container_port}/{port.protocol}"
             for port in member.published]
    namespace = [f"namespace /proc/{pid}/ns/net"] if pid else []
    return Box(f"{member.name} ({phrases.short_id(id)})", [addresses, *namespace, *ports])


def _address(host_ip: str) -> str:
    return f"[{host_ip}]" if ":" in host_ip else host_ip or "*"


def tree(box: Box, first: str = "", rest: str = "") -> Iterator[str]:
    """One line for each fact. Box-drawing letters, as in `image layers` and tree(1)."""
    yield first + box.title
    bar = "│  " if box.below else "   "
    for line in box.lines:
        yield f"{rest}{bar}{line}"
    for number, (cable, inner) in enumerate(box.below):
        last = number == len(box.below) - 1
        label = f"{cable}  " if cable else ""
        yield from tree(inner, f"{rest}{'└─ ' if last else '├─ '}{label}", rest + ("   " if last else "│  "))


_LINE, _PAD, _GAP, _LETTER = 18, 10, 28, 7.3  # pixels
_WIDTH = 1200  # of a row of boxes: what a screen shows, and a page of a document


class Drawing:
    """The same as SVG, from the top down: a line leads from the host to its networks, below each of them one to its
    containers, which stand in rows. No script, no font but the reader's own."""

    def __init__(self) -> None:
        self._body: list[str] = []
        self._width = 0.0

    def text(self, height: float) -> str:
        """The whole picture."""
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{self._width + _GAP:.0f}" height="{height:.0f}" '
                'font-family="monospace" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
                + "".join(f"{line}\n" for line in self._body) + "</svg>\n")

    def branches(self, box: Box, x: float, y: float) -> float:
        """A box, and one below the other what hangs below it, each with its rows. Returns where it ends."""
        bottom = self.box(box, x, y)
        trunk, end = x + _GAP / 2, bottom
        for _, inner in box.below:
            top = bottom + _GAP
            end = top + _size(inner)[1] / 2
            self._line(f"M{trunk:.0f} {end:.0f} H{x + _GAP:.0f}")
            bottom = self._rows(inner, x + _GAP, top)
        self._line(f"M{trunk:.0f} {y + _size(box)[1]:.0f} V{end:.0f}")
        return bottom

    def _rows(self, box: Box, x: float, y: float) -> float:
        bottom = self.box(box, x, y)
        trunk, end = x + _GAP / 2, bottom
        for row in _wrapped(box.below):
            end, top, left = bottom + _GAP / 2, bottom + 1.5 * _GAP, x + _GAP
            drop = left
            for cable, inner in row:
                drop = left + _PAD
                self._line(f"M{drop:.0f} {end:.0f} V{top:.0f}")
                self._words(drop + 4, top - 8, cable, ' fill="#33516f"')
                bottom = max(bottom, self.box(inner, left, top))
                left += _room(cable, inner)
            self._line(f"M{trunk:.0f} {end:.0f} H{drop:.0f}")
        self._line(f"M{trunk:.0f} {y + _size(box)[1]:.0f} V{end:.0f}")
        return bottom

    def box(self, box: Box, x: float, y: float) -> float:
        """Its title and its lines; returns where it ends."""
        width, height = _size(box)
        self._width = max(self._width, x + width)
        self._body.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="5" '
                          'fill="#eef3f8" stroke="#33516f"/>')
        for number, line in enumerate((box.title, *box.lines), 1):
            self._words(x + _PAD, y + number * _LINE, line, ' font-weight="bold"' if number == 1 else "")
        return y + height

    def _line(self, path: str) -> None:
        self._body.append(f'<path d="{path}" fill="none" stroke="#33516f"/>')

    def _words(self, x: float, y: float, words: str, style: str) -> None:
        if words:
            self._width = max(self._width, x + len(words) * _LETTER)
            self._body.append(f'<text x="{x:.0f}" y="{y:.0f}"{style}>{escape(visible(words))}</text>')


def picture(box: Box) -> str:
    """The map as SVG."""
    drawing = Drawing()
    return drawing.text(drawing.branches(box, _GAP, _GAP) + _GAP)


def _wrapped(below: "Sequence[tuple[str, Box]]") -> "Iterator[Sequence[tuple[str, Box]]]":
    """Rows that are no wider than _WIDTH, unless it is one box alone."""
    row: list[tuple[str, Box]] = []
    width = 0.0
    for cable, inner in below:
        if row and width + _room(cable, inner) > _WIDTH:
            yield row
            row, width = [], 0.0
        row.append((cable, inner))
        width += _room(cable, inner)
    if row:
        yield row


def _room(cable: str, box: Box) -> float:
    """What it takes of a row: a cable's name stands above its box, and must not run into the next one."""
    return max(_size(box)[0], _PAD + 4 + len(cable) * _LETTER) + _GAP


def _size(box: Box) -> tuple[float, float]:
    longest = max(map(len, (box.title, *box.lines)))
    return longest * _LETTER + 2 * _PAD, (1 + len(box.lines)) * _LINE + _PAD


MAP = Command(
    "map", draw, synopsis="", arity=NONE, help="Draw networks, containers, their addresses and what leads to them",
    flags=(value("--svg", help="Write a picture to the file instead"),))
