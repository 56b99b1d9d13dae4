"""Stack layers under a writable directory: overlayfs (Documentation/filesystems/overlayfs.rst).

    merged = upper over lower[-1] over … over lower[0]

mount(2) takes one page of options, 4096 bytes, and Docker allows 127 layers; a layer's path has a hundred characters.
Where the paths do not fit, or have characters that overlayfs would read as its own syntax (`:`, `,`, `\\`), each
directory is opened, and the option says `/proc/self/fd/N`: about 18 bytes. (fsconfig's `lowerdir+` would do as well,
but needs Linux 6.7.)
"""

import contextlib
import errno
import os
from collections.abc import Sequence
from shlex import quote

from pydocker.errors import NotSupported, PydockerError
from runtime.linux import mounts
from runtime.step import Step

VOLATILE = "work/incompat/volatile"  # below the work directory: as long as it is there, nothing is mounted anew
_PAGE = 4096 - len(",volatile")  # bytes of options, the closing NUL included
_SYNTAX = frozenset(":,\\")
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def overlay_options(lower: Sequence[str], upper: str, work: str) -> str:
    """The options of `mount -t overlay`. `lower` is lowest first; overlayfs wants the topmost first.

    Without `upper`, nothing can be written.
    """
    writable = f",upperdir={upper},workdir={work}" if upper else ""
    return f"lowerdir={':'.join(reversed(lower))}{writable}"


def fits(lower: Sequence[str], upper: str, work: str) -> bool:
    """Whether the options can name the directories themselves."""
    return (len(os.fsencode(overlay_options(lower, upper, work))) < _PAGE
            and not any(_SYNTAX.intersection(path) for path in (*lower, upper, work)))


class MountOverlay(Step[object], frozen=True, kw_only=True):
    """The container's root file system, at `target`. `lower` are the image's layers, lowest first.

    `volatile`: what is written need not survive a power cut. Without it, unmounting syncs the whole file system that
    `upper` lies on, which can take as long as others have written there: half a second, for a container that is
    deleted in the next moment.
    """

    why = ("the image's layers stay as they are and are shared; what the container writes goes to a directory of its "
           "own. In the monitor's mount namespace, so that the host's mount table never changes")
    manual = "mount(2), overlayfs"

    lower: tuple[str, ...]
    upper: str
    work: str
    target: str
    volatile: bool = False

    def describe(self) -> str:
        count = len(self.lower)
        layers = f"{count} layer{'' if count == 1 else 's'}"
        return f"mount an overlay of {layers}{f' and {self.upper}' if self.upper else ''} on {self.target}"

    def shell(self) -> str:
        options = quote(self._completed(overlay_options(self.lower, self.upper, self.work)))
        return f"mount -t overlay overlay -o {options} {quote(self.target)}"

    def apply(self, at: object) -> None:
        """Raises NotSupported on a kernel without overlayfs, PydockerError with the call for anything else."""
        with contextlib.ExitStack() as opened:
            try:
                mounts.mount("overlay", self.target, "overlay", 0, self._completed(self._options(opened)))
            except OSError as error:
                raise self._explained(error) from error

    def undo(self, at: object) -> None:
        mounts.umount2(self.target, mounts.MNT_DETACH)

    def _completed(self, options: str) -> str:
        return f"{options},volatile" if self.volatile else options

    def _options(self, opened: contextlib.ExitStack) -> str:
        if fits(self.lower, self.upper, self.work):
            return overlay_options(self.lower, self.upper, self.work)

        def through_descriptor(path: str) -> str:
            fd = os.open(path, _DIRECTORY)
            opened.callback(os.close, fd)
            return f"/proc/self/fd/{fd}"

        writable = (through_descriptor(self.upper), through_descriptor(self.work)) if self.upper else ("", "")
        options = overlay_options(tuple(map(through_descriptor, self.lower)), *writable)
        if len(options) >= _PAGE:
            raise NotSupported(f"mount overlay on {self.target}: {len(self.lower)} layers are more than a page names")
        return options

    def _explained(self, error: OSError) -> PydockerError:
        if error.errno == errno.ENODEV:
            return NotSupported("the kernel has no overlay file system (mount(2), ENODEV): load the module `overlay`")
        code, text = errno.errorcode.get(error.errno or 0, "?"), os.strerror(error.errno or 0).lower()
        return PydockerError(f"mount overlay on {self.target}: {text} (mount(2), {code})")
