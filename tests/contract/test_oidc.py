"""Signing in through a provider: a real one on this machine, and everything that may be wrong with its answer."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from actions.model import utc_now
from api.auth.oidc import OidcProvider, OidcSettings, Vouched
from api.http.problems import Problem
from graph.errors import RingfenceError
from tests.contract.oidc_provider import CLIENT, REDIRECT, SECRET, OidcServer

KEY = b"k" * 32
OTHER = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"})


@pytest.fixture(scope="module")
def running() -> Iterator[OidcServer]:
    server = OidcServer()
    yield server
    server.close()


@pytest.fixture
def server(running: OidcServer) -> OidcServer:
    running.person = {"sub": "sub-1", "email": "alice@example.com", "email_verified": True}
    running.keys = running.keys[:1]
    running.metadata, running.answer, running.asked, running.forge = {}, None, [], running.sign
    return running


@pytest.fixture
def provider(server: OidcServer) -> Iterator[OidcProvider]:
    made = OidcProvider(OidcSettings(server.issuer, CLIENT, REDIRECT, SECRET), KEY)
    yield made
    made.close()


def refused(code: str, do: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        do()
    assert caught.value.code == code
    return caught.value


def signed_in(server: OidcServer, provider: OidcProvider) -> Vouched:
    begun = provider.begin()
    return provider.finish(begun.ticket, **server.authorize(begun.url))


def test_a_person_signs_in(server: OidcServer, provider: OidcProvider) -> None:
    expected = Vouched(server.issuer, "sub-1", "alice@example.com", True)
    assert signed_in(server, provider) == expected
    assert signed_in(server, provider) == expected
    assert server.asked.count("/keys") == 1
    server.person = {"sub": "sub-2", "email": 7, "email_verified": "true"}
    assert signed_in(server, provider) == Vouched(server.issuer, "sub-2", None, False)


def test_nothing_of_the_verifier_is_in_the_address(provider: OidcProvider) -> None:
    begun = provider.begin()
    body = begun.ticket.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    assert claims["verifier"] not in begun.url
    assert claims["state"] not in begun.url


def test_an_answer_belongs_to_one_browser_and_one_sign_in(server: OidcServer, provider: OidcProvider) -> None:
    mine, theirs = provider.begin(), provider.begin()
    answer = server.authorize(mine.url)
    refused("unauthenticated", lambda: provider.finish(theirs.ticket, **answer))
    refused("unauthenticated", lambda: provider.finish("", **answer))
    refused("unauthenticated", lambda: provider.finish(mine.ticket + "x", **answer))
    refused("unauthenticated", lambda: provider.finish(mine.ticket, state="\ud800", code=answer["code"]))
    refused("unauthenticated", lambda: provider.finish(mine.ticket, state=answer["state"], code=""))
    assert provider.finish(mine.ticket, **answer).subject == "sub-1"
    refused("unauthenticated", lambda: provider.finish(mine.ticket, **answer))


def test_a_code_that_was_stolen_needs_the_verifier(server: OidcServer, provider: OidcProvider) -> None:
    mine, attackers = provider.begin(), provider.begin()
    stolen = server.authorize(mine.url)["code"]
    state = server.authorize(attackers.url)["state"]
    refused("unauthenticated", lambda: provider.finish(attackers.ticket, state=state, code=stolen))


def test_tickets_end_and_are_ours(server: OidcServer) -> None:
    settings = OidcSettings(server.issuer, CLIENT, REDIRECT, SECRET)
    early = OidcProvider(settings, KEY, clock=lambda: utc_now() - timedelta(minutes=11))
    now, other = OidcProvider(settings, KEY), OidcProvider(settings, b"o" * 32)
    for begun in (early.begin(), other.begin()):
        refused("unauthenticated", partial(now.finish, begun.ticket, **server.authorize(begun.url)))
    unsigned = jwt_none({"aud": "ringfence-oidc-ticket", "exp": time.time() + 60, "state": "x"})
    refused("unauthenticated", lambda: now.finish(unsigned, state="x", code="y"))
    for each in (early, now, other):
        each.close()


def jwt_none(claims: dict[str, Any]) -> str:
    parts = [json.dumps(each).encode() for each in ({"alg": "none", "kid": "rsa-1"}, claims)]
    return ".".join(base64.urlsafe_b64encode(each).rstrip(b"=").decode() for each in parts) + "."


def with_claims(**changes: Any) -> Callable[[OidcServer, dict[str, Any]], str]:
    def forge(server: OidcServer, claims: dict[str, Any]) -> str:
        merged = {**claims, **changes}
        return server.sign({name: value for name, value in merged.items() if value is not None})

    return forge


def confused(server: OidcServer, claims: dict[str, Any]) -> str:
    """The public key, which everybody has, used as a secret."""
    public = server.keys[0].as_pem(private=False)  # type: ignore[union-attr]
    secret = OctKey.import_key(base64.urlsafe_b64encode(public).decode())
    return jwt.encode({"alg": "HS256", "kid": "rsa-1"}, claims, secret)


NOW = int(time.time())
FORGERIES: dict[str, Callable[[OidcServer, dict[str, Any]], str]] = {
    "another issuer": with_claims(iss="https://evil.example"),
    "no issuer": with_claims(iss=None),
    "another audience": with_claims(aud="other-client"),
    "no audience": with_claims(aud=None),
    "several audiences, no party": with_claims(aud=[CLIENT, "other-client"]),
    "another party": with_claims(azp="other-client"),
    "expired": with_claims(exp=NOW - 3_600),
    "no expiry": with_claims(exp=None),
    "an odd expiry": with_claims(exp="tomorrow"),
    "from the future": with_claims(iat=NOW + 3_600),
    "not yet": with_claims(nbf=NOW + 3_600),
    "another nonce": with_claims(nonce="other"),
    "no nonce": with_claims(nonce=None),
    "nobody": with_claims(sub=None),
    "an empty name": with_claims(sub=""),
    "a number for a name": with_claims(sub=7),
    "a name without end": with_claims(sub="x" * 256),
    "another access token": with_claims(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "unsigned": lambda _, claims: jwt_none(claims),
    "key confusion": confused,
    "another's key": lambda _, claims: jwt.encode({"alg": "RS256", "kid": "rsa-1"}, claims, OTHER),
    "an unknown key": lambda server, claims: server.sign(claims, kid="rsa-9"),
    "a key of its own": lambda server, claims: server.sign(claims, kid="x", jwk=OTHER.as_dict(private=False)),
    "a signature cut off": lambda server, claims: server.sign(claims)[:-5],
    "garbage": lambda *_: "not.a.token",
    "nothing": lambda *_: "",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_opens_nothing(server: OidcServer, provider: OidcProvider, forgery: str) -> None:
    server.forge = lambda claims: FORGERIES[forgery](server, claims)
    problem = refused("unauthenticated", lambda: signed_in(server, provider))
    assert "evil" not in problem.detail


def test_a_new_key_is_looked_up_but_not_for_every_token(server: OidcServer) -> None:
    now = [0.0]
    settings = OidcSettings(server.issuer, CLIENT, REDIRECT, SECRET)
    provider = OidcProvider(settings, KEY, monotonic=lambda: now[0])
    assert signed_in(server, provider).subject == "sub-1"
    server.keys = [*server.keys, ECKey.generate_key("P-256", {"kid": "ec-1", "use": "sig"})]
    now[0] = 61
    assert signed_in(server, provider).subject == "sub-1"
    assert server.asked.count("/keys") == 2
    server.forge = lambda claims: server.sign(claims, kid="made-up")
    for _ in range(3):
        refused("unauthenticated", lambda: signed_in(server, provider))
    assert server.asked.count("/keys") == 2
    provider.close()


def test_the_provider_says_which_it_is(server: OidcServer, provider: OidcProvider) -> None:
    server.metadata = {"authorization_response_iss_parameter_supported": True}
    begun = provider.begin()
    answer = server.authorize(begun.url)
    refused("unauthenticated", lambda: provider.finish(begun.ticket, **answer))
    refused("unauthenticated", lambda: provider.finish(begun.ticket, **answer, issuer="https://evil.example"))
    assert provider.finish(begun.ticket, **answer, issuer=server.issuer).subject == "sub-1"


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_a_description_that_leads_elsewhere_is_not_followed(
    server: OidcServer, provider: OidcProvider, metadata: dict[str, Any]
) -> None:
    server.metadata = metadata
    refused("unavailable", provider.begin)


@pytest.mark.parametrize(
    "answer", [(500, b"{}"), (302, b""), (200, b"garbage"), (200, b"[]"), (200, b" " * 300_000), (404, b"")]
)
def test_a_provider_that_fails_is_unavailable(
    server: OidcServer, provider: OidcProvider, answer: tuple[int, bytes]
) -> None:
    server.answer = answer
    problem = refused("unavailable", provider.begin)
    assert problem.status == 503
    assert "passwords and tokens still work" in problem.remedy


def test_a_provider_that_is_gone_is_unavailable_in_the_middle_too() -> None:
    server = OidcServer()
    provider = OidcProvider(OidcSettings(server.issuer, CLIENT, REDIRECT, SECRET), KEY)
    begun = provider.begin()
    answer = server.authorize(begun.url)
    server.close()
    refused("unavailable", lambda: provider.finish(begun.ticket, **answer))
    fresh = OidcProvider(OidcSettings(server.issuer, CLIENT, REDIRECT, SECRET), KEY)
    refused("unavailable", fresh.begin)
    provider.close()
    fresh.close()


def test_secrets_go_where_the_provider_wants_them(server: OidcServer) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        described = server.described() | {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        return httpx.Response(200, json=described if request.method == "GET" else {})

    provider = OidcProvider(
        OidcSettings(server.issuer, CLIENT, REDIRECT, SECRET),
        KEY,
        client=httpx.Client(transport=httpx.MockTransport(answer)),
    )
    begun = provider.begin()
    refused("unauthenticated", lambda: provider.finish(begun.ticket, **server.authorize(begun.url)))
    assert b"client_secret=client-secret" in seen[-1].content
    assert "authorization" not in seen[-1].headers
    provider.close()


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    given = {
        "RINGFENCE_OIDC_ISSUER": "https://id.example.com",
        "RINGFENCE_OIDC_CLIENT_ID": "ringfence",
        "RINGFENCE_OIDC_REDIRECT_URI": "https://ringfence.example.com/v1/session/provider/callback",
        "RINGFENCE_OIDC_CLIENT_SECRET_FILE": str(secret),
    }
    found = OidcSettings.of(given)
    assert found is not None
    assert found.client_secret == "s3cret"  # noqa: S105
    assert OidcSettings.of({}) is None
    for change in (
        {"RINGFENCE_OIDC_ISSUER": "http://id.example.com"},
        {"RINGFENCE_OIDC_REDIRECT_URI": "http://ringfence.example.com/"},
        {"RINGFENCE_OIDC_CLIENT_ID": ""},
        {"RINGFENCE_OIDC_CLIENT_SECRET_FILE": str(tmp_path / "none")},
    ):
        with pytest.raises(RingfenceError) as caught:
            OidcSettings.of(given | change)
        assert caught.value.exit_code == 2


def test_the_way_back_leads_to_the_callback() -> None:
    given = {
        "RINGFENCE_OIDC_ISSUER": "https://id.example.com",
        "RINGFENCE_OIDC_CLIENT_ID": "ringfence",
        "RINGFENCE_OIDC_REDIRECT_URI": "https://ringfence.example.com/elsewhere",
    }
    with pytest.raises(RingfenceError, match="has to end with /v1/session/provider/callback"):
        OidcSettings.of(given)
    behind = "https://example.com/rings/v1/session/provider/callback"
    found = OidcSettings.of({**given, "RINGFENCE_OIDC_REDIRECT_URI": behind})
    assert found is not None
    assert found.cookie_path == "/rings/v1/session/provider/callback"
