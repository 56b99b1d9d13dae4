"""A registry that has exactly what a test puts into it, however wrong: the stub, with the documents of an image.

    with Evil() as evil:
        evil.tag(evil.image(layer=…, replies=(Reply(500),)))         served under `evil.name()`
"""

import gzip
import hashlib
import json
import socket
from typing import Any

from tests.peers.layout import CONFIG, LAYER, MANIFEST, Document, archive
from tests.peers.stub import TLS_HANDSHAKE, Reply, Stub


class Evil(Stub):
    """A registry with one repository, `a/b`, that has whatever a test puts into it."""

    def name(self, tag: str = "1") -> str:
        return f"{self.address}/a/b:{tag}"

    def wrap(self, connection: socket.socket) -> socket.socket | None:
        """A web server's answer to TLS that it does not speak, so that nobody tries that again and again."""
        if connection.recv(1, socket.MSG_PEEK) != TLS_HANDSHAKE:
            return connection
        connection.recv(65536)
        connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        return None

    def blob(self, media_type: str, content: bytes, *replies: Reply) -> Document:
        """Serve a blob (by `replies`, if there are any), and describe it."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.on(f"/v2/a/b/blobs/{digest}", *(replies or (Reply(body=content, ranges=True),)))
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def image(self, *, layer: bytes | None = None, replies: tuple[Reply, ...] = (), config: Document | None = None,
              **changes: Any) -> Document:
        """An image's manifest; `replies` are what its layer's blob is answered by."""
        plain = layer if layer is not None else archive({"file": b"content"})
        document = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/file"]}} | (config or {})
        document["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(plain).hexdigest()}"]}
        return {
            "schemaVersion": 2, "mediaType": MANIFEST, "config": self.blob(CONFIG, json.dumps(document).encode()),
            "layers": [self.blob(LAYER, gzip.compress(plain, 1, mtime=0), *replies)],
        } | changes

    def tag(self, document: Document | bytes, media_type: str = MANIFEST, tag: str = "1", **headers: str) -> bytes:
        """Serve a document under a tag and under its digest."""
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        reply = Reply(headers={"Content-Type": media_type, **headers}, body=content)
        self.on(f"/v2/a/b/manifests/{tag}", reply)
        self.on(f"/v2/a/b/manifests/sha256:{hashlib.sha256(content).hexdigest()}", reply)
        return content
