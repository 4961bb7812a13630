"""Spelling, skeletons and keys of identifiers."""

from __future__ import annotations

import copy
import hashlib
import hmac
import unicodedata

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.addresses import parse_ip
from graph.confusables import name_skeleton, skeleton
from graph.email_rules import parse_email
from graph.identifiers import SECRET_KINDS, Keyer, Kind, canonical, key
from graph.phones import parse_phone
from graph.secret_values import Hasher, parse_token
from graph.spelling import INVISIBLE, fold, has_hidden, show, tidy

PEPPER = b"p" * 32
KEYER = Keyer(PEPPER)
OPEN_KINDS = [kind for kind in Kind if kind not in SECRET_KINDS]

DEFAULT_IGNORABLES = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180e\u200b\u200c\u200d\u200e\u202a\u202e\u2060\u2065\u206f"
    "\u3164\ufe00\ufe0f\ufeff\uffa0\ufff0\U0001bca0\U0001d173\U000e0001\U000e0061\U000e0100\U000e0fff"
)


@pytest.mark.parametrize("character", DEFAULT_IGNORABLES)
def test_invisible_characters_do_not_count(character: str) -> None:
    assert INVISIBLE.fullmatch(character)
    assert fold(f"Ac{character}me") == "acme"
    assert has_hidden(f"Ac{character}me")
    assert show(f"Ac{character}me") == f"Ac<U+{ord(character):04X}>me"


@given(st.text(max_size=30))
def test_spelling_is_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert tidy(tidy(text)) == tidy(text)
    assert not INVISIBLE.search(fold(text))
    assert unicodedata.is_normalized("NFKC", fold(text))


@settings(max_examples=300)
@given(st.sampled_from(OPEN_KINDS), st.text(max_size=30))
def test_canonical_forms_are_idempotent(kind: Kind, text: str) -> None:
    once = canonical(kind, text)
    if once is not None:
        assert canonical(kind, once) == once


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Acme Labs", False),
        ("Рога и Копыта", False),
        ("Иван Ivanov", False),
        ("Αθήνα", False),
        ("日本語 ABC", False),
        ("Ａｃｍｅ", False),
        ("Acme™", False),
        ("naïve İstanbul ə", False),
        ("Café ❤️", False),
        ("👨‍👩‍👧 family", False),
        ("نمی‌خواهم", False),
        ("Аcme", True),
        ("Gооgle", True),
        ("𝐏𝐚𝐲pal", True),
        ("Aｃme", True),
        ("ᴏpen", True),
        ("a‌b", True),
        ("bell\x07", True),
        ("\u202etxt.exe", True),
    ],
)
def test_what_counts_as_hidden(text: str, hidden: bool) -> None:
    assert has_hidden(text) is hidden
    assert (show(text) != text) is hidden


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Acme Labs 0412", "Acme Labs 0977"),
        ("Acme Labs 7", "ACME  Labs 12345"),
        ("acme0412", "acme7"),
        ("Google", "G00gle"),
        ("Google", "Goog1e"),
        ("Google", "Gооgle"),
        ("Paypal", "PаypaI"),
        ("Paypal", "𝐏𝐚𝐲pal"),
        ("Acme ٣", "Acme 8"),
    ],
)
def test_names_that_look_alike_share_a_skeleton(first: str, second: str) -> None:
    assert name_skeleton(first) == name_skeleton(second)


@pytest.mark.parametrize(
    ("first", "second"), [("Acme", "Acne"), ("Blue Sky", "Blue Ski"), ("Acme 1", "Acme")]
)
def test_other_names_do_not(first: str, second: str) -> None:
    assert name_skeleton(first) != name_skeleton(second)


def test_skeletons_are_never_identity() -> None:
    assert skeleton("раураӏ") == skeleton("paypal")
    assert canonical(Kind.REFERRAL_CODE, "раураӏ") != canonical(Kind.REFERRAL_CODE, "paypal")


@pytest.mark.parametrize(
    ("raw", "mailbox", "domain"),
    [
        ("J.Doe+trial@GoogleMail.com", "jdoe@gmail.com", None),
        ("j.doe+x@outlook.de", "j.doe@outlook.de", None),
        ("base-shop@yahoo.co.uk", "base@yahoo.co.uk", None),
        ("a.b-c_d+e@pm.me", "abcd@proton.me", None),
        ("someone+x@me.com", "someone@icloud.com", None),
        ("shop@ann.fastmail.com", "ann@fastmail.com", None),
        ("J.Doe+trial@Example.net", "j.doe+trial@example.net", "example.net"),
        ("x@BÜCHER.example", "x@xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("x@\u200bacme.io.", "x@acme.io", "acme.io"),
        ("mailto:x@acme.io", "x@acme.io", "acme.io"),
        ("someone@qq.com", "someone@qq.com", None),
        ("Not An Address", "not an address", None),
        ("+@gmail.com", "+@gmail.com", None),
    ],
)
def test_email(raw: str, mailbox: str, domain: str | None) -> None:
    parsed = parse_email(raw)
    assert (parsed.mailbox, parsed.domain) == (mailbox, domain)


@pytest.mark.parametrize(
    ("raw", "address", "network"),
    [
        ("203.0.113.9", "203.0.113.9", "203.0.113.0/24"),
        ("::ffff:203.0.113.9", "203.0.113.9", "203.0.113.0/24"),
        ("203.0.113.9:443", "203.0.113.9", "203.0.113.0/24"),
        ("10.1.2.3", "10.1.2.3", "10.1.2.0/24"),
        ("2001:DB8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("[2001:db8:1:2::4%eth0]:443", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("Not.An.Address", "not.an.address", None),
        ("010.001.002.003", "010.001.002.003", None),
    ],
)
def test_ip(raw: str, address: str, network: str | None) -> None:
    place = parse_ip(raw)
    assert place is not None
    assert (place.address, place.network) == (address, network)


@pytest.mark.parametrize(
    ("raw", "number", "country", "line"),
    [
        ("+1 (415) 555-2671", "+14155552671", "US", "fixed_or_mobile"),
        ("0044 20 7946 0958", "+442079460958", "GB", "fixed"),
        ("14155552671", "+14155552671", "US", "fixed_or_mobile"),
        ("+49 1512 3456789", "+4915123456789", "DE", "mobile"),
        ("12345", "12345", None, None),
        ("call me", "call me", None, None),
    ],
)
def test_phone(raw: str, number: str, country: str | None, line: str | None) -> None:
    phone = parse_phone(raw)
    assert phone is not None
    assert (phone.canonical, phone.country, phone.line_type) == (number, country, line)


COUNTRY_CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


@settings(max_examples=600)
@given(st.sampled_from(COUNTRY_CODES), st.text("0123456789", max_size=14), st.integers(0, 11))
def test_phones_are_read_as_their_library_reads_them(code: int, digits: str, line: int) -> None:
    region = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code][0]
    example = phonenumbers.example_number_for_type(region, line)
    valid = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164) if example else "+1"
    for text in (f"+{code}{digits}", valid, f"{valid[:-3]}{digits[:3]}"):
        try:
            number = phonenumbers.parse(text)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number) and (phone := parse_phone(text)) is not None:
            assert phone.canonical == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            assert phone.country == phonenumbers.region_code_for_number(number)


def test_phone_without_country_code_needs_a_region() -> None:
    local = parse_phone("(415) 555-2671", "US")
    assert local is not None
    assert local.canonical == "+14155552671"


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        *((kind, word) for kind in Kind for word in ("null", " NULL ", "N/A", "unknown", "undefined", "")),
        *((Kind.IP, raw) for raw in (f"0.0.0.{0}", "::", "127.0.0.1", "::1", "::ffff:127.0.0.1")),
        *((Kind.IP, raw) for raw in ("fe80::1", "ff02::1", "169.254.7.7", "255.255.255.255")),
        (Kind.PHONE, "+10000000000"),
        (Kind.PHONE, "+1 999 999 9999"),
        (Kind.DEVICE, "00000000-0000-0000-0000-000000000000"),
        (Kind.DEVICE, "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"),
        (Kind.DEVICE, "00:00:00:00:00:00"),
        (Kind.TLS_FINGERPRINT, "0" * 32),
        (Kind.MAILBOX, "noreply@acme.io"),
        (Kind.MAILBOX, "Test@Example.com"),
        (Kind.REFERRAL_CODE, "\u200b-"),
    ],
)  # fmt: skip
def test_stop_values_get_no_key(kind: Kind, raw: str) -> None:
    assert KEYER.identify(kind, raw) is None


@pytest.mark.parametrize(
    ("kind", "first", "second", "same"),
    [
        (Kind.ORGANIZATION, "Org_1", "org_1", False),
        (Kind.ORGANIZATION, "org_1", "org_1\u200b", False),
        (Kind.USER, "ａ", "a", False),
        (Kind.API_KEY, "sk-ABC", "sk-abc", False),
        (Kind.API_KEY, "sk-\u200bABC ", "sk-ABC", True),
        (Kind.DEVICE, "6F9619FF-8B86-D011-B42D-00CF4FC964FF", "{6f9619ff8b86d011b42d00cf4fc964ff}".strip("{}"), True),
        (Kind.DEVICE, "DEADBEEF", "deadbeef", True),
        (Kind.DEVICE, "Device-A", "device-a", False),
        (Kind.TLS_FINGERPRINT, "T13d1516h2_8daaf6152771", "t13d1516h2_8daaf6152771", False),
        (Kind.REFERRAL_CODE, "Friend\u00ad50", "FRIEND50", True),
        (Kind.NAME, "Acme Labs 0412", "ACME labs 0977", True),
        (Kind.MAILBOX, "a.b@gmail.com", "ab+x@googlemail.com", True),
        (Kind.PHONE, "+1 415 555 2671", "+14155552671", True),
        (Kind.IP, "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        (Kind.IP_NETWORK, "203.0.113.7", "203.0.113.0/24", True),
    ],
)  # fmt: skip
def test_which_spellings_are_the_same(kind: Kind, first: str, second: str, same: bool) -> None:
    assert (KEYER.identify(kind, first) == KEYER.identify(kind, second)) is same


def test_keys_are_blake2b_under_pepper_and_kind() -> None:
    expected = hashlib.blake2b(b"203.0.113.9", digest_size=16, key=PEPPER, person=b"ip").digest()
    assert key(Kind.IP, "203.0.113.9", PEPPER) == expected
    assert key(Kind.IP, "203.0.113.9", b"q" * 32) != expected
    assert key(Kind.DEVICE, "203.0.113.9", PEPPER) != expected
    assert len({kind.value for kind in Kind if len(kind.value) <= 16}) == len(Kind)


def test_long_peppers_and_copies_keep_keys() -> None:
    long = Keyer(b"z" * 100)
    again = copy.deepcopy(long)
    assert again.key(Kind.IP, "x") == long.key(Kind.IP, "x")
    assert again.identify(Kind.API_KEY, "sk-1") == long.identify(Kind.API_KEY, "sk-1")


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=200))
def test_secrets_are_hashed_with_hmac_sha256(pepper: bytes, value: bytes) -> None:
    assert Hasher(pepper).digests([value]) == [hmac.new(pepper, value, "sha256").hexdigest()]


@given(st.sampled_from(sorted(SECRET_KINDS)), st.text(min_size=1, max_size=30))
def test_a_token_reads_back_as_the_same_secret(kind: Kind, raw: str) -> None:
    secret = KEYER.hasher.read(kind.value, raw)
    if secret is not None:
        assert parse_token(kind.value, secret.token) == secret
        assert KEYER.hasher.read(kind.value, secret.token) == secret


def test_what_a_secret_shows() -> None:
    card = KEYER.hasher.read("payment_method", "4111 1111 1111 1234")
    phone = KEYER.hasher.read("phone", "+1 415 555 2671")
    short = KEYER.hasher.read("api_key", "sk-1234")
    assert card is not None
    assert phone is not None
    assert short is not None
    assert (card.display, card.card_range) == ("…1234", "411111")
    assert (phone.display, phone.country, phone.line_type) == ("…2671", "US", "fixed_or_mobile")
    assert short.display == "…"


def test_secrets_have_no_canonical_text() -> None:
    with pytest.raises(ValueError, match="digest"):
        canonical(Kind.API_KEY, "sk-1")
