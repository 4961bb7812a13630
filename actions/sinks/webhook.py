"""A signed webhook (standardwebhooks.com): effects in batches, each batch one POST, each attempt bounded.

Nothing sleeps here: a failed attempt says when the next one may be, and the outbox waits.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpcore
import orjson
from standardwebhooks import Webhook

from actions.model import Clock, Effect, moment_text, utc_now
from actions.refusals import Refusal
from actions.sinks import Outcome, Promise, Receipt
from actions.sinks.egress import EgressRules, Resolver, Target, parse, system_resolver
from actions.sinks.pinned import Deadline, PinnedBackend

SECONDS = 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400
"""Waits between ten tries: 75 hours, 35 minutes and 5 seconds in all, as Standard Webhooks suggests."""
TIMEOUT = 15.0
RESPONSE = 64 * 1024
"""Bytes of an answer that are read, and forgotten: only its status counts, and nobody can read a body through us."""
LONGEST_WAIT = 24 * 3_600.0
SHORTEST_PAUSE = 1.0
TYPE = "effects.decided"
_BROKEN = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError)
GONE, TOO_LARGE, TOO_MANY, UNAVAILABLE = 410, 413, 429, 503


@dataclass(frozen=True)
class Endpoint:
    """Where to send, and the secrets to sign with: the current one, and the one before while it still holds.

    `disabled` says why nothing may be sent.
    """

    url: str
    secrets: tuple[bytes, ...]
    disabled: str | None = None


@dataclass(frozen=True)
class _Answer:
    status: int
    retry_after: float | None = None


class WebhookSink:
    """Effects to one URL. Receivers apply only generations above the last that they saw, as the recipe shows.

    `endpoint` is asked before every attempt, so that a new URL, a rotation or an admin's stop holds at once; `gone`
    is called when the receiver says that it is (410), and has to see to it that nothing is sent any more.
    """

    promise: Promise = "generations"
    retries: Sequence[float] = SECONDS
    batch = 1_000
    """About 400 KB: under the megabyte that common servers take in front of a receiver."""

    def __init__(
        self,
        name: str,
        endpoint: Callable[[], Endpoint],
        rules: EgressRules,
        *,
        gone: Callable[[], None] = lambda: None,
        resolve: Resolver = system_resolver,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        timeout: float = TIMEOUT,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self._endpoint = endpoint
        self._rules = rules
        self._gone = gone
        self._resolve = resolve
        self._clock = clock
        self._monotonic = monotonic
        self._timeout = timeout
        self._tls = tls or ssl.create_default_context()
        self._deadline = Deadline(monotonic)
        self._pool: tuple[Target, httpcore.ConnectionPool] | None = None
        self._not_before = 0.0
        self._lock = threading.Lock()

    def deliver(self, effects: Sequence[Effect]) -> Sequence[Receipt]:
        """One attempt for a batch: all of it is applied (2xx), or tried again later, or failed for good (410)."""
        if not effects:
            return []
        with self._lock:
            endpoint = self._endpoint()
            if endpoint.disabled is not None:
                return _all(effects, "failed", f"the webhook is disabled: {endpoint.disabled}")
            pause = self._not_before - self._monotonic()
            if pause > 0:
                return _all(effects, "retry", "the receiver asked for a pause", pause)
            try:
                answer = self._post(endpoint, effects)
            except Refusal as refusal:
                return _all(effects, "retry", refusal.message)
            except (
                httpcore.NetworkError,
                httpcore.TimeoutException,
                httpcore.ProtocolError,
                OSError,
            ) as error:
                self.close()
                return _all(effects, "retry", f"{type(error).__name__}: {error}")
            return self._judged(answer, effects)

    def close(self) -> None:
        """Close the connection; the next attempt looks the name up again."""
        if self._pool is not None:
            self._pool[1].close()
            self._pool = None

    def _judged(self, answer: _Answer, effects: Sequence[Effect]) -> list[Receipt]:
        if 200 <= answer.status < 300:
            return _all(effects, "applied")
        if answer.status == GONE:
            self._gone()
            return _all(effects, "failed", "410: the receiver is gone, the webhook is disabled")
        if answer.status == TOO_LARGE:
            self.batch = max(1, len(effects) // 2)  # of what the outbox hands over from now on
        wait = answer.retry_after if answer.status in {TOO_MANY, UNAVAILABLE} else None
        if wait is not None:
            self._not_before = self._monotonic() + wait
        return _all(effects, "retry", f"the receiver answered {answer.status}", wait)

    def _post(self, endpoint: Endpoint, effects: Sequence[Effect]) -> _Answer:
        target = parse(endpoint.url, self._rules)
        pool = self._connections(target)
        body = message(effects)
        headers = signed(message_id(self.name, effects), self._clock(), body, endpoint.secrets)
        headers |= {
            "host": target.authority,
            "content-type": "application/json",
            "content-length": str(len(body)),
            "user-agent": "ringfence-webhook",
            "accept-encoding": "identity",
        }
        self._deadline.start(self._timeout)
        with pool.stream(
            "POST",
            target.url,
            headers=[(name.encode(), text.encode()) for name, text in headers.items()],
            content=body,
        ) as response:
            _forget(response)
            return _Answer(response.status, self._retry_after(response.headers))

    def _connections(self, target: Target) -> httpcore.ConnectionPool:
        """One connection that is kept, to one address that was checked."""
        if self._pool is not None and self._pool[0] == target:
            return self._pool[1]
        self.close()
        backend = PinnedBackend(target, self._rules, self._resolve, self._deadline)
        pool = httpcore.ConnectionPool(
            ssl_context=self._tls, max_connections=1, keepalive_expiry=30, network_backend=backend
        )
        self._pool = target, pool
        return pool

    def _retry_after(self, headers: Sequence[tuple[bytes, bytes]]) -> float | None:
        """Seconds that the receiver asks for, within bounds (RFC 9110, 10.2.3); None if it says nothing readable."""
        for name, value in headers:
            if name.lower() == b"retry-after":
                seconds = _seconds(value.decode("latin-1").strip(), self._clock())
                return None if seconds is None else min(max(seconds, SHORTEST_PAUSE), LONGEST_WAIT)
        return None


def message(effects: Sequence[Effect]) -> bytes:
    """The body of a batch: the same bytes for the same effects."""
    return orjson.dumps(
        {
            "type": TYPE,
            "timestamp": moment_text(max(effect.created_at for effect in effects)),
            "data": {"effects": [effect.as_dict() for effect in effects]},
        }
    )


def message_id(sink: str, effects: Sequence[Effect]) -> str:
    """The same for every attempt of the same batch, and for no other batch."""
    content = "\n".join([sink, *(effect.effect_id for effect in effects)])
    return f"msg_{hashlib.sha256(content.encode()).hexdigest()[:40]}"


def signed(message_id_: str, at: datetime, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """The headers of Standard Webhooks: id, time of this attempt, a signature under every secret."""
    moment = datetime.fromtimestamp(int(at.timestamp()), UTC)
    text = body.decode()
    return {
        "webhook-id": message_id_,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(Webhook(each).sign(message_id_, moment, text) for each in secrets),
    }


def secret_text(secret: bytes) -> str:
    """A secret as receivers configure it: `whsec_…`."""
    return f"whsec_{b64encode(secret).decode()}"


def _forget(response: httpcore.Response) -> None:
    """Read the body, so that the connection can be used again; one that is long or late costs the connection only."""
    read = 0
    try:
        for part in response.iter_stream():
            read += len(part)
            if read > RESPONSE:
                return
    except _BROKEN:
        return


def _seconds(text: str, now: datetime) -> float | None:
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()


def _all(
    effects: Sequence[Effect], outcome: Outcome, error: str = "", retry_after: float | None = None
) -> list[Receipt]:
    return [Receipt(effect.effect_id, outcome, error, retry_after) for effect in effects]
