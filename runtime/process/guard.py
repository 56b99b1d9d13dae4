"""No import after entering (SECURITY R8, the Python edition of CVE-2019-14271).

Once the root is the container's, an import would look for modules in the *image*, and run its code with our
privileges. So everything is imported before, and then importing is made impossible: whoever tries gets an error that
says so, instead of the image's module.
"""

import gc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import NoReturn


class Refuse:
    """The only finder that is left: finds nothing, loudly."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        refuse(name)


def refuse(name: str) -> NoReturn:
    raise ImportError(f"import of {name} after the process entered the container")


_before: list[object] = []


def forbid_imports() -> None:
    """From now on only what is loaded can be used. Cannot be taken back."""
    sys.meta_path[:] = [Refuse()]
    # Replaced, not cleared: to free what is in them would copy the parent's pages.
    _before.append((sys.path_hooks, sys.path_importer_cache, sys.path))
    sys.path_hooks, sys.path_importer_cache, sys.path = [], {}, []
    # The process is about to become another program: collecting garbage would only copy the parent's pages.
    gc.disable()
