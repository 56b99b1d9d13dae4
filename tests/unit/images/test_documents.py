"""Configs as the world writes them."""

import pytest

from pydocker.errors import PydockerError
from pydocker.images.documents import config_of


def test_nulls_are_as_if_not_there() -> None:
    config = config_of(b'{"architecture":"amd64","os":"linux","config":null,"history":null,"created":null,'
                       b'"rootfs":{"type":"layers","diff_ids":[]}}')
    assert (config.config.env, config.history, config.created) == (None, (), None)


def test_only_the_known_fields_are_read() -> None:
    config = config_of(b'{"architecture":"amd64","os":"linux","config":{"Env":["A=b"],"Privileged":true,'
                       b'"HostConfig":{"Privileged":true},"ArgsEscaped":true},"rootfs":{"type":"layers","diff_ids":[]}}')
    assert config.config.env == ("A=b",)
    assert not hasattr(config.config, "privileged")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"os":5}', b'{"architecture":"a","os":"linux"}', b"[" * 100_000])
def test_not_a_config(content: bytes) -> None:
    with pytest.raises(PydockerError, match=r"image config sha256:[0-9a-f]{64}: not a valid document"):
        config_of(content)
