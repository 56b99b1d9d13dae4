"""What happened: `events.jsonl` below the data root, written by whoever does the thing, read by whoever asks.

Containers start and end without a server, so events cannot be a server's memory (Docker's are, the last 256 of them):
they are lines of a file, appended with one write(2) each by the server and by every monitor. A server that is started
later finds them all.

    events.jsonl    <- O_APPEND, by many writers
    events.jsonl.1  <- what was it before it had grown to LIMIT
    events.jsonl.2

A writer holds a shared flock(2) on the file while it writes, and whoever renames it an exclusive one: so a file that
has lost its name never grows, and a reader that has come to its end may leave it for the next.
"""

from pydocker.events.journal import Journal, Subject
from pydocker.events.reader import follow, read

__all__ = ["Journal", "Subject", "follow", "read"]
