"""From decided effects to sinks: claim with the audit, send outside of any transaction, settle with the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from actions.ledger import Ledger, Reading, Tx, deliveries, plans
from actions.ledger.deliveries import Lease, Settlement
from actions.model import Delivered, Effect, PlanState, Principal
from actions.refusals import Refusal
from actions.sinks import Receipt, Sink

SYSTEM = "system:outbox"
ERROR = 300
"""Characters of a sink's error that are kept."""


@dataclass(frozen=True)
class Batch:
    """Effects that were claimed for one sink, with how often each was tried, this time included."""

    effects: tuple[Effect, ...]
    attempts: dict[str, int]
    superseded: int = 0


def lease_name(sink: Sink) -> str:
    """Under which name a worker sends to a sink."""
    return f"sink:{sink.name}"


def begin(ledger: Ledger, sink: Sink, holder: str) -> Lease:
    """Take over a sink: what an earlier holder was sending is sent again where generations make that harmless, and is
    `unknown` where they do not."""
    back = Delivered.PENDING if sink.promise == "generations" else Delivered.UNKNOWN
    with ledger.transaction() as tx:
        lease = deliveries.take_lease(tx, lease_name(sink), holder)
        lost = deliveries.recover(tx, sink.name, back)
        if lost:
            tx.audit("outbox.recovered", SYSTEM, details={"sink": sink.name, "effects": lost, "as": back})
    return lease


def claim(ledger: Ledger, sink: Sink, lease: Lease) -> Batch:
    """The next effects for a sink, noted as being sent. Older generations of a subject are never sent."""
    with ledger.reading() as reading:
        if not deliveries.any_due(reading, sink.name):
            return Batch((), {})
    with ledger.transaction() as tx:
        deliveries.hold(tx, lease)
        rows = deliveries.due(tx, sink.name, min(sink.batch, tx.settings.outbox.batch))
        old = [row["seq"] for row in rows if row["old"]]
        if old:
            deliveries.supersede(tx, sink.name, old)
        fresh = [row for row in rows if not row["old"]]
        deliveries.begin_sending(tx, sink.name, [row["seq"] for row in fresh], lease.epoch)
        if rows:
            tx.audit(
                "outbox.claimed",
                SYSTEM,
                details={
                    "sink": sink.name,
                    "epoch": lease.epoch,
                    "seqs": spans([row["seq"] for row in fresh]),
                    "superseded": spans(old),
                },
            )
        return Batch(
            tuple(deliveries.effect(row) for row in fresh),
            {row["effect_id"]: row["attempts"] + 1 for row in fresh},
            len(old),
        )


def send(sink: Sink, batch: Batch) -> Sequence[Receipt]:
    """Hand a batch to a sink; whatever it raises becomes the answer for all that it did not answer for."""
    try:
        receipts = {receipt.effect_id: receipt for receipt in sink.deliver(batch.effects)}
    except Exception as error:  # a sink may fail in any way, and must hold up nobody
        outcome = "retry" if sink.promise == "generations" else "unknown"
        text = f"{type(error).__name__}: {error}"[:ERROR]
        return [Receipt(effect.effect_id, outcome, text) for effect in batch.effects]  # type: ignore[arg-type]
    silent = "retry" if sink.promise == "generations" else "unknown"
    return [
        receipts.get(effect.effect_id) or Receipt(effect.effect_id, silent, "no answer")  # type: ignore[arg-type]
        for effect in batch.effects
    ]


def settle(ledger: Ledger, sink: Sink, lease: Lease, batch: Batch, receipts: Sequence[Receipt]) -> None:
    """Write what became of a batch, of the members behind it, and the audit's result. Refused if the lease is lost."""
    by_id = {effect.effect_id: effect.seq for effect in batch.effects}
    with ledger.transaction() as tx:
        deliveries.hold(tx, lease)
        settled = [
            _settlement(tx, sink, by_id[each.effect_id], batch.attempts[each.effect_id], each)
            for each in receipts
        ]
        deliveries.settle(tx, sink.name, lease.epoch, settled)
        groups: dict[str, list[int]] = {}
        for each in settled:
            groups.setdefault(each.state, []).append(each.seq)
        tx.audit(
            "outbox.settled",
            SYSTEM,
            details={
                "sink": sink.name,
                "epoch": lease.epoch,
                "outcomes": {state: spans(seqs) for state, seqs in sorted(groups.items())},
            },
        )


def _settlement(tx: Tx, sink: Sink, seq: int, attempts: int, receipt: Receipt) -> Settlement:
    states = {
        "applied": Delivered.APPLIED,
        "waiting": Delivered.WAITING,
        "failed": Delivered.FAILED,
        "unknown": Delivered.UNKNOWN,
    }
    error = receipt.error[:ERROR]
    if receipt.outcome != "retry":
        return Settlement(seq, states[receipt.outcome], error)
    if attempts > len(sink.retries):
        return Settlement(seq, Delivered.FAILED, error)
    wait = max(sink.retries[attempts - 1], receipt.retry_after or 0)
    return Settlement(seq, Delivered.PENDING, error, tx.now + timedelta(seconds=wait))


def work(ledger: Ledger, sink: Sink, lease: Lease) -> int:
    """Claim, send and settle one batch; how many effects were looked at."""
    batch = claim(ledger, sink, lease)
    if batch.effects:
        settle(ledger, sink, lease, batch, send(sink, batch))
    return len(batch.effects) + batch.superseded


def spans(seqs: Sequence[int]) -> list[list[int]]:
    """Numbers as [first, last] spans: what the audit names of a batch."""
    found: list[list[int]] = []
    for seq in sorted(seqs):
        if found and seq == found[-1][1] + 1:
            found[-1][1] = seq
        else:
            found.append([seq, seq])
    return found


def retry(tx: Tx, plan_id: str, principal: Principal, *, sink: str | None = None, reason: str = "") -> int:
    """Try a plan's failed and unknown deliveries again; how many. A completed plan executes again."""
    principal.require("operator")
    plan = plans.get(tx, plan_id)
    count = deliveries.try_again(tx, plan_id, sink)
    if not count:
        raise Refusal("nothing_to_do", "no delivery of this plan failed", "")
    if plan.state is PlanState.COMPLETED_WITH_FAILURES:
        plans.change(tx, plan_id, state=PlanState.EXECUTING, finished_at=None)
    tx.audit("outbox.retried", principal, plan_id=plan_id, why=reason, details={"deliveries": count})
    return count


def settle_unknown(
    tx: Tx, effect_id: str, sink: str, principal: Principal, *, applied: bool, note: str
) -> None:
    """Say what became of a doubtful delivery, after looking at the sink."""
    principal.require("operator")
    state = Delivered.APPLIED if applied else Delivered.FAILED
    if not deliveries.settle_by_hand(tx, effect_id, sink, state, note):
        raise Refusal("not_found", "no such delivery is in doubt", "List the plan's effects.")
    tx.audit(
        "outbox.settled_by_hand",
        principal,
        why=note,
        details={"effect": effect_id, "sink": sink, "as": state},
    )


def backlog(reading: Reading) -> dict[str, dict[str, int]]:
    """Deliveries that are not done, by sink and state."""
    return deliveries.backlog(reading)
