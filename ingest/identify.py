"""Keys by column: every identifier field of a batch as keys and as rows of the values table.

The same answers as `graph.identifiers` gives for one value, once per distinct value of the batch: printable ASCII,
which is nearly all, is spelled by Arrow's kernels, the rest one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graph.addresses import NOWHERE_IPV4, PLAIN_IPV4, parse_ip
from graph.email_rules import parse_email
from graph.identifiers import (
    EXACT_KINDS,
    KEY_BYTES,
    TIDY_KINDS,
    TOKEN_KINDS,
    Keyer,
    Kind,
    canonical,
    key_basis,
)
from graph.phones import parse_phone
from graph.secret_values import MIN_FOR_LAST_FOUR, Secret, bin_of, last_four
from graph.spelling import fold, has_hidden, show
from graph.stop_values import EXACT_WORDS, MIN_ZEROS, WORDS, ZEROS, is_stop
from ingest.strings import I64, U64, Bools, Distinct, all_plain

_PLAIN = r"^[ -~]*$"
_HEX = r"^[0-9A-Fa-f]+$"
_UUID = r"^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
_GROUPED = r"[:\-{}]"
_WORDS = pa.array(sorted(WORDS))
_EXACT_WORDS = pa.array(sorted(EXACT_WORDS))
_FOLDED_KINDS = frozenset({Kind.REFERRAL_CODE, Kind.PROMO_CODE})
_LAST_OCTET = r"\.[0-9]+$"


@dataclass(frozen=True)
class Keys:
    """An identifier column: 16-byte keys as two words for each distinct raw value, and what is known of it.

    `keys` is (distinct, 2); `present` is false for stop values. `raw`, `canonical` and `display` are what the values
    table gets (raw and canonical are null for secrets).
    """

    kind: Kind
    distinct: Distinct
    keys: U64
    present: Bools
    hidden: Bools
    raw: pa.Array
    canonical: pa.Array
    display: pa.Array
    notes: dict[str, list[str | None]] = field(default_factory=dict)

    def words(self) -> tuple[U64, Bools]:
        """The keys as (rows, 2) words, zero where null, and which rows have none."""
        # Keys of stop values are zero already, and the code of a null row, -1, finds the last row.
        padded = np.vstack([self.keys, np.zeros((1, 2), np.uint64)])
        missing = ~np.append(self.present, False)[self.distinct.codes]
        return padded.take(self.distinct.codes, axis=0), missing

    def hidden_rows(self) -> Bools:
        """Rows whose raw value hides characters."""
        return np.append(self.hidden, False)[self.distinct.codes]

    def noted(self, name: str) -> pa.DictionaryArray:
        """One text a row that was derived from each distinct value (`country`, `line_type`, `card_range`)."""
        stored = pa.array(self.notes[name], pa.string()).dictionary_encode()
        codes = np.append(pc.fill_null(stored.indices, -1).to_numpy(zero_copy_only=False), -1)
        rows = codes[self.distinct.codes]
        return pa.DictionaryArray.from_arrays(pa.array(rows, pa.int32(), mask=rows < 0), stored.dictionary)


def to_uuids(words: U64, missing: Bools) -> pa.ExtensionArray:
    """(rows, 2) words as `pa.uuid()`."""
    valid = pa.array(~missing).buffers()[1] if missing.any() else None
    storage = pa.Array.from_buffers(
        pa.binary(KEY_BYTES), len(words), [valid, pa.py_buffer(np.ascontiguousarray(words, "<u8"))]
    )
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


class Identifier:
    """Spells and keys whole columns under one pepper."""

    def __init__(self, keyer: Keyer, region: str | None = None) -> None:
        self.keyer = keyer
        self.region = region

    def column(self, kind: Kind, text: pa.StringArray) -> Keys:
        """The keys of a column of any kind but secrets."""
        distinct = Distinct.of(text)
        raw = distinct.values
        spelled = _spell(kind, raw)
        present = spelled.is_valid().to_numpy(zero_copy_only=False)
        if kind is Kind.NAME:
            bases = [key_basis(kind, value).encode() for value in spelled.drop_null().to_pylist()]
        else:
            bases = spelled.drop_null().cast(pa.binary()).to_pylist()
        hidden, display = _shown(raw)
        return Keys(kind, distinct, self._keys(kind, bases, present), present, hidden, raw, spelled, display)

    def derived(self, kind: Kind, source: Keys, values: list[str | None]) -> Keys:
        """A second identifier that each distinct value of `source` implies (its network, its domain)."""
        encoded = pa.array(values, pa.string()).dictionary_encode()
        texts = encoded.dictionary
        codes = np.append(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False), -1)
        rows = codes[
            np.where(np.append(source.present, False)[source.distinct.codes], source.distinct.codes, -1)
        ]
        present = np.ones(len(texts), np.bool_)
        keys = self._keys(kind, texts.cast(pa.binary()).to_pylist(), present)
        distinct = Distinct(rows.astype(np.int32), texts)
        return Keys(kind, distinct, keys, present, np.zeros(len(texts), np.bool_), texts, texts, texts)

    def networks(self, addresses: Keys) -> Keys:
        """The /24 or /48 of each address."""
        raw = addresses.raw
        usual = pc.match_substring_regex(raw, PLAIN_IPV4)
        nets = pc.if_else(usual, pc.replace_substring_regex(raw, _LAST_OCTET, ".0/24"), None).to_pylist()
        for place in np.flatnonzero(~usual.to_numpy(zero_copy_only=False)).tolist():
            found = parse_ip(raw[place].as_py())
            nets[place] = found.network if found else None
        return self.derived(Kind.IP_NETWORK, addresses, nets)

    def domains(self, mailboxes: Keys) -> Keys:
        """The domain of each mailbox, none for those that everybody may use."""
        return self.derived(
            Kind.EMAIL_DOMAIN, mailboxes, [parse_email(raw).domain for raw in mailboxes.raw.to_pylist()]
        )

    def secrets(self, kind: Kind, text: pa.StringArray) -> Keys:
        """The keys of a column of secrets, hashed before they are keyed; only what may be kept is returned."""
        distinct = Distinct.of(text)
        values = distinct.values
        tokens = pc.any(pc.starts_with(values, "hmac:")).as_py()
        if tokens or not all_plain(values):
            return self._each_secret(kind, distinct)
        if kind is Kind.PHONE:
            return self._plain_phones(distinct)
        trimmed = pc.ascii_trim_whitespace(values)
        present = ~_stops(trimmed).to_numpy(zero_copy_only=False)
        digests = self.keyer.hasher.digests(trimmed.filter(pa.array(present)).cast(pa.binary()).to_pylist())
        short = pc.less(pc.binary_length(trimmed), MIN_FOR_LAST_FOUR)
        lasts = pc.replace_substring(pc.utf8_slice_codeunits(trimmed, -4), ":", "")
        display = pc.binary_join_element_wise("…", pc.if_else(short, "", lasts), "")
        notes: dict[str, list[str | None]] = {}
        if kind is Kind.PAYMENT_METHOD:
            notes["card_range"] = [bin_of(value) for value in trimmed.to_pylist()]
        hidden = np.zeros(len(values), np.bool_)
        return self._secret_keys(kind, distinct, digests, present, hidden, display, notes)

    def _plain_phones(self, distinct: Distinct) -> Keys:
        read = [
            None if is_stop(fold(text)) else parse_phone(text, self.region)
            for text in distinct.values.to_pylist()
        ]
        known = [phone for phone in read if phone is not None]
        digests = self.keyer.hasher.digests([phone.canonical.encode() for phone in known])
        present = np.array([phone is not None for phone in read], np.bool_)
        display = [None if phone is None else f"…{last_four(phone.canonical)}" for phone in read]
        notes = {
            "country": [None if phone is None else phone.country for phone in read],
            "line_type": [None if phone is None else phone.line_type for phone in read],
        }
        hidden = np.zeros(len(read), np.bool_)
        shown = pa.array(display, pa.string())
        return self._secret_keys(Kind.PHONE, distinct, digests, present, hidden, shown, notes)

    def _each_secret(self, kind: Kind, distinct: Distinct) -> Keys:
        read: list[Secret | None] = [
            None if is_stop(fold(text)) else self.keyer.hasher.read(kind.value, text, self.region)
            for text in distinct.values.to_pylist()
        ]
        digests = [secret.digest for secret in read if secret is not None]
        present = np.array([secret is not None for secret in read], np.bool_)
        hidden = np.array([secret is not None and secret.hidden for secret in read], np.bool_)
        display = pa.array([None if secret is None else secret.display for secret in read], pa.string())
        notes: dict[str, list[str | None]] = {
            name: [None if secret is None else getattr(secret, name) for secret in read]
            for name in ("country", "line_type", "card_range")
        }
        return self._secret_keys(kind, distinct, digests, present, hidden, display, notes)

    def _secret_keys(
        self,
        kind: Kind,
        distinct: Distinct,
        digests: list[str],
        present: Bools,
        hidden: Bools,
        display: pa.StringArray,
        notes: dict[str, list[str | None]],
    ) -> Keys:
        none = pa.nulls(len(present), pa.string())
        keys = self._keys(kind, [digest.encode() for digest in digests], present)
        return Keys(kind, Distinct(distinct.codes, none), keys, present, hidden, none, none, display, notes)

    def _keys(self, kind: Kind, bases: list[bytes], present: Bools) -> U64:
        keys = np.zeros((len(present), 2), np.uint64)
        keys[present] = np.frombuffer(self.keyer.keys(kind, bases), "<u8").reshape(-1, 2)
        return keys


def _shown(raw: pa.StringArray) -> tuple[Bools, pa.StringArray]:
    if all_plain(raw):
        return np.zeros(len(raw), np.bool_), raw
    texts = raw.to_pylist()
    hidden = np.array([has_hidden(text) for text in texts], np.bool_)
    shown = pa.array([show(t) if h else t for t, h in zip(texts, hidden.tolist(), strict=True)], pa.string())
    return hidden, shown


def _spell(kind: Kind, raw: pa.StringArray) -> pa.StringArray:
    """`identifiers.canonical` of each value, null for stop values."""
    fast: Bools = np.zeros(len(raw), np.bool_)
    if kind is Kind.IP:
        fast = pc.match_substring_regex(raw, PLAIN_IPV4).to_numpy(zero_copy_only=False)
    elif kind in EXACT_KINDS or kind in TIDY_KINDS or kind in TOKEN_KINDS or kind in _FOLDED_KINDS:
        fast = _plain_rows(raw)
        if kind in TOKEN_KINDS and fast.any():
            grouped = pc.and_not(
                pc.match_substring_regex(raw, _GROUPED), pc.match_substring_regex(raw, _UUID)
            )
            fast &= ~grouped.to_numpy(zero_copy_only=False)
    if fast.all():
        return _spell_plain(kind, raw)
    out: npt.NDArray[np.object_] = np.full(len(raw), None, object)
    out[fast] = _spell_plain(kind, raw.filter(pa.array(fast))).to_pylist()
    slow = raw.filter(pa.array(~fast)).to_pylist()
    out[~fast] = np.array([canonical(kind, text) for text in slow] + [None], object)[:-1]
    return pa.array(out, pa.string())


def _plain_rows(raw: pa.StringArray) -> Bools:
    if all_plain(raw):
        return np.ones(len(raw), np.bool_)
    plain: Bools = pc.match_substring_regex(raw, _PLAIN).to_numpy(zero_copy_only=False)
    return plain


def _spell_plain(kind: Kind, raw: pa.StringArray) -> pa.StringArray:
    if kind is Kind.IP:
        return pc.if_else(pc.match_substring_regex(raw, NOWHERE_IPV4), None, raw)
    if kind in EXACT_KINDS:
        lowered = pc.ascii_lower(pc.ascii_trim_whitespace(raw))
        return pc.if_else(pc.or_(pc.is_in(lowered, _EXACT_WORDS), pc.equal(lowered, "")), None, raw)
    text = pc.ascii_trim_whitespace(raw)
    if kind in _FOLDED_KINDS:
        text = pc.ascii_lower(text)
    elif kind in TOKEN_KINDS:
        text = pc.if_else(pc.match_substring_regex(text, _UUID), pc.replace_substring(text, "-", ""), text)
        text = pc.if_else(pc.match_substring_regex(text, _HEX), pc.ascii_lower(text), text)
    return pc.if_else(_stops(text), None, text)


def _stops(text: pa.StringArray) -> pa.BooleanArray:
    """`stop_values.is_stop` of the folded form of plain, trimmed text."""
    lowered = pc.ascii_lower(text)
    words = pc.or_(pc.is_in(lowered, _WORDS), pc.equal(lowered, ""))
    zeros = pc.match_substring_regex(lowered, ZEROS)
    return pc.or_(words, pc.and_(zeros, pc.greater_equal(pc.binary_length(lowered), MIN_ZEROS)))


def first_organizations(keys: Keys, organizations: U64, missing: Bools) -> tuple[U64, Bools]:
    """Per distinct value, the organization of the first row that has it."""
    first: I64 = keys.distinct.first_rows()
    return organizations[first], missing[first]
