"""Which URLs and addresses the server may connect to: the forms in which one is smuggled past a check."""

from __future__ import annotations

import ipaddress
import socket
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.refusals import Refusal
from actions.sinks.egress import EgressRules, addresses, is_public, may_connect, parse, system_resolver

HOST = "hooks.example.com"
RULES = EgressRules.of([HOST, "93.184.216.34", "other.example.com:8443"])
EVERY = EgressRules(
    frozenset(
        {"127.0.0.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.1", "localhost", "::1", "[::1]"}
        | {"0x7f.1", "1.2.3", "1.2.3.4.", "hooks.example.com.", "01.2.3.4", "1.2.3.0x4", "::ffff:127.0.0.1"}
    )
)

ODD = [
    "",
    "hooks.example.com",
    "//hooks.example.com/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://hooks.example.com/",
    "javascript:alert(1)",
    "http://hooks.example.com/",
    "https:hooks.example.com",
    "https:/hooks.example.com",
    "https:///hooks.example.com",
    "https://hooks.example.com:444/",
    "https://hooks.example.com:80443/",
    "https://hooks.example.com:-1/",
    "https://hooks.example.com:٣/",
    "https://other.example.com/",
    "https://user@hooks.example.com/",
    "https://user:word@hooks.example.com/",
    "https://@hooks.example.com/",
    "https://hooks.example.com@evil.example/",
    "https://evil.example#@hooks.example.com/",
    "https://evil.example\\@hooks.example.com/",
    "https://hooks.example.com\\.evil.example/",
    "https://hooks.example.com/#",
    "https://hooks.example.com/#part",
    "https://hooks.example.com /",
    " https://hooks.example.com/",
    "https://hooks.example.com/\n",
    "https://hooks.example.com/\r\nHost: evil.example",
    "https://hooks.example.com/\t",
    "https://hooks.example.com/\x00",
    "https://hooks.example.com./",
    "https://hooks..example.com/",
    "https://.hooks.example.com/",
    "https://hooks_.example.com/",
    "https://-hooks.example.com/",
    "https://hooks%2eexample.com/",
    "https://%68ooks.example.com/",
    "https://ｈooks.example.com/",
    "https://hooks。example.com/",
    "https://hooks.example.com.evil.example/",
    "https://evilhooks.example.com/",
    "https://sub.hooks.example.com/",
    "https://hooks.example.com/☃",
    "https://" + "a" * 64 + ".example.com/",
    "https://hooks.example.com/" + "a" * 2_000,
]

SPELLINGS = [
    "https://0x7f000001/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://0x7f.1/",
    "https://1.2.3/",
    "https://01.2.3.4/",
    "https://1.2.3.4./",
    "https://1.2.3.0x4/",
    "https://１２７.0.0.1/",
    "https://127.0.0.1%00/",
    "https://[::1%25eth0]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::FFFF:127.0.0.1]x/",
    "https://[::ffff:7f00:1/",
    "https://[]/",
    "https://[v1.x]/",
]

NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:93.184.216.34",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b::93.184.216.34",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::",
    "2002:5db8:d822::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:2800:220:1::1%eth0",
    "localhost",
    "0x7f000001",
    "127.1",
    "",
]

PUBLIC = ["93.184.216.34", "8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:2800:220:1::1", "2a00:1450::1"]


def refused(url: str, rules: EgressRules = RULES) -> Refusal:
    with pytest.raises(Refusal) as caught:
        parse(url, rules)
    assert caught.value.code == "bad_url"
    return caught.value


@pytest.mark.parametrize("url", ODD)
def test_odd_urls_are_refused_without_repeating_them(url: str) -> None:
    said = refused(url)
    assert "evil" not in said.message + said.remedy


@pytest.mark.parametrize("url", SPELLINGS)
def test_odd_spellings_of_addresses_are_refused_even_on_the_allowlist(url: str) -> None:
    refused(url, EVERY)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not may_connect(address)
    target = parse(f"https://{HOST}/", RULES)
    with pytest.raises(Refusal):
        addresses(target, RULES, lambda *_: [address], 5)
    with pytest.raises(Refusal):
        addresses(target, RULES, lambda *_: [PUBLIC[0], address], 5)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_fine(address: str) -> None:
    target = parse(f"https://{HOST}/", RULES)
    assert addresses(target, RULES, lambda *_: [address], 5) == [address]


def test_plain_urls_have_one_spelling() -> None:
    assert parse("https://HOOKS.example.com:443/a?b=c", RULES).url == f"https://{HOST}/a?b=c"
    assert parse(f"https://{HOST}", RULES).url == f"https://{HOST}/"
    assert parse("https://other.example.com:8443/", RULES).authority == "other.example.com:8443"
    literal = parse("https://93.184.216.34/", RULES)
    assert addresses(literal, RULES, lambda *_: [], 5) == ["93.184.216.34"]


def test_an_exemption_is_for_one_host_and_its_network() -> None:
    rules = EgressRules.of(
        ["hooks.internal", "wiki.internal", "127.0.0.1:9000", "[::1]:9000", "::1:9000"],
        ["hooks.internal 10.1.2.0/24", "127.0.0.1 127.0.0.1/32", "::1 ::1/128"],
    )
    inside = parse("http://hooks.internal/", rules)
    assert addresses(inside, rules, lambda *_: ["10.1.2.3"], 5) == ["10.1.2.3"]
    for other in ("10.1.3.1", "127.0.0.1", "::ffff:10.1.2.3", "64:ff9b::a01:203", "::", "224.0.0.1"):
        with pytest.raises(Refusal):
            addresses(inside, rules, lambda *_, other=other: [other], 5)
    refused("http://wiki.internal/", rules)
    wiki = parse("https://wiki.internal/", rules)
    with pytest.raises(Refusal):
        addresses(wiki, rules, lambda *_: ["10.1.2.3"], 5)
    loopback = parse("http://127.0.0.1:9000/", rules)
    assert addresses(loopback, rules, lambda *_: [], 5) == ["127.0.0.1"]
    assert parse("http://[::1]:9000/", rules).authority == "[::1]:9000"


@pytest.mark.parametrize(
    "text", ["hooks.internal 0.0.0.0/0", "h 10.0.0.0/7", "h ::/0", "h", "h x", "h 10.0.0.1/8"]
)
def test_exemptions_open_no_world(text: str) -> None:
    with pytest.raises(Refusal):
        EgressRules.of(["hooks.internal"], [text])


def test_a_second_answer_of_the_dns_changes_nothing_that_was_checked() -> None:
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    target = parse(f"https://{HOST}/", RULES)
    assert addresses(target, RULES, lambda *_: next(answers), 5) == ["93.184.216.34"]
    with pytest.raises(Refusal):
        addresses(target, RULES, lambda *_: next(answers), 5)


def test_a_resolver_that_hangs_or_fails_is_no_answer() -> None:
    over = threading.Event()
    target = parse(f"https://{HOST}/", RULES)

    def hang(*_: object) -> list[str]:
        over.wait(10)
        return []

    def fail(*_: object) -> list[str]:
        raise socket.gaierror("no such name")

    for resolve, error in ((hang, TimeoutError), (fail, OSError), (lambda *_: [], OSError)):
        with pytest.raises(error):
            addresses(target, RULES, resolve, 0.05)
    over.set()
    assert "127.0.0.1" in system_resolver("127.0.0.1", 80)


@given(st.ip_addresses(v=4))
def test_no_form_of_ipv4_in_ipv6_is_public(inner: ipaddress.IPv4Address) -> None:
    number = int(inner)
    forms = [number, 0xFFFF << 32 | number, 0x64_FF9B << 96 | number, 0x2002 << 112 | number << 80]
    forms += [0x2001 << 112 | number << 64, 0x2001 << 112 | number ^ 0xFFFFFFFF]
    assert not any(is_public(ipaddress.IPv6Address(form)) for form in forms)


@given(st.ip_addresses())
def test_whatever_the_standard_library_calls_private_is_refused(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if address.is_private or address.is_multicast or address.is_reserved or address.is_link_local:
        assert not is_public(address)


@given(st.text(max_size=60))
def test_no_text_is_more_than_a_refusal(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{HOST}{text}"):
        with suppress(Refusal):
            assert parse(url, RULES).host in {HOST, "93.184.216.34"}
