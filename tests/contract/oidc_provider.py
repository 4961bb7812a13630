"""A small OpenID provider on this machine: discovery, authorization codes with PKCE, tokens, keys."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

CLIENT, SECRET = "ringfence", "client-secret"
REDIRECT = "http://127.0.0.1:8321/v1/session/provider/callback"
Key = RSAKey | ECKey | OctKey


class OidcServer:
    """Vouches for `person` to whoever comes; tests change what it says."""

    def __init__(self) -> None:
        self.keys: list[Key] = [RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"})]
        self.person: dict[str, Any] = {"sub": "sub-1", "email": "alice@example.com", "email_verified": True}
        self.forge: Callable[[dict[str, Any]], str] = self.sign
        self.metadata: dict[str, Any] = {}
        self.answer: tuple[int, bytes] | None = None
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    def authorize(self, url: str) -> dict[str, str]:
        """What the browser brings back after the person agreed at this address."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert query["client_id"] == CLIENT
        assert query["redirect_uri"] == REDIRECT
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        return {"code": code, "state": query["state"]}

    def claims(self, query: dict[str, str]) -> dict[str, Any]:
        """What an honest token says."""
        now = int(time.time())
        times = {"iat": now, "exp": now + 300}
        return {"iss": self.issuer, "aud": CLIENT, "nonce": query["nonce"], **times, **self.person}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """Sign with the newest key."""
        key = self.keys[-1]
        algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
        return jwt.encode({"alg": algorithm, "kid": key.kid, **header}, claims, key)

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """The token endpoint: the code once, with its verifier, for its client."""
        wanted = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        query = self._codes.pop(form.get("code", ""), None)
        if query is None or authorization != f"Basic {wanted}" or form.get("redirect_uri") != REDIRECT:
            return 400, {"error": "invalid_grant"}
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != query["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        id_token = self.forge(self.claims(query))
        return 200, {"access_token": "at", "token_type": "Bearer", "id_token": id_token}

    def described(self) -> dict[str, Any]:
        """The discovery document."""
        places = {
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }
        return {"issuer": self.issuer, **places, **self.metadata}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                if self.path == "/keys":
                    self.say(200, dict(KeySet(list(provider.keys)).as_dict(private=False)))
                else:
                    self.say(200, provider.described())

            def do_POST(self) -> None:
                provider.asked.append(self.path)
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                self.say(*provider.token(form, self.headers.get("authorization", "")))

            def say(self, status: int, answer: dict[str, Any]) -> None:
                code, content = provider.answer or (status, json.dumps(answer).encode())
                self.send_response(code)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                if code == 302:
                    self.send_header("location", f"{provider.issuer}/?{urlencode({'again': 1})}")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
