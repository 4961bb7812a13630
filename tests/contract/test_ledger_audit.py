"""The audit, its offline verification, idempotency keys, erasure and migrations, on both databases."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from actions import audit, erasure, idempotency, protections, waves
from actions.ledger import Ledger, chain
from actions.ledger.engine import open_engine, safe_sqlite
from actions.ledger.tables import metadata
from actions.model import Action, Principal
from actions.refusals import Refusal
from tests.contract.desk import ADMIN, ALICE, BOB, Desk, People, request, ring

pytest_plugins = ("tests.contract.ledgers",)
AUDITOR = Principal("user:audrey", frozenset({"auditor"}))
ED25519 = audit.Ed25519Signer(secrets.token_bytes(32))
HMAC = audit.HmacSigner(secrets.token_bytes(32))


@pytest.fixture
def exported(desk: Desk, tmp_path: Path) -> Path:
    desk.apply(desk.approve(desk.plan(request(Action.BAN, controls=False))))
    with desk.ledger.transaction() as tx:
        audit.checkpoint(tx, ED25519)
    path = tmp_path / "audit.ndjson"
    assert audit.export(desk.ledger, path) > 10
    return path


def test_an_export_verifies_offline_with_the_public_key(exported: Path) -> None:
    found = audit.verify_file(exported, [audit.Ed25519Verifier(ED25519.public_key)])
    assert (found.problems, found.checkpoints, found.signed_up_to) == ([], 1, found.entries)
    assert audit.verify_file(exported, expected_head=found.head).problems == []
    stranger = audit.Ed25519Signer(secrets.token_bytes(32))
    assert "unknown key" in audit.verify_file(exported, [stranger]).problems[0]


def changed(line: str) -> str:
    record = json.loads(line)
    record["entry"] = record["entry"].replace("plan.approved", "plan.rejected")
    record["hash"] = chain.hashed(record["entry"])
    return json.dumps(record)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda lines: lines[:3] + lines[4:],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [lines[0], changed(lines[1]), *lines[2:]],
        lambda lines: [*lines[:-2], lines[-1]],
        lambda lines: [*lines[:-1], lines[-1].replace('"signature":"', '"signature":"00')],
        lambda lines: ["not json", *lines[1:]],
        lambda lines: lines[-1:],
    ],
    ids=["removed", "swapped", "rehashed", "cut", "signature", "garbage", "emptied"],
)
def test_whatever_is_changed_in_an_export_is_seen(
    exported: Path, tamper: Callable[[list[str]], list[str]]
) -> None:
    lines = tamper(exported.read_text().splitlines())
    exported.write_text("\n".join(lines) + "\n")
    found = audit.verify_file(exported, [ED25519])
    assert found.problems


def test_what_is_cut_off_after_a_checkpoint_needs_the_head(desk: Desk, exported: Path) -> None:
    with desk.ledger.transaction() as tx:
        protections.protect(tx, "org_00001", BOB, reason="x")
    audit.export(desk.ledger, exported)
    head = audit.verify(desk.ledger).head
    lines = exported.read_text().splitlines()
    exported.write_text("\n".join([*lines[:-2], lines[-1]]) + "\n")
    assert audit.verify_file(exported, [ED25519]).problems == []
    assert audit.verify_file(exported, [ED25519], expected_head=head).problems


def test_checkpoints_are_made_by_either_algorithm_and_once_an_entry(desk: Desk) -> None:
    desk.plan(request(Action.THROTTLE))
    with desk.ledger.transaction() as tx:
        assert audit.checkpoint(tx, HMAC) == 1
        assert audit.checkpoint(tx, HMAC) is None
        assert audit.unsigned(tx) == 0
    assert audit.verify(desk.ledger, [HMAC]).checkpoints == 1
    with pytest.raises(Refusal):
        audit.HmacSigner(b"short")


def test_the_audit_says_who_did_what_to_whom(desk: Desk) -> None:
    plan = desk.apply(desk.approve(desk.plan(request(Action.BAN, controls=False))))
    with desk.ledger.reading() as reading:
        found = audit.entries(reading, AUDITOR, plan_id=plan.plan_id)
        with pytest.raises(Refusal):
            audit.entries(reading, ALICE)
    verbs = [entry.content["verb"] for entry in found]
    assert verbs[:3] == ["plan.planned", "plan.approved", "plan.started"]
    intended = [entry for entry in found if entry.content["verb"] == "effects.intended"]
    items = [item for entry in intended for item in entry.content["details"]["items"]]
    assert len(items) == 200
    assert {tuple(item[1:]) for item in items} == {(0, Action.BAN.bit, 1)}
    assert intended[0].names[items[0][0]].startswith("org_")
    assert found[1].names[found[1].content["actor"]] == "user:bob"


def test_an_erased_organization_leaves_no_name_and_the_chain_verifies(desk: Desk, where: str) -> None:
    desk.people = People(*ring(20))
    desk.apply(desk.plan(request(Action.THROTTLE)))
    with desk.ledger.transaction() as tx:
        ticket = idempotency.begin(tx, ALICE, "POST /v1/plans", "k1", b"{}")
        assert isinstance(ticket, idempotency.Ticket)
        idempotency.finish(tx, ticket, 200, '{"members": ["org_00007"]}')
    assert _held(where, b"org_00007")
    with desk.ledger.transaction() as tx:
        audit_name = erasure.erase_organization(tx, "org_00007", ADMIN)
        erasure.erase_person(tx, "user:alice", ADMIN)
    erasure.overwrite(desk.ledger)
    for name in (b"org_00007", b"user:alice"):
        assert not _held(where, name)
    assert _held(where, b"org_00008")
    with desk.ledger.reading() as reading:
        found = audit.entries(reading, AUDITOR, limit=1_000)
    assert not any(audit_name in entry.names for entry in found)
    assert audit.verify(desk.ledger).problems == []
    desk.clock.pass_(hours=12)
    desk.run()


def _held(where: str, name: bytes) -> bool:
    """Whether a name is in any file of the ledger, or in any row."""
    if "://" not in where:
        return any(name in path.read_bytes() for path in Path(where).parent.glob("ledger.sqlite*"))
    engine = open_engine(where)
    with engine.connect() as conn:
        rows = [row for table in metadata.sorted_tables for row in conn.execute(table.select())]
    engine.dispose()
    return any(name.decode() in repr(row) for row in rows)


def test_the_same_request_is_done_once(desk: Desk) -> None:
    route = "POST /v1/plans"
    with desk.ledger.transaction() as tx:
        ticket = idempotency.begin(tx, ALICE, route, "key", b"body")
        assert isinstance(ticket, idempotency.Ticket)
    for body, code in ((b"body", "still_running"), (b"another", "key_reused")):
        with desk.ledger.transaction() as tx, pytest.raises(Refusal) as error:
            idempotency.begin(tx, ALICE, route, "key", body)
        assert error.value.code == code
    with desk.ledger.transaction() as tx:
        idempotency.finish(tx, ticket, 201, "made")
    with desk.ledger.transaction() as tx:
        assert idempotency.begin(tx, ALICE, route, "key", b"body") == idempotency.Replay(201, "made")
        assert isinstance(idempotency.begin(tx, BOB, route, "key", b"other"), idempotency.Ticket)
        assert isinstance(idempotency.begin(tx, ALICE, "POST /v1/undo", "key", b"x"), idempotency.Ticket)
        with pytest.raises(Refusal):
            idempotency.begin(tx, ALICE, route, "", b"x")
    desk.clock.pass_(days=7)
    with desk.ledger.transaction() as tx:
        assert isinstance(idempotency.begin(tx, ALICE, route, "key", b"new"), idempotency.Ticket)
        assert idempotency.forget_old(tx) >= 0


def test_a_request_that_died_can_be_made_again(desk: Desk) -> None:
    with desk.ledger.transaction() as tx:
        idempotency.begin(tx, ALICE, "r", "key", b"body")
    desk.clock.pass_(minutes=15)
    with desk.ledger.transaction() as tx:
        again = idempotency.begin(tx, ALICE, "r", "key", b"body")
        assert isinstance(again, idempotency.Ticket)
        idempotency.abandon(tx, again)
        assert isinstance(idempotency.begin(tx, ALICE, "r", "key", b"other"), idempotency.Ticket)


def test_the_migrations_make_the_tables_that_the_code_knows(where: str) -> None:
    engine = open_engine(where)
    with engine.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []
    engine.dispose()
    again = Ledger.open(where)
    again.migrate()
    again.close()


def test_a_ledger_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    fresh = Ledger.open(tmp_path / "none.sqlite")
    with pytest.raises(Refusal) as error, fresh.reading():
        pass
    assert error.value.code == "ledger_unfit"
    fresh.close()
    for where in ("mysql://here/db", "nonsense://", str(tmp_path / "no" / "folder.sqlite")):
        with pytest.raises(Refusal):
            Ledger.open(where)


def test_only_sqlite_without_the_race_will_do() -> None:
    fit = [(3, 51, 3), (3, 53, 4), (3, 44, 6), (3, 50, 7), (4, 0, 0)]
    unfit = [(3, 40, 1), (3, 44, 5), (3, 45, 9), (3, 50, 6), (3, 51, 2)]
    assert all(safe_sqlite(version) for version in fit)
    assert not any(safe_sqlite(version) for version in unfit)


def test_nothing_is_written_when_the_audit_is_not(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no audit")

    monkeypatch.setattr("actions.ledger.chain.append", fail)
    with pytest.raises(OSError, match="no audit"):
        desk.plan(request(Action.THROTTLE))
    with desk.ledger.reading() as reading:
        assert chain.head(reading)[0] == 0
        assert waves.plans.listed(reading) == []
