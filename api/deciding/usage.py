"""What decisions ask of the facts beyond a run: consumption since a moment, who used an entity, active keys."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from actions.population import Hits
from detection.runs import RunFiles
from graph.errors import RingfenceError
from graph.facts import FactsReader
from graph.home import Home
from graph.identifiers import Keyer, Kind
from graph.keys import storage_of

WINDOW = timedelta(days=30)
SHOWN = 10
KEY = pa.binary(16)
_KEYED = {
    "domain": ("email_domain", Kind.EMAIL_DOMAIN),
    "tls_fingerprint": ("tls_fingerprint", Kind.TLS_FINGERPRINT),
    "device": ("device", Kind.DEVICE),
}
"""Entities that one key stands for: their column, and the kind of the key."""
_CREATED, _REVOKED = "api_key_created", "api_key_revoked"


class Usage:
    """The facts of a home, asked on behalf of one run."""

    def __init__(self, home: Home, files: RunFiles, pepper: bytes) -> None:
        self._facts = FactsReader(home)
        self._files = files
        self._keyer = Keyer(pepper)
        self._asked: tuple[object, Mapping[str, float]] = (None, {})

    def consumption(self, org_ids: Sequence[str], since: datetime) -> Mapping[str, float]:
        """What serving these organizations cost since then, in the home's currency; those without any are left out.

        The same question is answered from memory until more is ingested.
        """
        question = (tuple(org_ids), since, len(self._facts.commits()))
        if self._asked[0] == question:
            return self._asked[1]
        names = dict(zip(self._keys(org_ids).to_pylist(), org_ids, strict=True))
        found: dict[str, float] = {}
        wanted = pa.array(list(names), KEY)
        where = (pc.field("event_type") == "inference") & (pc.field("occurred_at") >= since)
        for batch in self._events(["organization", "cost"], where, since):
            keys = storage_of(batch["organization"])
            mine = pc.and_kleene(pc.is_in(keys, wanted), pc.is_valid(batch["cost"]))
            for key, cost in zip(
                keys.filter(mine).to_pylist(), batch["cost"].filter(mine).to_pylist(), strict=True
            ):
                found[names[key]] = found.get(names[key], 0.0) + float(cost)
        self._asked = (question, found)
        return found

    def legitimate_hits(self, entity_type: str, keys: Sequence[str]) -> Mapping[str, Hits]:
        """For each entity, the organizations that used it in the last 30 days of the run and are not actionable.

        Phone numbers are stored as digests, so a range counts as all of its country, and all numbers that are of none:
        never fewer than it would hit.
        """
        since = self._files.manifest.as_of - WINDOW
        users: dict[str, set[bytes]] = {key: set() for key in keys}
        column, meant = self._meaning(entity_type, keys)
        for batch in self._events(["organization", "phone", column], pc.field("occurred_at") >= since, since):
            values = batch[column]
            plain = values.dictionary_decode() if isinstance(values, pa.DictionaryArray) else values
            plain = storage_of(plain)
            nowhere = pc.and_(pc.is_null(plain), pc.is_valid(batch["phone"]))  # numbers that are not valid
            for entity, wanted in meant.items():
                hit = pc.is_in(plain, wanted)
                hit = pc.or_(hit, nowhere) if entity_type == "phone_range" else hit
                users[entity].update(storage_of(batch["organization"].filter(hit)).to_pylist())
        return {entity: self._legitimate(found - {None}) for entity, found in users.items()}

    def active_keys(self, org_ids: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """The API keys of organizations that were created and not revoked, as the hex of their digests."""
        wanted = self._keys(org_ids)
        owners, keys = self._active
        mine = pc.is_in(owners, wanted)
        names = dict(zip(wanted.to_pylist(), org_ids, strict=True))
        found: dict[str, list[str]] = {}
        for owner, key in zip(owners.filter(mine).to_pylist(), keys.filter(mine).to_pylist(), strict=True):
            found.setdefault(names[owner], []).append(key.hex())
        return {name: tuple(sorted(each)) for name, each in found.items()}

    @cached_property
    def _active(self) -> tuple[pa.Array, pa.Array]:
        """(owner, key) of every active key, read once for a whole plan."""
        types = pa.array([_CREATED, _REVOKED])
        latest: dict[tuple[bytes, bytes], tuple[datetime, bool]] = {}
        columns = ["event_type", "occurred_at", "organization", "api_key"]
        for batch in self._events(columns, pc.field("event_type").isin(types), None):
            owners, keys = storage_of(batch["organization"]), storage_of(batch["api_key"])
            rows = zip(
                owners.to_pylist(),
                keys.to_pylist(),
                batch["occurred_at"].to_pylist(),
                pc.equal(batch["event_type"], _CREATED).to_pylist(),
                strict=True,
            )
            for owner, key, at, created in rows:
                if owner is not None and key is not None:
                    latest[owner, key] = max(latest.get((owner, key), (at, created)), (at, created))
        active = [pair for pair, (_, created) in latest.items() if created]
        return pa.array([owner for owner, _ in active], KEY), pa.array([key for _, key in active], KEY)

    def _meaning(self, entity_type: str, keys: Sequence[str]) -> tuple[str, dict[str, pa.Array]]:
        """The column that shows the use of entities of this type, and the values of each of them."""
        if entity_type in _KEYED:
            column, kind = _KEYED[entity_type]
            found = {key: self._keyer.identify(kind, key) for key in keys}
            return column, {key: pa.array([one] if one else [], KEY) for key, one in found.items()}
        if entity_type == "network":
            return "ip", {key: self._addresses(key) for key in keys}
        if entity_type == "phone_range":
            return "phone_country", {key: pa.array(_countries(key), pa.string()) for key in keys}
        return "payment_bin", {key: pa.array([key], pa.string()) for key in keys}

    def _addresses(self, network: str) -> pa.Array:
        """The keys of all known addresses within a network. Raises RingfenceError (exit 2) for what is none."""
        try:
            wide = ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise RingfenceError(
                f"{network!r} is no network", "Write it as 198.51.100.0/24.", exit_code=2
            ) from error
        files = self._facts.value_files()
        if not files:
            return pa.array([], KEY)
        data = ds.dataset(files, format="parquet")
        table = data.to_table(columns=["key", "canonical"], filter=pc.field("kind") == Kind.IP.value)
        inside = [_within(text, wide) for text in table["canonical"].to_pylist()]
        return storage_of(table["key"].filter(pa.array(inside, pa.bool_())))

    def _legitimate(self, keys: set[bytes]) -> Hits:
        """Those of these organizations that are not actionable; one that the run does not know yet is legitimate."""
        if not keys:
            return Hits(0)
        known = self._files.table("organizations", ["organization", "org_id"])
        mine = known.filter(pc.is_in(storage_of(known["organization"]), pa.array(sorted(keys), KEY)))
        names = set(mine["org_id"].to_pylist())
        where = pc.field("org_id").isin(pa.array(sorted(names), pa.string())) & pc.field("actionable")
        bad = set(self._files.table("members", ["org_id"], where)["org_id"].to_pylist())
        return Hits(len(keys) - len(bad), tuple(sorted(names - bad)[:SHOWN]))

    def _keys(self, org_ids: Sequence[str]) -> pa.Array:
        raw = self._keyer.keys(Kind.ORGANIZATION, (each.encode() for each in org_ids))
        return pa.array([raw[start : start + 16] for start in range(0, len(raw), 16)], KEY)

    def _events(
        self, columns: list[str], where: pc.Expression, since: datetime | None
    ) -> Iterator[pa.RecordBatch]:
        files = [each.path for each in self._facts.event_files() if since is None or each.last >= since]
        if files:
            yield from ds.dataset(files, format="parquet").to_batches(columns=columns, filter=where)


def _within(address: str | None, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return address is not None and ipaddress.ip_address(address) in network
    except ValueError:
        return False


def _countries(phone_range: str) -> list[str]:
    """The countries of a range such as +44 7700: all that share its country code. Raises RingfenceError (exit 2)."""
    digits = "".join(one for one in phone_range if one.isdigit())
    for length in (1, 2, 3):
        regions = COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:length] or 0))
        if regions and len(digits) >= length:
            return list(regions)
    raise RingfenceError(
        f"{phone_range!r} is no range of telephone numbers", "Write how they begin: +447700", exit_code=2
    )
