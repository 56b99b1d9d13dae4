"""The verbs for a container that is there: what happens to it, and what is to be known of it."""

import os
import sys

import msgspec

from runtime.cli.arguments import Call
from runtime.cli.flags import UPDATE
from runtime.state import Place


def start(call: Call) -> int:
    from runtime import lifecycle
    lifecycle.start_telling(Place(call.root, call.given.words[0]), os.environ.get("NOTIFY_SOCKET", ""))
    return 0


def kill(call: Call) -> int:
    from runtime import lifecycle
    id, *signals = call.given.words
    lifecycle.kill(Place(call.root, id), signals[0] if signals else "TERM", everything=call.given.on("all"))
    return 0


def delete(call: Call) -> int:
    from runtime import lifecycle
    lifecycle.delete(Place(call.root, call.given.words[0]), force=call.given.on("force"))
    return 0


def pause(call: Call) -> int:
    from runtime.pause import pause
    pause(Place(call.root, call.given.words[0]))
    return 0


def resume(call: Call) -> int:
    from runtime.pause import resume
    resume(Place(call.root, call.given.words[0]))
    return 0


def update(call: Call) -> int:
    from runtime.update import from_file, from_flags, update

    given = call.given
    place = Place(call.root, given.words[0])
    place.record()  # an unknown container is the first thing to be said
    asked = {name: given.text(name) for name in UPDATE if name != "help"}
    update(place, from_file(asked["resources"]) if asked["resources"] else from_flags(asked))
    return 0


def state(call: Call) -> int:
    from runtime import lifecycle
    found = lifecycle.state(Place(call.root, call.given.words[0]))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    return 0


def ps(call: Call) -> int:
    from runtime.ps import pids, table
    id, *options = call.given.words
    place = Place(call.root, id)
    if call.given.text("format") == "json":
        sys.stdout.write(msgspec.json.encode(pids(place)).decode() + "\n")
        return 0
    print("\n".join(table(place, options)))
    return 0


def events(call: Call) -> int:
    from runtime.events import once, seconds, stream
    place = Place(call.root, call.given.words[0])
    interval = seconds(call.given.text("interval") or "5s")

    def tell(line: bytes) -> None:
        os.write(1, line)

    try:
        if call.given.on("stats"):
            once(place, tell)
        else:
            stream(place, interval, tell)
    except BrokenPipeError:  # whoever read has seen enough
        return 0
    return 0


def list_(call: Call) -> int:
    from runtime import lifecycle

    states = lifecycle.every(call.root)
    if call.given.on("quiet"):
        print("".join(f"{one.id}\n" for one in states), end="")
        return 0
    if call.given.text("format") == "json":
        sys.stdout.write(msgspec.json.encode(states).decode() + "\n")
        return 0
    rows = [("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")]
    rows += [(one.id, str(one.pid), one.status.value, one.bundle, one.created, one.owner) for one in states]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0
