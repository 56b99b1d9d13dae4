"""The listener of a seccomp filter: somebody outside who answers for the kernel, call by call (seccomp_unotify(2)).

Its descriptor is born in the process that loads the filter, which says its number; from there the process outside takes
it, and sends it, with the container's state, to the socket that config.json names.
"""

import os
from typing import ClassVar

import msgspec

from runtime.errors import StepFailed
from runtime.linux import seccomp
from runtime.linux.sockets import connect, send_descriptor
from runtime.spec import ContainerProcessState, LinuxSeccomp, State
from runtime.stage import Inside, Outside
from runtime.step import Step
from runtime.sync import Listener


class TellListener(Step[Inside], frozen=True):
    """Say which of this process's descriptors is the listener."""

    why: ClassVar[str] = "at once: from now on, any other call may be one that waits for the listener's answer"
    manual: ClassVar[str] = "seccomp_unotify(2), pipe(7)"

    def describe(self) -> str:
        return "tell the outside where the seccomp listener is"

    def shell(self) -> str:
        return ":  # no command makes a listener"

    def apply(self, at: Inside) -> None:
        at.channel.send(Listener(at.listener))


class SendListener(Step[Outside], frozen=True):
    """Give the descriptor, on which the calls can be read and answered, to who listens at the socket."""

    why: ClassVar[str] = (
        "the process whose calls are held cannot answer them itself; before the program starts, as its first call may "
        "be one of them")
    manual: ClassVar[str] = "seccomp_unotify(2), pidfd_getfd(2), unix(7)"
    profile: LinuxSeccomp
    state: State  # pid 0 stands for the process that is being made

    def describe(self) -> str:
        return f"send the seccomp listener to {self.profile.listener_path}"

    def shell(self) -> str:
        return ":  # no command takes a descriptor out of another process"

    def apply(self, at: Outside) -> None:
        assert at.channel is not None
        message = at.channel.receive()
        assert isinstance(message, Listener), message
        send_listener(at.pid, message.descriptor, self.profile, self.state)


def send_listener(pid: int, number: int, profile: LinuxSeccomp, state: State) -> None:
    """Take the descriptor out of the process, and send it with the state. Raises StepFailed."""
    told = ContainerProcessState(
        oci_version=state.oci_version, fds=("seccompFd",), pid=pid, metadata=profile.listener_metadata,
        state=msgspec.structs.replace(state, pid=state.pid or pid))
    opened: list[int] = []
    try:
        opened.append(os.pidfd_open(pid))
        opened.append(seccomp.take_descriptor(opened[0], number))
        opened.append(connect(profile.listener_path))
        send_descriptor(opened[2], msgspec.json.encode(told), opened[1])
    except OSError as error:
        raise StepFailed("failed to connect with seccomp agent specified in the seccomp profile: "
                         f"{profile.listener_path}: {str(error.strerror).lower()}") from error
    finally:
        for descriptor in opened:
            os.close(descriptor)
