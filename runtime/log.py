"""The log file of --log: one line a message, as logrus writes it, since callers read it.

containerd and podman take the last line of level error for the reason why a command failed; both ask for JSON. Without
--log, a warning goes to standard error, and debug lines go nowhere but there.
"""

import os
import time

import msgspec

FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
# Set once, by the command line, as the log is the process's: file (absolute; empty for standard error), format, debug.
_target = ["", "text", False]


def to(file: str, form: str, *, debugging: bool) -> None:
    """Where messages go from now on. `form` is text or json. Raises OSError if the file cannot be opened: whoever asks
    for a log will look for the reason of a failure there, and nowhere else."""
    _target[:] = ["", form or "text", debugging]
    if file:
        os.close(os.open(file, FLAGS, 0o644))
        _target[0] = os.path.abspath(file)


def debugging() -> bool:
    return bool(_target[2])


def error(text: str) -> None:
    """Only to a file: on standard error the command line says it in its own way."""
    if _target[0]:
        write("error", text)


def warning(text: str) -> None:
    write("warning", text)


def debug(text: str) -> None:
    if _target[2]:
        write("debug", text)


def line(level: str, text: str, form: str) -> bytes:
    """One message, as logrus' formatters write it."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if form == "json":
        return msgspec.json.encode({"level": level, "msg": text, "time": moment}) + b"\n"
    return b'time="%s" level=%s msg=%s\n' % (moment.encode(), level.encode(), msgspec.json.encode(text))


def write(level: str, text: str) -> None:
    """Append one line. A log that cannot be written is no reason to leave the command undone."""
    file, form, _ = _target
    # A file name may have come in as any bytes; JSON is UTF-8.
    content = line(level, text.encode(errors="surrogateescape").decode(errors="replace"), str(form))
    try:
        descriptor = os.open(str(file), FLAGS, 0o644) if file else 2
        try:
            os.write(descriptor, content)
        finally:
            if descriptor != 2:
                os.close(descriptor)
    except OSError:
        return
