"""A namespace that is there already, and is named by a path: another container's, or what a network plugin made."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from runtime.errors import StepFailed
from runtime.linux.namespaces import KINDS, join, open_namespace


class Joined(msgspec.Struct, frozen=True):
    """Which one. Only the kernel knows what a path leads to: `member` is the JSON path of what names it."""

    kind: str
    path: str
    member: str

    def opened(self) -> int:
        """Raises StepFailed."""
        with self.located():
            return open_namespace(self.kind, self.path)

    def enter(self, descriptor: int) -> None:
        """Raises StepFailed."""
        with self.located():
            join(descriptor, KINDS[self.kind][0], self.kind)

    @contextmanager
    def located(self) -> Iterator[None]:
        try:
            yield
        except StepFailed as error:
            raise StepFailed(f"{error} - at `{self.member}`") from error
