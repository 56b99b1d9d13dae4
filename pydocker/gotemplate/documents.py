"""The engine's documents, with the types that Docker's client gives them before a template sees them.

JSON does not tell a struct from a map, nor null lists from null pointers, and leaves out what is empty. For a template
these are different things: `{{.State}}` prints as {running true …}, `{{index .Config.Labels "x"}}` is "" where there is
no such label, `{{if .State.Health}}` is false where there is none, and `{{.Config.Foo}}` is an error.
"""

from collections.abc import Mapping

from pydocker.gotemplate.values import NO_LIST, NO_MAP, NO_POINTER, Function, Map, Struct, Value

# Fields that are maps, and what a key is worth in them that is not there.
_MAPS: Mapping[str, Value] = {
    **dict.fromkeys(("Annotations", "Attributes", "AuxiliaryAddresses", "Data", "Details", "DriverOpts", "Labels",
                     "Options", "Properties", "StorageOpt", "Sysctls", "Tmpfs"), ""),
    **dict.fromkeys(("Ports", "PortBindings"), None), "Networks": NO_POINTER,
    **dict.fromkeys(("Containers", "ExposedPorts", "IndexConfigs", "Runtimes", "Volumes"), Struct({})),
}
_MAPS_IN = {("LogConfig", "Config"): ""}
_POINTERS = frozenset((
    "Health", "Healthcheck", "IPAMConfig", "Init", "MemorySwappiness", "OomKillDisable", "PidsLimit", "SizeRootFs",
    "SizeRw", "StopTimeout", "BindOptions", "TmpfsOptions", "VolumeOptions", "UsageData", "Descriptor"))

# What a document leaves out where it is empty, by the name of what it stands in ("": the document itself).
_OPTIONAL: Mapping[str, Mapping[str, Value]] = {
    "": {"SizeRw": NO_POINTER, "SizeRootFs": NO_POINTER, "UsageData": NO_POINTER, "Options": NO_MAP,
         "Labels": NO_MAP},
    "State": {"Health": NO_POINTER},
    "Config": {"Healthcheck": NO_POINTER, "ExposedPorts": NO_MAP, "StopSignal": "", "StopTimeout": NO_POINTER,
               "Shell": NO_LIST, "MacAddress": "", "Volumes": NO_MAP, "Labels": NO_MAP},
    "HostConfig": {"Annotations": NO_MAP, "Sysctls": NO_MAP, "StorageOpt": NO_MAP, "Tmpfs": NO_MAP,
                   "Init": NO_POINTER, "Mounts": NO_LIST},
    "Mounts": {"Name": "", "Source": "", "Driver": ""},
}
_SPELLINGS = {"Id": "ID", "id": "ID", "status": "Status", "from": "From", "scope": "Scope", "time": "Time",
              "timeNano": "TimeNano"}  # in JSON, and in Go


def typed(document: Value, kind: str = "", name: str = "") -> Value:
    """`document` as a template takes it: the field `name` of another one, or one of its own, of the Go type `kind`."""
    if isinstance(document, Mapping):
        return Struct({**{key: _field(name, key, value) for key, value in document.items()},
                       **_hidden(document, name)}, kind)
    if isinstance(document, list | tuple):
        return [typed(one, "", name) for one in document]
    return document


def _field(parent: str, name: str, value: Value) -> Value:
    a_map = name in _MAPS or (parent, name) in _MAPS_IN
    if value is None:
        return NO_POINTER if name in _POINTERS else NO_MAP if a_map else NO_LIST
    if a_map and isinstance(value, Mapping):
        entries = {key: typed(one) if one is not None else NO_LIST for key, one in value.items()}
        return Map(entries, _MAPS.get(name, ""))
    return typed(value, "", name)


def _hidden(document: Mapping[str, Value], name: str) -> Mapping[str, Value]:
    """Fields that a template may ask for, and that neither print nor stand in JSON: as methods they do just that."""
    spelled = {_SPELLINGS[key]: value for key, value in document.items()
               if key in _SPELLINGS and _SPELLINGS[key] not in document}
    empty = {key: zero for key, zero in _OPTIONAL.get(name, {}).items() if key not in document}
    return {key: Function(lambda value=value: value, ()) for key, value in (*spelled.items(), *empty.items())}
