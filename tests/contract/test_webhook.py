"""The webhook against receivers that behave badly."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook, WebhookVerificationError

from actions.model import utc_now
from actions.sinks import Receipt
from actions.sinks.egress import EgressRules
from actions.sinks.webhook import RESPONSE, SECONDS, Endpoint, WebhookSink, message, message_id, signed
from tests.contract.receivers import (
    OK,
    SECRET,
    Behaviour,
    RecipeReceiver,
    local_sink,
    receiving,
    says,
    silent,
    slow,
    status,
)
from tests.contract.test_sinks import effect

BATCH = [effect(number) for number in range(3)]


class Monotonic:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def only(receipts: object) -> Receipt:
    """The one answer that all of a batch got."""
    assert isinstance(receipts, list)
    assert [each.effect_id for each in receipts] == [each.effect_id for each in BATCH]
    (same,) = {(each.outcome, each.error, each.retry_after) for each in receipts}
    return Receipt("", *same)


def test_ten_tries_take_75_hours() -> None:
    assert len(SECONDS) + 1 == 10
    assert sum(SECONDS) == timedelta(hours=75, minutes=35, seconds=5).total_seconds()


def test_a_batch_is_signed_and_keeps_its_id_over_attempts() -> None:
    times = iter([utc_now(), utc_now() + timedelta(seconds=10)])
    with receiving(status(500)) as receiver:
        sink = local_sink(receiver.port, clock=lambda: next(times))
        for code in (500, 204):
            receiver.behave = status(code)
            sink.deliver(BATCH)
        sink.close()
    (first, body), (second, again) = receiver.requests
    assert first["request"] == "POST /hook HTTP/1.1"
    assert first["host"] == f"127.0.0.1:{receiver.port}"
    assert body == again == message(BATCH)
    assert first["webhook-id"] == second["webhook-id"] == message_id("webhook:test", BATCH)
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 10
    assert first["webhook-signature"] != second["webhook-signature"]
    found = Webhook(SECRET).verify(body, first)
    assert [each["effect_id"] for each in found["data"]["effects"]] == [each.effect_id for each in BATCH]
    assert message_id("webhook:test", BATCH[:2]) != first["webhook-id"] != message_id("webhook:b", BATCH)


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (status(500), "500"),
        (status(404), "404"),
        (status(401, body=b"x" * 100), "401"),
        (status(301, "Location: http://169.254.169.254/latest"), "301"),
        (status(302, "Location: http://127.0.0.1:1/"), "302"),
        (status(307, "Location: https://evil.example/"), "307"),
        (status(304), "304"),
        (says(b"\x00\xff garbage \r\n\r\n"), "ProtocolError"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"), "ProtocolError"),
        (says(b"HTTP/1.1 999999 OK\r\n\r\n"), "ProtocolError"),
        (says(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"x" * 300_000), "ProtocolError"),
        (lambda connection, _: connection.close(), "Error"),
    ],
)
def test_what_is_no_success_is_tried_again(behave: Behaviour, said: str) -> None:
    with receiving(behave) as receiver:
        sink = local_sink(receiver.port)
        receipt = only(sink.deliver(BATCH))
        sink.close()
    assert (receipt.outcome, receipt.retry_after) == ("retry", None)
    assert said in receipt.error
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "behave",
    [
        status(200, body=b"<html>\x00\xff not json"),
        says(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (RESPONSE * 3)),
        says(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz not a chunk\r\n"),
        status(200, "Content-Encoding: gzip", body=b"no gzip"),
    ],
)
def test_a_success_is_one_whatever_the_body_says(behave: Behaviour) -> None:
    with receiving(behave) as receiver:
        sink = local_sink(receiver.port)
        assert only(sink.deliver(BATCH)).outcome == "applied"
        receiver.behave = says(OK)
        assert only(sink.deliver(BATCH)).outcome == "applied"
        sink.close()


@pytest.mark.parametrize(
    "behave", [silent, slow(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + b"x" * 500)]
)
def test_an_attempt_ends_in_time_whatever_trickles_in(behave: Behaviour) -> None:
    with receiving(behave) as receiver:
        sink = local_sink(receiver.port, timeout=0.2)
        receipt = only(sink.deliver(BATCH))
    assert (receipt.outcome, receipt.error.partition(":")[0]) == ("retry", "ReadTimeout")


def test_nobody_there_is_tried_again() -> None:
    with receiving(says(OK)) as receiver:
        port = receiver.port
    receipt = only(local_sink(port).deliver(BATCH))
    assert (receipt.outcome, receipt.error.partition(":")[0]) == ("retry", "ConnectError")


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("0", 1),
        ("999999999999999999999", 86_400),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 300),
        ("Wed, 21 Oct 2020 07:28:00 GMT", 1),
        ("Wed, 21 Oct 9999 07:28:00 GMT", 86_400),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_retry_after_is_honoured_within_bounds(code: int, header: str, seconds: float | None) -> None:
    now = datetime(2026, 10, 21, 7, 23, tzinfo=UTC)
    passing = Monotonic()
    with receiving(status(code, f"Retry-After: {header}")) as receiver:
        sink = local_sink(receiver.port, clock=lambda: now, monotonic=passing)
        assert only(sink.deliver(BATCH)).retry_after == seconds
        if seconds is not None:
            passing.now += seconds - 0.5
            paused = only(sink.deliver(BATCH))
            assert (paused.outcome, paused.retry_after) == ("retry", 0.5)
            assert len(receiver.requests) == 1
            passing.now += 0.5
        receiver.behave = says(OK)
        assert only(sink.deliver(BATCH)).outcome == "applied"
        sink.close()


def test_other_answers_cannot_ask_for_a_pause() -> None:
    with receiving(status(500, "Retry-After: 120")) as receiver:
        sink = local_sink(receiver.port)
        assert only(sink.deliver(BATCH)).retry_after is None
        sink.close()


def test_the_name_is_looked_up_once_a_connection_and_pinned() -> None:
    asked: list[str] = []

    def resolve(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with receiving(says(OK)) as receiver:
        sink = named(receiver.port, resolve, scheme="http")
        assert [only(sink.deliver(BATCH)).outcome for _ in range(3)] == ["applied"] * 3
        assert asked == ["hooks.example.com"]
        assert receiver.connections == 1
        assert receiver.requests[0][0]["host"] == f"hooks.example.com:{receiver.port}"
        sink.close()


def test_another_checked_address_serves_where_the_first_does_not() -> None:
    with receiving(says(OK)) as receiver:
        sink = named(receiver.port, lambda *_: ["127.0.0.9", "127.0.0.1"], scheme="http")
        assert only(sink.deliver(BATCH)).outcome == "applied"
        sink.close()
        nowhere = named(receiver.port, lambda *_: ["127.0.0.8", "127.0.0.9"], scheme="http")
        assert only(nowhere.deliver(BATCH)).outcome == "retry"


def test_a_name_that_moves_inside_is_not_followed() -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1", "169.254.169.254"], ["::ffff:127.0.0.1"]])
    with receiving(says(OK)) as receiver:
        sink = named(receiver.port, lambda *_: next(answers), scheme="http")
        assert only(sink.deliver(BATCH)).outcome == "applied"
        for _ in range(3):
            sink.close()
            receipt = only(sink.deliver(BATCH))
            assert receipt.outcome == "retry"
            assert "not public" in receipt.error
        assert receiver.connections == 1


def named(
    port: int,
    resolve: Callable[[str, int], list[str]],
    scheme: str = "https",
    tls: ssl.SSLContext | None = None,
) -> WebhookSink:
    rules = EgressRules.of([f"hooks.example.com:{port}"], ["hooks.example.com 127.0.0.0/8"])
    endpoint = Endpoint(f"{scheme}://hooks.example.com:{port}/hook", (SECRET,))
    return WebhookSink("webhook:test", lambda: endpoint, rules, resolve=resolve, tls=tls, timeout=5)


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's TLS, with a certificate for one name that the client trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = utc_now()
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / f"{name}.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))


def test_tls_is_verified_against_the_name_not_the_address(tmp_path: Path) -> None:
    good, trusting = certificate(tmp_path, "hooks.example.com")
    bad, deceived = certificate(tmp_path, "other.example.com")
    with receiving(says(OK), good) as receiver:
        sink = named(receiver.port, lambda *_: ["127.0.0.1"], tls=trusting)
        assert only(sink.deliver(BATCH)).outcome == "applied"
        sink.close()
        stranger = named(receiver.port, lambda *_: ["127.0.0.1"])
        assert "CERTIFICATE_VERIFY_FAILED" in only(stranger.deliver(BATCH)).error
    with receiving(says(OK), bad) as receiver:
        sink = named(receiver.port, lambda *_: ["127.0.0.1"], tls=deceived)
        assert "CERTIFICATE_VERIFY_FAILED" in only(sink.deliver(BATCH)).error
        assert receiver.requests == []


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with receiving(says(OK)) as receiver:
        sink = local_sink(receiver.port)
        assert only(sink.deliver(BATCH)).outcome == "applied"
        sink.close()


def test_a_url_that_is_no_longer_allowed_is_not_asked() -> None:
    with receiving(says(OK)) as receiver:
        sink = local_sink(receiver.port, rules=EgressRules.of(["hooks.example.com"]))
        assert "allowlist" in only(sink.deliver(BATCH)).error
        assert receiver.connections == 0


def test_the_recipe_verifies_and_keeps_generations(tmp_path: Path) -> None:
    receiver = RecipeReceiver(tmp_path)
    try:
        assert receiver.lines <= 30
        sink = local_sink(receiver.port)
        assert only(sink.deliver(BATCH)).outcome == "applied"
        assert receiver.state()[BATCH[0].org_id] == (1, "ban")
        sink.deliver([effect(0, generation=3, action="restore")])
        sink.deliver([effect(0, generation=2)])
        assert receiver.state()[BATCH[0].org_id] == (3, "")
        forged = local_sink(
            receiver.port, endpoint=lambda: Endpoint(f"http://127.0.0.1:{receiver.port}/", (b"x",))
        )
        assert "401" in only(forged.deliver(BATCH)).error
        late = local_sink(receiver.port, clock=lambda: utc_now() - timedelta(minutes=6))
        assert "401" in only(late.deliver(BATCH)).error
        for each in (sink, forged, late):
            each.close()
    finally:
        receiver.close()


def test_a_replayed_or_changed_message_does_not_verify() -> None:
    body = message(BATCH)
    old = signed("msg_1", utc_now() - timedelta(minutes=6), body, [SECRET])
    fresh = signed("msg_1", utc_now(), body, [SECRET])
    Webhook(SECRET).verify(body, fresh)
    for headers, data in (
        (old, body),
        (fresh | {"webhook-id": "msg_2"}, body),
        (fresh | {"webhook-timestamp": str(int(fresh["webhook-timestamp"]) + 1)}, body),
        (fresh, body.replace(b'"ban"', b'"lift"')),
        (fresh | {"webhook-signature": "v1,AAAA"}, body),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(data, headers)
