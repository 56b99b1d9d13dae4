"""`--log-opt tag=`: a Go template, filled when the container starts with what Docker lets it know of the container.

Source of names and words: moby, daemon/logger/loginfo.go, daemon/logger/loggerutils/log_tag.go.
"""

import os
from datetime import UTC, datetime

from pydocker.errors import InvalidParameter
from pydocker.gotemplate.template import compile
from pydocker.gotemplate.values import Function, Map, Struct, TemplateError
from pydocker.model.container import Record


def tag(record: Record, template: str) -> str:
    """The text. Raises InvalidParameter in Docker's words."""
    try:
        return compile(template, "log-tag")(_info(record))
    except TemplateError as error:
        raise InvalidParameter(f"failed to initialize logging driver: {error}") from error


def _info(record: Record) -> Struct:
    """Docker's logger.Info: its fields, and its methods, which `{{.}}` does not print."""
    entrypoint, *arguments = record.argv
    created = datetime.fromtimestamp(record.created, UTC)
    fields = {
        "Config": Map(record.host.log_config.config), "ContainerID": record.id, "ContainerName": f"/{record.name}",
        "ContainerEntrypoint": entrypoint, "ContainerArgs": arguments, "ContainerImageID": record.image,
        "ContainerImageName": record.image_name, "ContainerCreated": f"{created:%Y-%m-%d %H:%M:%S.%f +0000 UTC}",
        "ContainerEnv": [*record.config.env], "ContainerLabels": Map(record.config.labels), "DaemonName": "docker"}
    methods = {
        "ID": record.id[:12], "FullID": record.id, "Name": record.name, "Command": " ".join(record.argv),
        "ImageID": record.image[:12], "ImageFullID": record.image, "ImageName": record.image_name,
        "Hostname": os.uname().nodename}
    return Struct({**fields, **{name: Function(lambda text=text: text, ()) for name, text in methods.items()}},
                  "*logger.Info")
