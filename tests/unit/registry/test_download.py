"""`import URL`: whom it believes, which is whom the registry client believes."""

from pathlib import Path

import pytest

from pydocker.errors import Unavailable
from pydocker.registry.download import download
from tests.peers.certificates import Certificates
from tests.peers.stub import Reply, Stub


def test_the_administrators_authorities_are_believed(made: Certificates, tmp_path: Path) -> None:
    with Stub(made) as stub:
        stub.on("/root.tar", Reply(body=b"content"))
        with pytest.raises(Unavailable, match="x509: certificate signed by unknown authority"), \
                download(f"{stub.url}/root.tar"):
            pass
        (tmp_path / "certs.d" / stub.address).mkdir(parents=True)
        (tmp_path / "certs.d" / stub.address / "ca.crt").write_bytes(made.authority.read_bytes())
        with download(f"{stub.url}/root.tar", [tmp_path / "certs.d"]) as found:
            assert (b"".join(found.pieces), found.size) == (b"content", 7)
