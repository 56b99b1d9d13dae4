"""How an event looks to a person: Docker's line, and its struct's names in a format."""

import time

import msgspec
import pytest

from pydocker.cli.events import _printer
from pydocker.model.event import Kind, event

LINE = msgspec.json.encode(event(Kind.CONTAINER, "die", "abc", {"name": "web", "image": "busybox", "exitCode": "3"},
                                 1_700_000_000_000_000_123))


def test_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, moment in (("UTC", "2023-11-14T22:13:20.000000123Z"), ("CET-1", "2023-11-14T23:13:20.000000123+01:00")):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert _printer(None)(LINE) == f"{moment} container die abc (exitCode=3, image=busybox, name=web)"
    monkeypatch.delenv("TZ")
    time.tzset()


@pytest.mark.parametrize(("format", "shown"), [
    ("{{.Type}} {{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}}", "container die abc web"),
    ("{{.ID}} {{.Status}} {{.From}} {{.Time}} {{.Scope}}", "abc die busybox 1700000000 local"),
    ("{{.TimeNano}}", "1700000000000000123"),
    ("json", LINE.decode()), ("{{json .}}", LINE.decode()),
])
def test_formats(format: str, shown: str) -> None:
    assert _printer(format)(LINE) == shown
