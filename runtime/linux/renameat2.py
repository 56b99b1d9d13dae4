"""renameat2(2): a rename that takes nobody's place."""

from runtime.linux.calls import call, text

RENAME_NOREPLACE = 1


def rename_noreplace(source: str, target: str, source_dir: int, target_dir: int) -> None:
    """Rename, unless `target` is there: FileExistsError. In one step, so that nothing made meanwhile is lost."""
    call("renameat2", source_dir, text(source), target_dir, text(target), RENAME_NOREPLACE, path=target)
