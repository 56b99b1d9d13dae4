"""`pydocker cp`: files and directories into a container and out of it.

Either way an archive travels. What comes out of a container is a stranger's: it is unpacked by descriptors that the
kernel keeps below the destination (`layers.place`), so that neither its names nor its links can reach anything else of
this machine's (CVE-2026-17106). What both paths mean is in `model.copypath`.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from pydocker.cli.command import TWO, Command
from pydocker.cli.copying import Counter
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import switch
from pydocker.cli.session import Session, write_all
from pydocker.client import files
from pydocker.layers import pack, tar
from pydocker.layers.pack import Packed
from pydocker.layers.place import BENEATH, Place, Rules
from pydocker.layers.walk import Walk
from pydocker.model import copypath
from pydocker.model.copypath import End
from pydocker.wire import pathstat

_MOST_LINKS = 10  # at the end of a destination, as many as Docker follows


def cp(session: Session, arguments: tuple[str, ...], *, archive: bool, follow_link: bool, quiet: bool) -> int:
    """Copy; on a terminal say how much it was."""
    for argument, what in zip(arguments, ("source", "destination"), strict=True):
        if not argument:
            raise CommandError(f"{what} can not be empty")
    (source, inside), (target, outside) = map(copypath.parsed, arguments)
    quiet = quiet or not os.isatty(session.stdout)
    if source and target:
        raise CommandError("copying between containers is not supported")
    if source:
        _out(session, source, inside, outside, follow=follow_link, keep_owner=archive, quiet=quiet)
    elif target:
        _into(session, inside, target, outside, follow=follow_link, to_user=archive, quiet=quiet)
    else:
        raise CommandError("must specify at least one container source")
    return 0


# -- out of a container ---------------------------------------------------------------------------


def _out(session: Session, container: str, path: str, target: str, *, follow: bool, keep_owner: bool,
         quiet: bool) -> None:
    client, name = session.client(), ""
    if follow and (found := files.stat(client, container, path)) and found.mode & pathstat.SYMLINK:
        path, name = _followed(path, found.link_target)
    local = _local(session, target) if target != "-" else ""
    if local:
        _check_output(local)
    told, response = files.archive(client, container, path)
    with response, contextlib.closing(response.pieces()) as content:
        if not local:
            for piece in content:
                write_all(session.stdout, piece)
            return
        source = End(path, True, bool(told.mode & pathstat.DIRECTORY), name)
        with Counter(session, "Copying from container", quiet=quiet) as counter:
            _unpack(counter.counted(content), source, _destination(local), keep_owner)
        counter.done(local)


def _followed(path: str, link: str) -> tuple[str, str]:
    """The path that a link's target is, and what its entries are to be called: by the link's name."""
    if not link.startswith("/"):
        link = os.path.join(copypath.split(path)[0], link)
    link += "/." if copypath.is_content(path) else "/" if path.endswith("/") else ""
    named, target = copypath.split(path)[1], copypath.split(link)[1]
    return link, named if named != target else ""


def _unpack(content: Iterator[bytes], source: End, target: End, keep_owner: bool) -> None:
    directory, rename = copypath.decide(source, target)
    if source.name:
        rename = _both(copypath.renamer(copypath.split(source.path)[1], source.name), rename)
    rename = _both(copypath.asked(source.path), rename)
    try:
        root = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _failed("open", directory, error) from error
    rules = Rules(keep_owner=keep_owner, replace_directories=False)
    try:
        with Place(root, rules=rules, resolve=BENEATH) as place:
            place.take(tar.Reader(content), rename)
    finally:
        os.close(root)


def _both(first: Callable[[bytes], bytes], then: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda path: then(first(path))


def _destination(path: str) -> End:
    """Links at the end are followed; it need not be there, but the directory that it is to be in."""
    given = path
    for _ in range(_MOST_LINKS + 1):
        try:
            kind = os.lstat(path).st_mode
        except FileNotFoundError:
            return _missing(path)
        except OSError as error:
            raise _failed("lstat", path, error) from error
        if not stat.S_ISLNK(kind):
            return End(path, True, stat.S_ISDIR(kind))
        path = os.path.join(copypath.split(path)[0], os.readlink(path.rstrip("/")))
    raise CommandError(f"too many symlinks in {given}")


def _missing(path: str) -> End:
    above = copypath.split(path)[0]
    try:
        if not stat.S_ISDIR(os.stat(above).st_mode):
            raise CommandError("not a directory")
    except OSError as error:
        raise _failed("stat", above, error) from error
    return End(path, False, False)


def _check_output(path: str) -> None:
    above = os.path.dirname(os.path.normpath(path))
    if not os.path.exists(above):
        raise CommandError(f'invalid output path: directory "{above}" does not exist')
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        kind = os.stat(path).st_mode
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
            raise CommandError(f'invalid output path: "{path}" must be a directory or a regular file: got a device')


# -- into a container -----------------------------------------------------------------------------


def _into(session: Session, source: str, container: str, path: str, *, follow: bool, to_user: bool,
          quiet: bool) -> None:
    client = session.client()
    found, target = files.stat(client, container, path), path
    if found is not None and found.mode & pathstat.SYMLINK:
        link = found.link_target
        target = link if link.startswith("/") else os.path.join(copypath.split(path)[0], link)
        found = files.stat(client, container, target)
    if found is not None and found.mode & pathstat.DEVICE:
        raise CommandError(f'destination "{container}:{path}" must be a directory or a regular file: got a device')
    end = End(target, found is not None, found is not None and bool(found.mode & pathstat.DIRECTORY))
    if source == "-":
        if not end.is_directory:
            raise CommandError(f'destination "{container}:{path}" must be a directory')
        from pydocker.cli.archives import pieces  # it imports what load and save need: 5 ms that no other copy pays

        with contextlib.closing(pieces(session, "-")) as content:
            files.extract(client, container, target, content, to_user=to_user)
        return
    local, name = _source(_local(session, source), follow)
    directory, rename = copypath.decide(End(local, True, os.path.isdir(local) and not _is_link(local), name), end)
    if name:
        rename = _both(copypath.renamer(copypath.split(local)[1], name), rename)
    with Counter(session, "Copying to container", quiet=quiet) as counter:
        packed = counter.counted(pack.stream(_renamed(_walked(local), rename)))
        files.extract(client, container, directory, packed, to_user=to_user)
    counter.done(f"{container}:{path}")


def _source(path: str, follow: bool) -> tuple[str, str]:
    """The path to read, and another name for what it leads to: links before its end are always followed."""
    try:
        if follow:
            resolved = os.path.realpath(path, strict=True)
            resolved += "/." if copypath.is_content(path) and resolved != "/" else "/" if path.endswith("/") else ""
            named = copypath.split(path)[1]
            return resolved, named if named != copypath.split(resolved)[1] else ""
        os.lstat(path)
    except OSError as error:
        raise _failed("lstat", path, error) from error
    return path, ""


def _is_link(path: str) -> bool:
    return os.path.islink(path) and not copypath.insists(path)


def _walked(path: str) -> Iterator[Packed]:
    name = copypath.split(path)[1]
    try:
        # a path that insists on a directory leads through a link at its end
        flags = os.O_PATH | os.O_CLOEXEC | (0 if copypath.insists(path) else os.O_NOFOLLOW)
        handle = os.open(path, flags)
    except OSError as error:
        raise _failed("open", path, error) from error
    try:
        yield from Walk().tree(handle, b"./" if name == "." else os.fsencode(name))
    except OSError as error:
        raise _failed("read", path, error) from error
    finally:
        os.close(handle)


def _renamed(entries: Iterable[Packed], rename: Callable[[bytes], bytes]) -> Iterator[Packed]:
    for entry, content in entries:
        link = rename(entry.link) if entry.kind == tar.HARD_LINK else entry.link
        yield Packed(replace(entry, path=rename(entry.path), link=link), content)


def _local(session: Session, path: str) -> str:
    """The caller's path, absolute, with the end that insists on a directory."""
    return copypath.cleaned(os.path.join(os.path.abspath(session.directory), path))


def _failed(call: str, path: str, error: OSError) -> CommandError:
    return CommandError(f"{call} {path.rstrip('/') or '/'}: {os.strerror(error.errno or 0).lower()}")


CP = Command(
    "cp", cp, synopsis="CONTAINER:SRC_PATH DEST_PATH|-\n\tpydocker cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    arity=TWO, help="Copy files/folders between a container and the local filesystem",
    aliases=("container cp", "cp"),
    details="Use '-' as the source to read a tar archive from stdin\nand extract it to a directory destination in a "
            "container.\nUse '-' as the destination to stream a tar archive of a\ncontainer source to stdout.",
    flags=(
        switch("-a", "--archive", help="Archive mode (copy all uid/gid information)"),
        switch("-L", "--follow-link", help="Always follow symbol link in SRC_PATH"),
        switch("-q", "--quiet", help="Suppress progress output during copy. Progress output is automatically "
                                     "suppressed if no terminal is attached"),
    ))
