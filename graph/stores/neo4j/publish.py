"""How a run comes to be shown: by changing what is shown, or by being written beside it.

Changes that one transaction holds are made in it; more of them are noted first and then made step by step (see
`journal`). A whole run is written under a number of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from graph.errors import RingfenceError
from graph.store import GraphChanges, GraphView, Progress
from graph.stores.neo4j import load as neo4j_load
from graph.stores.neo4j import state as neo4j_state
from graph.stores.neo4j.journal import Journal, finished
from graph.stores.neo4j.load import Repeat
from graph.stores.neo4j.schema import Transaction
from graph.stores.neo4j.state import Pending, State
from graph.stores.neo4j.steps import held_steps

AT_ONCE = 100_000
"""Changed rows that are written in one transaction; the server holds them in memory, about 1 KB each."""

SMALL = 5_000
"""Rows of a graph that is replaced by another in one transaction."""

_LAST = 2**62
"""The number of the batch after all others."""


class Publication:
    """One publication, by whoever has the right to publish.

    `write` runs some work in a transaction, perhaps more than once. `token` is unique: it tells transactions that
    are tried again what has been done already, and shuts out a publisher who lost the right.
    """

    def __init__(self, write: Repeat, token: str, progress: Progress) -> None:
        self._write = write
        self._token = token
        self._progress = progress
        self._batch = 0
        self._journal = Journal(write, token, progress)

    def publish(self, view: GraphView) -> None:
        """Show a view instead of what is shown."""
        state = self.settle()
        changes = view.changes_since(state.run_id) if state.run_id is not None else None
        if changes is not None:
            self._change(changes, state)
            return
        small = neo4j_load.held_view(view, SMALL) if state.size <= SMALL else None
        if small is not None:
            self._swap(small)
        else:
            self._replace(view)

    def apply(self, changes: GraphChanges) -> None:
        """Change what is shown. Raises RingfenceError where nothing is."""
        state = self.settle()
        if state.run_id is None:
            raise RingfenceError(
                "there is no published run to change", "Run `ringfence run` first.", exit_code=3
            )
        self._change(changes, state)

    def settle(self) -> State:
        """Make changes that are pending, and remove what is not shown: of a publisher that died, or the run before."""
        self._write(neo4j_state.end_others)
        state = self._write(neo4j_state.lock_state)
        if state.pending is not None:
            self._make(state.run, state.pending)
            state = self._write(neo4j_state.lock_state)
        self._journal.forget()
        for run in state.others:
            if run != state.run:
                neo4j_load.clear(run, self._write)
        if state.others:
            self._write(partial(neo4j_state.set_others, others=()))
        return state

    def _change(self, changes: GraphChanges, base: State) -> None:
        """Change what is shown in place."""
        few = held_steps(changes, AT_ONCE)
        if few is None:
            self._make(base.run, self._journal.note(changes, base))
            return

        def work(tx: Transaction, state: State) -> None:
            if (state.stamp, state.pending) != (base.stamp, None):
                raise neo4j_state.outrun()
            size = state.size
            for step in few:
                step.take(tx, state.run)
                size += step.rows.num_rows
                self._progress(neo4j_load.STAGE, size - state.size, None)
            neo4j_state.restore_kept(tx, state.run)
            neo4j_state.show(tx, state.run, changes.run_id, size, state.others, self._token)

        self._show(work, self._token)

    def _make(self, run: int, pending: Pending) -> None:
        """Make pending changes, then show their run, unless another process already has."""
        self._journal.make(run, pending)

        def work(tx: Transaction, state: State) -> None:
            if state.pending == pending:
                if not finished(tx, pending):
                    raise neo4j_state.outrun()
                neo4j_state.restore_kept(tx, state.run)
                neo4j_state.show(tx, state.run, pending.run_id, pending.size, state.others, pending.token)

        self._show(work, pending.token)

    def _swap(self, view: neo4j_load.Held) -> None:
        """Replace a small graph by another."""

        def work(tx: Transaction, state: State) -> None:
            run = state.run + 1
            if state.run:
                neo4j_load.clear_at_once(tx, state.run)
            neo4j_load.load(view, run, lambda step: step(tx), self._progress)
            neo4j_state.restore_kept(tx, run)
            neo4j_state.show(tx, run, view.run_id, view.size, (), self._token)

        self._show(work, self._token)

    def _replace(self, view: GraphView) -> None:
        """Write a run beside the one that is shown, then show it, then remove the other one."""
        run = self._write(partial(neo4j_state.begin_publication, token=self._token))
        try:
            size = neo4j_load.load(view, run, self._once, self._progress)
            switch = partial(self._switch, run=run, run_id=view.run_id, size=size)
            self._show(switch, self._token)
        finally:
            if self._write(partial(neo4j_state.end_publication, token=self._token)):
                self.settle()

    def _once(self, step: neo4j_load.Work) -> None:
        """Write a batch: once, also if the answer to its commit is lost."""
        self._batch += 1

        def work(tx: Transaction, batch: int = self._batch) -> None:
            if neo4j_state.claim_batch(tx, self._token, batch):
                step(tx)

        self._write(work)

    def _switch(self, tx: Transaction, state: State, run: int, run_id: str, size: int) -> None:
        neo4j_state.claim_batch(tx, self._token, _LAST)
        neo4j_state.restore_kept(tx, run)
        others = (state.run,) if state.run else ()
        neo4j_state.show(tx, run, run_id, size, others, self._token)

    def _show(self, work: Callable[[Transaction, State], None], by: str) -> None:
        """Change what is shown, once `by` one publication: readers wait while it is being committed."""

        def gated(tx: Transaction) -> None:
            if not neo4j_state.shown_by(tx, by):
                work(tx, neo4j_state.lock_state(tx))
                self._write(partial(neo4j_state.close_gate, closed=True))

        try:
            self._write(gated)
        finally:
            with suppress(RingfenceError):
                self._write(partial(neo4j_state.close_gate, closed=False))
