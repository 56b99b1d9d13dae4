"""The flags of `volume create` that are a Swarm's: sent as they are meant, for a server that has one.

Shapes: Engine API, ClusterVolumeSpec; docker/cli, cli/command/volume/create.go.
"""

from collections.abc import Mapping
from typing import Any

from pydocker.cli.errors import CommandError
from pydocker.cli.flags import BYTES, PAIRS, pair, value, values

CREATE_FLAGS = (
    value("--availability", help='Cluster Volume availability ("active", "pause", "drain")', shown='"active"'),
    value("--group", help="Cluster Volume group (cluster volumes)"),
    value("--limit-bytes", kind=BYTES, help="Minimum size of the Cluster Volume in bytes"),
    value("--required-bytes", kind=BYTES, help="Maximum size of the Cluster Volume in bytes"),
    value("--scope", help='Cluster Volume access scope ("single", "multi")', shown='"single"'),
    values("--secret", kind=PAIRS, help="Cluster Volume secrets"),
    value("--sharing", help='Cluster Volume access sharing ("none", "readonly", "onewriter", "all")', shown='"none"'),
    values("--topology-preferred", help="A topology that the Cluster Volume would be preferred in"),
    values("--topology-required", help="A topology that the Cluster Volume must be accessible from"),
    value("--type", help='Cluster Volume access type ("mount", "block")', shown='"block"'))


def cluster(given: Mapping[str, Any]) -> dict[str, object]:
    """The ClusterVolumeSpec; empty if none of these flags was given. Raises CommandError."""
    if not any(item not in (None, ()) for item in given.values()):
        return {}
    kind = given["type"] or "block"
    if kind not in ("mount", "block"):
        raise CommandError(f"{kind} is not a valid volume access type")
    access: dict[str, object] = {"Scope": given["scope"] or "single", "Sharing": given["sharing"] or "none",
                                 "MountVolume" if kind == "mount" else "BlockVolume": {}}
    return {
        "Group": given["group"] or "", "AccessMode": access, "Availability": given["availability"] or "active",
        "Secrets": [{"Key": key, "Secret": secret} for key, secret in sorted(given["secret"])],
        "CapacityRange": {"RequiredBytes": given["required_bytes"] or 0, "LimitBytes": given["limit_bytes"] or 0},
        "AccessibilityRequirements": {"Requisite": list(map(_topology, given["topology_required"])),
                                      "Preferred": list(map(_topology, given["topology_preferred"]))}}


def _topology(text: str) -> dict[str, object]:
    """`region=R1,zone=Z1`."""
    return {"Segments": dict(pair(segment) for segment in text.split(",") if segment)}
