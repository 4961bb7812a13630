"""Changes that are too many for one transaction: noted whole, then made step by step while readers wait.

The steps are written into the database first, which changes nothing for anybody. One small transaction then says
that they are pending. From there on they will be made: by the publisher, or, when that died, by whoever comes next
to publish or to read. Each is made and forgotten in one transaction, so that it does not matter who makes it, nor
how often it is tried. The last transaction shows the run. Until then the state is closed: who began to ask before
asks again.

Whoever publishes takes the steps over (`by`), so that a publisher who lost its right cannot make any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from graph.keys import storage_of
from graph.schema import NODES, RELATIONSHIPS
from graph.store import GraphChanges, Progress
from graph.stores.neo4j.load import STAGE, Repeat, unfit
from graph.stores.neo4j.schema import CHANGE, ROWS, Transaction, match, number, rows, to_parameters
from graph.stores.neo4j.state import Pending, State, await_changes, lock_state, outrun
from graph.stores.neo4j.steps import Phase, Step, steps

LANES = 2
"""Steps that put nodes are made so many at a time: while the server works on one, the other's rows are packed.

Those that change relationships lock the nodes at both ends: two of them would wait for each other.
"""


class Journal:
    """The steps that one publisher notes and makes; `write` does some work in a transaction, perhaps repeatedly."""

    def __init__(self, write: Repeat, token: str, progress: Progress) -> None:
        self._write = write
        self._token = token
        self._progress = progress

    def note(self, changes: GraphChanges, base: State) -> Pending:
        """Write all changes of the state `base` down, and let them be pending.

        Raises RingfenceError where they do not fit what is shown, or another process has published since.
        """
        noted = size = 0
        ends = _Ends()
        for step in steps(changes):
            self._write(partial(_note, key=f"{self._token} {noted:08}", token=self._token, step=step))
            ends.add(step)
            noted += 1
            size += step.rows.num_rows
            self._progress(STAGE, size, None)
        self._write(partial(ends.check, run=base.run))
        pending = Pending(self._token, changes.run_id, base.size + size)
        self._write(partial(_await, base=base, pending=pending, noted=noted))
        return pending

    def make(self, run: int, pending: Pending) -> None:
        """Make all steps that are left. Raises RingfenceError when another publisher has taken them over."""
        self._write(partial(_take_over, pending=pending, by=self._token))
        for phase in Phase:
            left = self._write(partial(_left, phase=phase))
            with ThreadPoolExecutor(LANES if phase is Phase.PUT_NODES else 1) as pool:
                try:
                    for _ in pool.map(partial(self._make, run=run), left):
                        pass
                finally:
                    pool.shutdown(cancel_futures=True)

    def forget(self) -> None:
        """Remove what publishers noted who died before it was whole."""
        while self._write(_forget):
            pass

    def _make(self, key: str, run: int) -> None:
        self._write(partial(_make_once, key=key, by=self._token, run=run))


def finished(tx: Transaction, pending: Pending) -> bool:
    """Whether no step is left."""
    return not _noted(tx, pending)


def _noted(tx: Transaction, pending: Pending) -> int:
    return number(tx, f"MATCH (c:{CHANGE} {{token: $token}}) RETURN count(c)", token=pending.token)


class _Ends:
    """Which nodes the noted relationships need that the changes do not put themselves."""

    def __init__(self) -> None:
        self._gone: dict[str, list[pa.Array]] = defaultdict(list)
        self._put: dict[str, list[pa.Array]] = defaultdict(list)
        self._needed: dict[tuple[str, str], list[pa.Array]] = defaultdict(list)

    def add(self, step: Step) -> None:
        """Note what a step removes, puts or needs."""
        if step.phase is Phase.DROP_NODES:
            self._gone[step.name].append(step.rows.column(0))
        elif step.phase is Phase.PUT_NODES:
            self._put[step.name].append(step.rows.column(0))
        elif step.phase is Phase.PUT_RELATIONSHIPS:
            rel = RELATIONSHIPS[step.name]
            for label, keys in zip((rel.source, rel.target), step.rows.columns, strict=False):
                new = keys.filter(pc.invert(_among(keys, self._put[label]))).unique()
                self._needed[label, rel.name].append(new)

    def check(self, tx: Transaction, run: int) -> None:
        """Raise RingfenceError when a node is needed that there will not be."""
        for (label, name), parts in self._needed.items():
            needed = pa.chunked_array(parts).unique()
            kept = not pc.any(_among(needed, self._gone[label])).as_py()
            if not kept or _count(tx, label, needed, run) != len(needed):
                raise unfit(RELATIONSHIPS[name])


def _among(keys: pa.Array, parts: Iterable[pa.Array]) -> pa.Array:
    known = list(parts)
    if not known:
        return pa.repeat(pa.scalar(False), len(keys))
    return pc.is_in(storage_of(keys), value_set=pa.concat_arrays(known))


def _count(tx: Transaction, label: str, keys: pa.Array, run: int) -> int:
    statement = f"UNWIND $rows AS key MATCH {match('n', NODES[label], 'key')} RETURN count(n)"
    slices = (keys[start : start + ROWS] for start in range(0, len(keys), ROWS))
    return sum(number(tx, statement, rows=to_parameters(some), run=run) for some in slices)


def _note(tx: Transaction, key: str, token: str, step: Step) -> None:
    rows(
        tx,
        f"MERGE (c:{CHANGE} {{key: $key}}) "
        "SET c.token = $token, c.phase = $phase, c.name = $name, c.rows = $rows",
        key=key,
        token=token,
        phase=int(step.phase),
        name=step.name,
        rows=step.encoded(),
    )


def _await(tx: Transaction, base: State, pending: Pending, noted: int) -> None:
    state = lock_state(tx)
    if state.pending == pending:  # said so already
        return
    if state.stamp != base.stamp or state.pending is not None or _noted(tx, pending) != noted:
        raise outrun()
    await_changes(tx, pending)


def _take_over(tx: Transaction, pending: Pending, by: str) -> None:
    rows(tx, f"MATCH (c:{CHANGE} {{token: $token}}) SET c.by = $by", token=pending.token, by=by)


def _left(tx: Transaction, phase: Phase) -> list[str]:
    found = rows(
        tx, f"MATCH (c:{CHANGE} {{phase: $phase}}) WHERE c.by IS NOT NULL RETURN c.key", phase=int(phase)
    )
    return sorted(key for (key,) in found)


def _make_once(tx: Transaction, key: str, by: str, run: int) -> None:
    locked = f"MATCH (c:{CHANGE} {{key: $key}}) SET c.lock = true REMOVE c.lock RETURN c.by, c.phase, c.name, c.rows"
    found = rows(tx, locked, key=key)
    if not found:
        return
    maker, phase, name, stored = found[0]
    if maker != by:
        raise outrun()
    Step.decoded(phase, name, stored).take(tx, run)
    rows(tx, f"MATCH (c:{CHANGE} {{key: $key}}) DELETE c", key=key)


def _forget(tx: Transaction) -> int:
    return number(tx, f"MATCH (c:{CHANGE}) WITH c LIMIT 10 DELETE c RETURN count(c)")
