"""The programs that change firewalls: commands in, what they print out.

posix_spawn and files in memory, because monitors do this too, and need not import subprocess for it (8 ms).
"""

import os
import signal
from collections.abc import Sequence

from pydocker.errors import PydockerError

_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_ENVIRONMENT = {"PATH": _PATH, "LC_ALL": "C"}
_NFT = "nft"


class Refused(PydockerError):
    """The kernel, or the program, did not take it; then nothing has changed."""


def find(name: str) -> str:
    """The program's path; "": it is not installed."""
    return next((path for folder in _PATH.split(":") if os.access(path := f"{folder}/{name}", os.X_OK)), "")


def run(program: str, words: Sequence[str], text: str = "") -> bytes:
    """What it prints. Raises Refused; PydockerError: there is no such program."""
    files = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("commands", "output", "complaint")]
    try:
        os.write(files[0], text.encode())
        os.lseek(files[0], 0, os.SEEK_SET)
        code = _spawn(program, words, files)
        output, complaint = (_content(file) for file in files[1:])
    finally:
        for file in files:
            os.close(file)
    if code != 0:
        raise Refused(f"{program} {' '.join(words)}: {_told(complaint.decode(errors='replace'))}")
    return output


def _spawn(name: str, words: Sequence[str], files: Sequence[int]) -> int:
    actions = [(os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate(files)]
    if not (program := find(name)):
        package = "nftables" if name == _NFT else "iptables"
        raise PydockerError(f"{name}: executable file not found: networks need the package {package}")
    # What Python ignores would stay ignored across execve(2).
    pid = os.posix_spawn(program, (name, *words), _ENVIRONMENT, file_actions=actions,
                         setsigdef=(signal.SIGPIPE, signal.SIGXFSZ))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _content(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def _told(complaint: str) -> str:
    """The first error, and the line of ours that it is about, which nft repeats below."""
    lines = complaint.splitlines()
    for number, line in enumerate(lines):
        _, error, reason = line.partition("Error: ")
        if error:
            about = f": {lines[number + 1].strip()}" if number + 1 < len(lines) else ""
            return f"{reason}{about}"
    return complaint.strip() or "it failed without a word"
