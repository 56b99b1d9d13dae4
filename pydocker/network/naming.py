"""The place where a container asks for names: 127.0.0.11, port 53, which is not the port that anybody listens on.

Docker leads there by NAT; two rules that rewrite the port alone need no connection tracking in the container's
namespace, which would cost every packet of it something.
"""

import contextlib
import os
import socket

from pydocker.network import namespace, nft
from pydocker.network.resolvconf import INTERNAL
from pydocker.network.steps import Site
from runtime.step import Step

TABLE = "pydocker_dns"


class Listen(Step[Site], frozen=True):
    """Where the monitor answers names."""

    why = ("containers find each other by name; the monitor listens on ports that the kernel chose, and port 53 of "
           "that address is led to them: so port 53 stays free for the container's own programs, on every address")
    manual = "resolv.conf(5), nft(8), payload statement"
    netns: str

    def describe(self) -> str:
        return f"listen on {INTERNAL}, and lead its port 53 there"

    def shell(self) -> str:
        return f"ip netns exec {self.netns} nft '{rules('$udp', '$tcp')}'"

    def apply(self, at: Site) -> None:
        with namespace.inside(at.namespace), contextlib.ExitStack() as undo:
            udp, tcp = (undo.enter_context(_listening(kind)) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM))
            nft.apply(rules(str(udp.getsockname()[1]), str(tcp.getsockname()[1])))
            at.listening = (udp.detach(), tcp.detach())

    def undo(self, at: Site) -> None:
        for fd in at.listening:
            os.close(fd)
        at.listening = ()


def _listening(kind: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    try:
        made.bind((INTERNAL, 0))
        if kind == socket.SOCK_STREAM:
            made.listen()
    except BaseException:
        made.close()
        raise
    return made


def rules(udp: str, tcp: str) -> str:
    """What is sent to port 53 goes to the real one, and what comes from that says that it comes from 53.

    The table is emptied first: of a container that was connected once more, it leads to earlier sockets.
    """
    return (f"table ip {TABLE}; flush table ip {TABLE}; table ip {TABLE} {{ chain led {{ "
            "type filter hook output priority -300; "
            f"ip daddr {INTERNAL} udp dport 53 udp dport set {udp}; "
            f"ip daddr {INTERNAL} tcp dport 53 tcp dport set {tcp}; "
            f"ip saddr {INTERNAL} udp sport {udp} udp sport set 53; "
            f"ip saddr {INTERNAL} tcp sport {tcp} tcp sport set 53; }}; }}")
