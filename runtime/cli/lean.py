"""Importing msgspec without what it imports for others: a fifth of all that happens before a container's first step.

msgspec speaks YAML, TOML, MessagePack and JSON Schema, too, knows UUIDs, decimals and typing_extensions, and
imports what it needs for that: uuid asks which platform this is, which compiles regular expressions, and so on. OCI
documents have none of these. So as long as msgspec is imported, small empty modules stand where those would be found
(7 of 45 ms; Python 3.11). Whoever wants the real ones afterwards gets them.

Only the installed command does so, whose process is ours alone. A msgspec that looks for more than there is gets all.
"""

import sys
from types import ModuleType


class Absent:
    """A class of which nothing is an instance: for UUID and Decimal. `unknown` is a member of uuid.SafeUUID."""

    unknown = None


STAND_INS: dict[str, dict[str, object]] = {
    "uuid": {"UUID": Absent, "SafeUUID": Absent},
    "decimal": {"Decimal": Absent},
    "msgspec.inspect": {},
    "msgspec.msgpack": {},
    "msgspec.toml": {},
    "msgspec.yaml": {},
    "msgspec._json_schema": {"schema": None, "schema_components": None},
}


def import_msgspec() -> None:
    """Import it so."""
    # What the names of datetime are in the end; that module first defines all of them in Python.
    import _datetime  # type: ignore[import-not-found]

    stand_ins: dict[str, ModuleType | None] = {"datetime": _datetime, "typing_extensions": None}  # None: not to be had
    for name, members in STAND_INS.items():
        stand_ins[name] = ModuleType(name)
        vars(stand_ins[name]).update(members)
    there = {name: sys.modules[name] for name in stand_ins if name in sys.modules}
    sys.modules.update(stand_ins)  # type: ignore[arg-type]
    try:
        import msgspec  # noqa: F401
    except (ImportError, AttributeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "msgspec"]:
            del sys.modules[name]
    finally:
        for name in stand_ins:
            sys.modules.pop(name, None)
        sys.modules.update(there)
