"""A worker in a process of its own, to be killed at any moment.

Run as `python -m tests.contract.ledger_process URL FILE MEMBERS`, it works on plans and sends to a file and to the
feed, until it is killed or everything has settled.
"""

from __future__ import annotations

import sys
import threading
from datetime import timedelta
from pathlib import Path

from actions.ledger import Ledger, plans
from actions.model import PlanState
from actions.settings import ActionSettings, OutboxSettings, WaveSettings
from actions.sinks.feed import FeedSink
from actions.sinks.file import FileSink
from actions.worker import run
from tests.contract.desk import People, ring

RULES = ActionSettings(
    waves=WaveSettings(holds=(timedelta(0), timedelta(0)), chunk=200),
    outbox=OutboxSettings(
        batch=100, poll=timedelta(milliseconds=1), poll_max=timedelta(milliseconds=20), takeover=timedelta(0)
    ),
)
DONE = (PlanState.COMPLETED, PlanState.COMPLETED_WITH_FAILURES, PlanState.PAUSED)


def main(url: str, file: str, members: int) -> None:
    """Work until every plan is done."""
    ledger = Ledger.open(url, RULES)
    people = People(*ring(members), active=members * 100)
    stop = threading.Event()
    sinks = [FileSink(Path(file)), FeedSink()]
    watcher = threading.Thread(target=watch, args=(Ledger.open(url, RULES), stop))
    watcher.start()
    run(ledger, lambda: people, sinks, holder="test", stop=stop)
    watcher.join()


def watch(ledger: Ledger, stop: threading.Event) -> None:
    """Stop when there is nothing left to do."""
    while not stop.wait(0.02):
        with ledger.reading() as reading:
            if all(plan.state in DONE for plan in plans.listed(reading)):
                stop.set()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
