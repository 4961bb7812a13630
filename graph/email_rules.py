"""E-mail addresses: which spellings reach the same mailbox, and which domains are everybody's.

Rules are the providers' own (their help pages on aliases and sub-addressing). An unknown domain gets none: its
server may treat `a.b` and `ab` as two people.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import idna

from graph.spelling import fold


@dataclass(frozen=True)
class Provider:
    """How one provider reads the part before the @, and the domain its aliases stand for.

    Text from the first of `tag` on is dropped; characters in `ignored` do not count; `subdomains`: whatever@user.domain
    reaches user@domain.
    """

    domain: str
    tag: str = ""
    ignored: str = ""
    subdomains: bool = False


_GMAIL = Provider("gmail.com", tag="+", ignored=".")
_PROTON = Provider("proton.me", tag="+", ignored=".-_")
_ICLOUD = Provider("icloud.com", tag="+")
_YANDEX = Provider("yandex.ru", tag="+")

PROVIDERS: dict[str, Provider] = {
    **dict.fromkeys(("gmail.com", "googlemail.com"), _GMAIL),
    **dict.fromkeys(("proton.me", "protonmail.com", "protonmail.ch", "pm.me"), _PROTON),
    **dict.fromkeys(("icloud.com", "me.com", "mac.com"), _ICLOUD),
    **dict.fromkeys(("yandex.ru", "yandex.com", "ya.ru", "yandex.by", "yandex.kz", "yandex.ua"), _YANDEX),
    **{name: Provider(name, tag="+", subdomains=True) for name in ("fastmail.com", "fastmail.fm")},
}
"""Providers known by their exact domain; `provider_of` also knows those with a domain in every country."""

_COUNTRY_FAMILIES = {"outlook": "+", "hotmail": "+", "live": "+", "msn": "+", "yahoo": "-", "ymail": "-"}
_SHARED_TEXT = """
    aol.com rocketmail.com gmx.com gmx.net gmx.de gmx.at gmx.ch web.de t-online.de freenet.de mail.com email.com
    mail.ru inbox.ru list.ru bk.ru internet.ru rambler.ru qq.com foxmail.com 163.com 126.com yeah.net sina.com sina.cn
    sohu.com aliyun.com 139.com 189.cn naver.com hanmail.net daum.net nate.com kakao.com zoho.com zohomail.com
    zohomail.eu tutanota.com tutanota.de tuta.com tuta.io tuta.me keemail.me hey.com orange.fr wanadoo.fr free.fr
    laposte.net sfr.fr libero.it virgilio.it tiscali.it alice.it wp.pl o2.pl onet.pl interia.pl seznam.cz centrum.cz
    email.cz abv.bg mail.bg ukr.net i.ua uol.com.br bol.com.br terra.com.br terra.com rediffmail.com comcast.net
    verizon.net att.net sbcglobal.net bellsouth.net cox.net charter.net btinternet.com sky.com virginmedia.com
    bigpond.com optusnet.com.au ziggo.nl kpnmail.nl telenet.be skynet.be bluewin.ch mailbox.org posteo.de
    duck.com simplelogin.com mozmail.com privaterelay.appleid.com hushmail.com runbox.com startmail.com
"""
_SHARED = frozenset(_SHARED_TEXT.split())
"""Domains that strangers share, besides the providers: mailboxes identify there, the domain does not."""


@dataclass(frozen=True)
class Address:
    """An e-mail address in canonical form; `domain` is None where everybody may have an address of it."""

    mailbox: str
    domain: str | None


@lru_cache(maxsize=65_536)
def parse_email(raw: str) -> Address:
    """The mailbox that `raw` reaches. What is no address is kept, folded, as a mailbox without a domain."""
    folded = fold(raw).removeprefix("mailto:").strip("<>").strip()
    local, at, domain = folded.rpartition("@")
    domain = _ascii_domain(domain)
    if not at or not local or not domain:
        return Address(folded, None)
    provider = provider_of(domain)
    if provider is None:
        return Address(f"{local}@{domain}", None if domain in _SHARED else domain)
    if provider.subdomains and domain != provider.domain:
        local = domain.removesuffix(f".{provider.domain}")
    return Address(f"{_strip(local, provider)}@{provider.domain}", None)


@lru_cache(maxsize=65_536)
def provider_of(domain: str) -> Provider | None:
    """The provider whose rules hold for addresses of this (folded, ASCII) domain, if one is known."""
    known = PROVIDERS.get(domain)
    if known is not None:
        return known
    family, _, rest = domain.partition(".")
    if family in _COUNTRY_FAMILIES and rest and len(rest) <= 6 and rest.count(".") <= 1:
        return Provider(domain, tag=_COUNTRY_FAMILIES[family])
    parent = PROVIDERS.get(domain.partition(".")[2])
    return parent if parent is not None and parent.subdomains else None


def _strip(local: str, provider: Provider) -> str:
    base = local.partition(provider.tag)[0] if provider.tag else local
    base = base.translate({ord(c): None for c in provider.ignored})
    return base or local


@lru_cache(maxsize=65_536)
def _ascii_domain(domain: str) -> str:
    trimmed = domain.strip().rstrip(".")
    try:
        return idna.encode(trimmed, uts46=True).decode("ascii").lower() if not trimmed.isascii() else trimmed
    except (idna.IDNAError, UnicodeError):
        return trimmed
