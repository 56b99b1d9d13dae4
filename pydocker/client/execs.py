"""Routes under `/exec` (Engine API, "Exec"); a session is made by `containers.exec_create`."""

from pydocker.client import answers
from pydocker.client.api import Client, Stream, segment


def start(client: Client, session: str, *, tty: bool) -> Stream:
    """Run it; the stream carries its standard streams."""
    return client.upgrade(f"/exec/{segment(session)}/start", None, {"Detach": False, "Tty": tty})


def start_detached(client: Client, session: str, *, tty: bool) -> None:
    client.post(f"/exec/{segment(session)}/start", None, {"Detach": True, "Tty": tty})


def detail(client: Client, session: str) -> answers.ExecDetail:
    return client.get(f"/exec/{segment(session)}/json", answers.ExecDetail)


def resize(client: Client, session: str, height: int, width: int) -> None:
    client.post(f"/exec/{segment(session)}/resize", {"h": height, "w": width})
