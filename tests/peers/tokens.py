"""A token server that signs real tokens, for a registry with `auth: token` (distribution's token specification).

Who gives the right password may pull and push everything; nobody in particular may pull what is below `public/`; a
wrong password is told so, as Docker Hub does. With `offline`, whoever asks for a refresh token (a login) gets one.
"""

import base64
import json
import threading
import time
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_pem_x509_certificate

from tests.peers.certificates import Certificates

ISSUER, SERVICE = "pydocker-test-issuer", "pydocker-test-registry"


class TokenServer:
    """Serves on loopback while entered. `asked` are the queries it got; `lifetime` is in seconds."""

    def __init__(self, certificates: Certificates, users: Mapping[str, str], refresh_token: str = "") -> None:
        self.users, self.refresh_token, self.lifetime = users, refresh_token, 300
        self.asked: list[dict[str, str]] = []
        self.offline = False
        self._key = serialization.load_pem_private_key(certificates.key.read_bytes(), None)
        leaf = load_pem_x509_certificate(certificates.certificate.read_bytes())
        self._chain = [base64.b64encode(leaf.public_bytes(serialization.Encoding.DER)).decode()]
        self.bundle: Path = certificates.authority
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(urlsplit(self.path).query)

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def _answer(self, query: str) -> None:
                asked = {name: " ".join(values) for name, values in parse_qs(query).items()}
                status, document = server.answer(asked, self.headers.get("Authorization"))
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet: `asked` has it."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.realm = f"http://127.0.0.1:{self._http.server_port}/token"

    def __enter__(self) -> "TokenServer":
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, asked: dict[str, str], authorization: str | None) -> tuple[int, dict[str, object]]:
        self.asked.append(asked)
        user = self._user(asked, authorization)
        if user is None:
            return 401, {"details": "incorrect username or password"}
        access = [self._access(user, *scope.split(":")) for scope in asked.get("scope", "").split()]
        later = {"refresh_token": self.refresh_token} if self.offline and user and "offline_token" in asked else {}
        return 200, {"token": self.sign(user, access)} | later

    def _access(self, user: str, kind: str, name: str, actions: str) -> dict[str, object]:
        allowed = actions.split(",") if user else ["pull"] if name.startswith("public/") else []
        return {"type": kind, "name": name, "actions": allowed}

    def _user(self, asked: dict[str, str], authorization: str | None) -> str | None:
        """A user's name, "" for nobody in particular, None for somebody who is not who he says."""
        if asked.get("grant_type") == "refresh_token":
            return "refreshed" if asked["refresh_token"] == self.refresh_token else None
        if authorization is None:
            return ""
        user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        return user if self.users.get(user) == password else None

    def sign(self, user: str, access: list[dict[str, object]]) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER, "sub": user, "aud": SERVICE, "access": access, "jti": uuid.uuid4().hex,
            "iat": now, "nbf": now - 60, "exp": now + self.lifetime,
        }
        return jwt.encode(claims, self._key, "ES256", {"x5c": self._chain})
