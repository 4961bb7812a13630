"""Signing in through an OpenID provider: authorization code with PKCE, everything in the answer checked.

Blocking: call it from a thread. What the provider vouches for becomes a session in `Identities`, if somebody has added
the person here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import jwt
import orjson
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from authlib.oidc.discovery import (  # type: ignore[import-untyped]
    OpenIDProviderMetadata,
    get_well_known_url,
)

from actions.model import Clock, utc_now
from api.auth.startup import loopback
from api.http.problems import Problem
from graph.errors import RingfenceError

CALLBACK = "/v1/session/provider/callback"
COOKIE = "ringfence_oidc"
"""Holds a ticket while somebody is at the provider: HttpOnly, SameSite=Lax, since they come back from another site."""
TICKET = timedelta(minutes=10)
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""Fixed here, whatever a token's header says: none without a key pair."""
LEEWAY = 60
"""Seconds by which the clocks of two servers may differ."""
TIMEOUT = 5.0
ANSWER = 256 * 1024
"""Bytes of the provider's answers that are read."""
LONGEST = 4_096
FRESH = 3_600.0
KEYS_AGAIN = 60.0
"""Seconds between two looks for an unknown key: a token with a made-up key id must not make us ask each time."""
AUDIENCE = "ringfence-oidc-ticket"


@dataclass(frozen=True)
class OidcSettings:
    """Which provider, and as which of its clients. `redirect_uri` is our own callback."""

    issuer: str
    client_id: str
    redirect_uri: str
    client_secret: str | None = None

    @property
    def cookie_path(self) -> str:
        """Where browsers have to show the cookie again: behind a proxy, its prefix is part of it."""
        return urlsplit(self.redirect_uri).path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> OidcSettings | None:
        """From `RINGFENCE_OIDC_*`; None where no issuer is named. Raises RingfenceError (exit 2)."""
        issuer = environment.get("RINGFENCE_OIDC_ISSUER")
        if not issuer:
            return None
        client_id = environment.get("RINGFENCE_OIDC_CLIENT_ID", "")
        redirect_uri = environment.get("RINGFENCE_OIDC_REDIRECT_URI", "")
        file = environment.get("RINGFENCE_OIDC_CLIENT_SECRET_FILE")
        if not client_id or not redirect_uri:
            raise _misused("it needs RINGFENCE_OIDC_CLIENT_ID and RINGFENCE_OIDC_REDIRECT_URI")
        for url in (issuer, redirect_uri):
            if not _safe(url):
                raise _misused("issuer and redirect URI have to be https")
        if not urlsplit(redirect_uri).path.endswith(CALLBACK):
            raise _misused(f"the redirect URI has to end with {CALLBACK}")
        try:
            secret = Path(file).read_text(encoding="utf-8").strip() if file else None
        except (OSError, UnicodeDecodeError) as error:
            raise _misused(f"its client secret cannot be read ({type(error).__name__})") from error
        return cls(issuer, client_id, redirect_uri, secret)


@dataclass(frozen=True)
class Begun:
    """Where to send the browser, and the ticket that its cookie keeps until it comes back."""

    url: str
    ticket: str


@dataclass(frozen=True)
class Vouched:
    """Whom the provider vouches for."""

    issuer: str
    subject: str
    email: str | None
    email_verified: bool


class OidcProvider:
    """One provider. `key` signs tickets and is the same on every node; nothing else is kept between two requests."""

    def __init__(
        self,
        settings: OidcSettings,
        key: bytes,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        client: httpx.Client | None = None,
    ) -> None:
        self._settings = settings
        self._key = hmac.digest(key, AUDIENCE.encode(), "sha256")
        self._clock = clock
        self._monotonic = monotonic
        self._client = client or httpx.Client(timeout=TIMEOUT, follow_redirects=False)
        self._lock = threading.Lock()
        self._metadata: tuple[float, OpenIDProviderMetadata] | None = None
        self._keys: tuple[float, jwt.PyJWKSet] | None = None

    @property
    def cookie_path(self) -> str:
        """See `OidcSettings.cookie_path`."""
        return self._settings.cookie_path

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def begin(self) -> Begun:
        """A new sign-in. Raises Problem (503) where the provider does not answer."""
        metadata = self._discovered()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.redirect_uri,
            "scope": "openid email",
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        claims = {
            "aud": AUDIENCE,
            "exp": int((self._clock() + TICKET).timestamp()),
            "state": hashlib.sha256(state.encode()).hexdigest(),
            "nonce": nonce,
            "verifier": verifier,
        }
        endpoint = str(metadata["authorization_endpoint"])
        joint = "&" if urlsplit(endpoint).query else "?"
        return Begun(f"{endpoint}{joint}{urlencode(query)}", jwt.encode(claims, self._key, algorithm="HS256"))

    def finish(self, ticket: str, *, state: str, code: str, issuer: str | None = None) -> Vouched:
        """Who came back. `ticket` is of the cookie, the others of the query (`state`, `code`, `iss`).

        Raises Problem: 401 for anything that does not fit together, 503 where the provider does not answer.
        """
        begun = self._opened(ticket)
        digest = hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()
        if not hmac.compare_digest(digest, str(begun.get("state", ""))) or not 0 < len(code) <= LONGEST:
            raise _unknown("this answer belongs to another sign-in")
        metadata = self._discovered()
        named = metadata.get("authorization_response_iss_parameter_supported") is True
        if (issuer is not None or named) and issuer != self._settings.issuer:
            raise _unknown("another provider answered")  # RFC 9207: no mix-up of providers
        answer = self._exchange(metadata, code, str(begun["verifier"]))
        id_token = answer.get("id_token")
        if not isinstance(id_token, str):
            raise _unknown("the provider vouched for nobody")
        return self._vouched(id_token, str(begun["nonce"]), answer.get("access_token"))

    def _opened(self, ticket: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                ticket,
                self._key,
                algorithms=["HS256"],
                audience=AUDIENCE,
                options={"require": ["exp", "aud"], "verify_exp": False},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise _unknown("there is no sign-in under way in this browser") from error
        if int(claims["exp"]) <= self._clock().timestamp():
            raise _unknown("this sign-in took too long")
        return claims

    def _exchange(self, metadata: OpenIDProviderMetadata, code: str, verifier: str) -> dict[str, Any]:
        settings = self._settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": settings.redirect_uri,
            "code_verifier": verifier,
        }
        offered = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        auth = None
        if settings.client_secret is None or "client_secret_basic" not in offered:
            form["client_id"] = settings.client_id
            if settings.client_secret is not None:
                form["client_secret"] = settings.client_secret
        else:
            auth = httpx.BasicAuth(settings.client_id, settings.client_secret)
        return self._ask("POST", str(metadata["token_endpoint"]), data=form, auth=auth)

    def _vouched(self, id_token: str, nonce: str, access_token: object) -> Vouched:
        settings = self._settings
        try:
            header = jwt.get_unverified_header(id_token)
            claims = jwt.decode(
                id_token,
                self._key_of(header),
                algorithms=list(ALGORITHMS),
                options={
                    "require": ["iss", "aud", "exp", "iat", "sub"],
                    "verify_exp": False,  # what it says is checked below, by our own clock
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                },
            )
            checked = CodeIDToken(
                claims,
                header,
                {
                    "iss": {"essential": True, "value": settings.issuer},
                    "aud": {"essential": True, "value": settings.client_id},
                },
                {"nonce": nonce, "client_id": settings.client_id, "access_token": access_token},
            )
            checked.validate(now=int(self._clock().timestamp()), leeway=LEEWAY)
        except Problem:
            raise
        except Exception as error:  # whatever a token from outside makes a library raise, it opens nothing
            raise _unknown(f"what the provider said does not hold ({type(error).__name__})") from error
        subject, email = claims["sub"], claims.get("email")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise _unknown("the provider named nobody")
        return Vouched(
            settings.issuer,
            subject,
            email if isinstance(email, str) else None,
            claims.get("email_verified") is True,
        )

    def _discovered(self) -> OpenIDProviderMetadata:
        """The provider's description (OpenID Connect Discovery 1.0), an hour old at most."""
        with self._lock:
            kept = self._metadata
        if kept is not None and self._monotonic() - kept[0] < FRESH:
            return kept[1]
        issuer = self._settings.issuer
        metadata = OpenIDProviderMetadata(self._ask("GET", get_well_known_url(issuer, external=True)))
        places = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if metadata.get("issuer") != issuer or not all(_safe(str(metadata.get(each))) for each in places):
            raise _down("its description names another issuer, or places that are not https")
        with self._lock:
            self._metadata = self._monotonic(), metadata
        return metadata

    def _key_of(self, header: Mapping[str, Any]) -> jwt.PyJWK:
        """The key that a token names; one that is unknown may be new."""
        for again in (False, True):
            keys = [each for each in self._key_set(again).keys if header.get("kid") in {None, each.key_id}]
            if len(keys) == 1 and keys[0].public_key_use in {None, "sig"}:
                return keys[0]
        raise _unknown("it is signed with a key that the provider does not have")

    def _key_set(self, again: bool) -> jwt.PyJWKSet:
        with self._lock:
            kept = self._keys
        age = FRESH if kept is None else self._monotonic() - kept[0]
        if kept is not None and age < (KEYS_AGAIN if again else FRESH):
            return kept[1]
        try:
            keys = jwt.PyJWKSet.from_dict(self._ask("GET", str(self._discovered()["jwks_uri"])))
        except jwt.PyJWTError as error:
            raise _down("its keys cannot be read") from error
        with self._lock:
            self._keys = self._monotonic(), keys
        return keys

    def _ask(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """A JSON object of the provider's. Raises Problem."""
        try:
            with self._client.stream(method, url, headers={"accept": "application/json"}, **options) as found:
                content = bytearray()
                for part in found.iter_bytes():
                    content += part
                    if len(content) > ANSWER:
                        raise _down("its answer is too long")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _down(f"it does not answer ({type(error).__name__})") from error
        if 400 <= found.status_code < 500 and method == "POST":
            raise _unknown("the provider does not know this sign-in")
        try:
            answer = orjson.loads(content) if found.status_code == 200 else None
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise _down(f"its answer cannot be read (status {found.status_code})")
        return answer


def _safe(url: str) -> bool:
    """Whether a URL is https, or on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and loopback(host))


def _unknown(why: str) -> Problem:
    return Problem("unauthenticated", why, "Begin the sign-in again.")


def _down(why: str) -> Problem:
    return Problem(
        "unavailable",
        f"the identity provider cannot be used: {why}",
        "Try again later; sessions that are open, passwords and tokens still work.",
    )


def _misused(why: str) -> RingfenceError:
    return RingfenceError(
        f"signing in through a provider is not set up: {why}",
        "Set the RINGFENCE_OIDC_* variables.",
        exit_code=2,
    )
