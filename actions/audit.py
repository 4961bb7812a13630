"""The audit: signed checkpoints, an export that anybody can keep, and its verification without the ledger."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from actions.ledger import Ledger, Reading, Tx, chain, subjects
from actions.model import ORGANIZATION, Principal
from actions.refusals import Refusal

MIN_KEY = 32
_AUDIT_NAME = re.compile(r"s_[0-9a-f]{32}")


class Verifier(Protocol):
    """Checks signatures of checkpoints."""

    @property
    def algorithm(self) -> str:
        """`hmac-sha256` or `ed25519`."""

    @property
    def key_id(self) -> str:
        """Which key it is, without giving it away."""

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is of this message under this key."""


class Signer(Verifier, Protocol):
    """Signs checkpoints. Its key lies outside of the ledger."""

    def sign(self, message: bytes) -> bytes:
        """A signature of the message."""


class HmacSigner:
    """HMAC-SHA256: whoever verifies could also sign, so it serves where one party keeps both."""

    algorithm = "hmac-sha256"

    def __init__(self, key: bytes) -> None:
        if len(key) < MIN_KEY:
            raise Refusal(
                "bad_request", f"the audit key has {len(key)} bytes, {MIN_KEY} are needed", "Make another."
            )
        self._key = key
        self.key_id = _key_id(hmac.digest(key, b"ringfence audit key id", "sha256"))

    def sign(self, message: bytes) -> bytes:
        """A signature of the message."""
        return hmac.digest(self._key, message, "sha256")

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is of this message under this key."""
        return hmac.compare_digest(self.sign(message), signature)


class Ed25519Verifier:
    """Verifies with the public key alone."""

    algorithm = "ed25519"

    def __init__(self, public_key: bytes) -> None:
        self._public = Ed25519PublicKey.from_public_bytes(public_key)
        self.key_id = _key_id(public_key)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is of this message under this key."""
        try:
            self._public.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Ed25519Signer(Ed25519Verifier):
    """Ed25519 (RFC 8032): an auditor verifies with the public key and cannot sign. `key` is the seed of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(key)
        self.public_key = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        super().__init__(self.public_key)

    def sign(self, message: bytes) -> bytes:
        """A signature of the message."""
        return self._private.sign(message)


def _key_id(material: bytes) -> str:
    from hashlib import sha256

    return sha256(material).hexdigest()[:16]


def _message(seq: int, entry_hash: str) -> bytes:
    return f"ringfence audit checkpoint\n{seq}\n{entry_hash}\n".encode()


def checkpoint(tx: Tx, signer: Signer) -> int | None:
    """Sign the chain's last entry, unless that is signed; its number."""
    tx.flush()
    seq, entry_hash = chain.head(tx)
    if seq == 0 or chain.last_checkpoint(tx) >= seq:
        return None
    signature = signer.sign(_message(seq, entry_hash)).hex()
    chain.add_checkpoint(tx, seq, entry_hash, signer.key_id, signer.algorithm, signature)
    return seq


def unsigned(reading: Reading) -> int:
    """Entries since the last checkpoint."""
    return chain.head(reading)[0] - chain.last_checkpoint(reading)


def export(ledger: Ledger, path: Path) -> int:
    """Write the whole audit to an NDJSON file that verifies offline; how many entries."""
    count = 0
    with ledger.reading() as reading, path.open("w", encoding="utf-8") as out:
        for _, body, entry_hash in chain.everything(reading):
            out.write(json.dumps({"entry": body, "hash": entry_hash}, separators=(",", ":")) + "\n")
            count += 1
        for row in chain.all_checkpoints(reading):
            out.write(json.dumps({"checkpoint": row}, separators=(",", ":")) + "\n")
    return count


@dataclass(frozen=True)
class Entry:
    """One entry for an auditor: names where the mapping still has them, audit names elsewhere."""

    seq: int
    hash: str
    content: Mapping[str, Any]
    names: Mapping[str, str]


def entries(
    reading: Reading, principal: Principal, *, after: int = 0, plan_id: str | None = None, limit: int = 100
) -> list[Entry]:
    """Entries after a number, the oldest first."""
    principal.require("auditor", "admin")
    found = []
    for seq, body, entry_hash in chain.read(reading, after=after, plan_id=plan_id, limit=limit):
        content = json.loads(body)
        found.append(Entry(seq, entry_hash, content, subjects.names_behind(reading, _named_in(content))))
    return found


def record(
    tx: Tx,
    verb: str,
    principal: Principal,
    *,
    why: str,
    about: Mapping[str, Any],
    organizations: Sequence[str] = (),
) -> None:
    """Add an entry about something that is done outside of the ledger; organizations stand in it by audit names."""
    known = subjects.audit_names_of(tx, ORGANIZATION, sorted(set(organizations)))
    named = {"organizations": sorted(known.values())} if known else {}
    tx.audit(verb, principal, why=why, details={**about, **named})


@dataclass(frozen=True)
class Checkpoint:
    """A signature of the chain up to an entry."""

    seq: int
    hash: str
    at: str
    key_id: str
    algorithm: str
    signature: str


def checkpoints(
    reading: Reading, principal: Principal, *, after: int = 0, limit: int = 100
) -> list[Checkpoint]:
    """Signed checkpoints after an entry's number, the oldest first."""
    principal.require("auditor", "admin")
    return [Checkpoint(**row) for row in chain.all_checkpoints(reading, after=after, limit=limit)]


def _named_in(content: Mapping[str, Any]) -> list[str]:
    items = content["details"].get("items", [])
    listed = [item[0] for item in items if isinstance(item, list)]
    listed += content["details"].get("organizations", [])
    single = [content["actor"], content["details"].get("organization"), content["details"].get("person")]
    said = _AUDIT_NAME.findall(content["why"])
    return [name for name in (*listed, *single, *said) if isinstance(name, str) and name.startswith("s_")]


@dataclass
class Verified:
    """What a verification found. `problems` is empty: every entry is there, unchanged and in order."""

    entries: int = 0
    head: str = chain.FIRST
    checkpoints: int = 0
    signed_up_to: int = 0
    problems: list[str] = field(default_factory=list)


def verify(ledger: Ledger, verifiers: Sequence[Verifier] = ()) -> Verified:
    """Verify the ledger's own chain and checkpoints."""
    with ledger.reading() as reading:
        return _verify(
            ((body, entry_hash) for _, body, entry_hash in chain.everything(reading)),
            chain.all_checkpoints(reading),
            verifiers,
        )


def verify_file(
    path: Path, verifiers: Sequence[Verifier] = (), *, expected_head: str | None = None
) -> Verified:
    """Verify an exported file with nothing but the file and keys.

    What was cut off after the last checkpoint cannot be seen in the file alone: give the `expected_head` that was
    noted elsewhere.
    """
    checkpoints: list[dict[str, Any]] = []
    broken: list[str] = []

    def rows() -> Iterator[tuple[str, str]]:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    record = json.loads(line)
                    if "checkpoint" in record:
                        checkpoints.append(record["checkpoint"])
                    else:
                        yield record["entry"], record["hash"]
                except (ValueError, KeyError, TypeError):
                    broken.append(f"line {number} is no record of an audit")

    hashes: dict[int, str] = {}
    found = _chained(rows(), hashes)
    _check_signatures(found, hashes, checkpoints, verifiers)
    found.problems += broken
    if expected_head is not None and found.head != expected_head:
        found.problems.append(
            "the last entry is not the expected one: entries are missing, or others are there"
        )
    return found


def _verify(
    rows: Iterator[tuple[str, str]], checkpoints: Sequence[Mapping[str, Any]], verifiers: Sequence[Verifier]
) -> Verified:
    hashes: dict[int, str] = {}
    found = _chained(rows, hashes)
    _check_signatures(found, hashes, checkpoints, verifiers)
    return found


def _chained(rows: Iterator[tuple[str, str]], hashes: dict[int, str]) -> Verified:
    """Follow the chain; `hashes` receives the hash of each entry."""
    found = Verified()
    for body, entry_hash in rows:
        seq = found.entries + 1
        problem = _problem(body, entry_hash, seq, found.head)
        if problem is not None:
            found.problems.append(f"entry {seq}: {problem}")
        found.entries, found.head = seq, entry_hash
        hashes[seq] = entry_hash
    return found


def _problem(body: str, entry_hash: str, seq: int, previous: str) -> str | None:
    if not isinstance(body, str) or not body.isascii() or chain.hashed(body) != entry_hash:
        return "its content is not what was hashed"
    content = json.loads(body)
    if content.get("prev") != previous:
        return "it does not follow the entry before"
    if content.get("seq") != seq:
        return f"it says that it is number {content.get('seq')}"
    return None if chain.canonical(content) == body else "it is not canonical"


def _check_signatures(
    found: Verified,
    hashes: Mapping[int, str],
    checkpoints: Sequence[Mapping[str, Any]],
    verifiers: Sequence[Verifier],
) -> None:
    known = {(verifier.algorithm, verifier.key_id): verifier for verifier in verifiers}
    for row in checkpoints:
        seq = row["seq"]
        if hashes.get(seq) != row["hash"]:
            found.problems.append(f"checkpoint {seq}: the chain has another entry there, or none")
            continue
        verifier = known.get((row["algorithm"], row["key_id"]))
        if verifier is None:
            if verifiers:
                found.problems.append(f"checkpoint {seq}: signed by an unknown key {row['key_id']}")
            continue
        if not verifier.verify(_message(seq, row["hash"]), bytes.fromhex(row["signature"])):
            found.problems.append(f"checkpoint {seq}: the signature is wrong")
            continue
        found.checkpoints += 1
        found.signed_up_to = max(found.signed_up_to, seq)
