"""Telephone numbers: one spelling (E.164), where they belong and on what kind of line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

import phonenumbers
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
)

from graph.spelling import fold

_TYPES = {
    PhoneNumberType.FIXED_LINE: "fixed",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_or_mobile",
    PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.PREMIUM_RATE: "premium",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.PERSONAL_NUMBER: "personal",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "uan",
    PhoneNumberType.VOICEMAIL: "voicemail",
}
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}")
_MOST_CODE_DIGITS = 3
_NOT_DIALLED = re.compile(r"[^0-9+]")
_PLACEHOLDER = re.compile(r"^\+?[0-9]{0,3}(?:0{6,}|(\d)\1{8,}|0?123456789|1234567890)$")


@dataclass(frozen=True)
class Phone:
    """A number; `country` (ISO 3166) and `line_type` are None where it is not a valid one."""

    canonical: str
    country: str | None
    line_type: str | None


@lru_cache(maxsize=65_536)
def parse_phone(raw: str, region: str | None = None) -> Phone | None:
    """The number as E.164 with its country and line type; None for a placeholder such as +10000000000.

    A number that is not valid is kept by its digits (numbers made up by one script are alike), text without digits
    folded. `region` is the country of numbers written without a country code; without it a leading `+` is assumed
    where that makes the number valid.
    """
    folded = fold(raw)
    dialled = _NOT_DIALLED.sub("", folded)
    if dialled.startswith("00"):
        dialled = f"+{dialled[2:]}"
    if not dialled.strip("+"):
        return Phone(folded, None, None) if folded else None
    if _PLACEHOLDER.match(dialled):
        return None
    candidates = [(dialled, region)] if region or dialled.startswith("+") else []
    for text, country in [*candidates, (f"+{dialled.lstrip('+')}", None)]:
        valid = _valid(text, country)
        if valid is not None:
            return valid
    return Phone(dialled, None, None)


def _valid(text: str, region: str | None) -> Phone | None:
    if len(text) > 20:
        return None
    try:
        number = _plain_international(text) or phonenumbers.parse(text, region)
    except NumberParseException:
        return None
    line = phonenumbers.number_type(number)
    if line == PhoneNumberType.UNKNOWN:  # what no rule of its country allows is not valid
        return None
    country = phonenumbers.region_code_for_number(number)
    return Phone(phonenumbers.format_number(number, PhoneNumberFormat.E164), country, _TYPES.get(line))


def _plain_international(text: str) -> PhoneNumber | None:
    """What `phonenumbers.parse` makes of + and digits without a trunk prefix, in a third of the time; else None."""
    if not _INTERNATIONAL.fullmatch(text):
        return None
    for end in range(2, _MOST_CODE_DIGITS + 2):
        code, rest = int(text[1:end]), text[end:]
        if code in COUNTRY_CODE_TO_REGION_CODE:
            trunk = _trunk_prefix(code)
            if rest.startswith("0") or (trunk is not None and trunk.match(rest)):
                return None
            return PhoneNumber(country_code=code, national_number=int(rest))
    return None


@cache
def _trunk_prefix(code: int) -> re.Pattern[str] | None:
    """What may stand before a national number of a country, if anything may."""
    region = COUNTRY_CODE_TO_REGION_CODE[code][0]
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    prefix = metadata.national_prefix_for_parsing if metadata is not None else None
    return re.compile(prefix) if prefix else None
