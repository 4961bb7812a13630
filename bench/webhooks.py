"""Effects to a local webhook, batched, on both databases: the receiver of the recipe, in a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from actions import planning, waves, webhooks
from actions.ledger import Ledger, plans
from actions.model import Action, PlanState
from actions.settings import ActionSettings, OutboxSettings
from actions.worker import run as work
from bench.plan import Plan
from bench.results import Result, Target
from tests.contract.desk import ADMIN, ALICE, People, request, ring
from tests.contract.postgres_server import BACKENDS, Server
from tests.contract.receivers import PAGE, local_rules

MANY = 20_000
QUICK = OutboxSettings(poll=timedelta(milliseconds=20), poll_max=timedelta(milliseconds=200))
TRIES = 100


def run(plan: Plan) -> Result:
    """From the start of a plan to the receiver's last commit, on each database."""
    many = 2_000 if plan.quick else MANY
    figures = {}
    for backend in BACKENDS:
        plan.say(f"{many:,} effects to a webhook on {backend}")
        figures[f"{backend}_effects_per_s"], kept = _measured(backend, many)
        figures[f"{backend}_lost"] = many - kept
    targets = [Target(f"{backend}_effects_per_s", 1_000, lower=False) for backend in BACKENDS]
    targets += [Target(f"{backend}_lost", 0) for backend in BACKENDS]
    return Result(
        "webhooks",
        f"{many:,} effects to a local webhook that verifies signatures and keeps generations",
        figures,
        tuple(targets),
        (plan.seeds[0],),
        {"organizations": many},
        ("the receiver is the one of docs/recipes/webhook.md",),
    )


def _measured(backend: str, many: int) -> tuple[float, int]:
    folder = Path(tempfile.mkdtemp(prefix="ringfence-bench-"))
    server = Server(durable=True) if backend == "postgresql" else None
    try:
        ledger = Ledger.open(
            folder / "ledger.sqlite" if server is None else server.url(), ActionSettings(outbox=QUICK)
        )
        ledger.migrate()
        with _receiver(ledger, folder) as port:
            seconds = _sent(ledger, port, People(*ring(many)))
        ledger.close()
        with sqlite3.connect(folder / "restricted.sqlite") as db:
            (kept,) = db.execute("SELECT count(*) FROM state WHERE restrictions = 'verify'").fetchone()
        return many / seconds, int(kept)
    finally:
        if server is not None:
            server.remove()
        shutil.rmtree(folder)


@contextmanager
def _receiver(ledger: Ledger, folder: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with ledger.transaction() as tx:
        secret = webhooks.put(tx, "bench", f"http://127.0.0.1:{port}/", ADMIN, local_rules(port)).secret
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (folder / "receiver.py").write_text(block.replace("8322", str(port)), encoding="utf-8")
    environment = {**os.environ, "RINGFENCE_WEBHOOK_SECRET": secret}
    process = subprocess.Popen(
        [sys.executable, "receiver.py"], cwd=folder, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    for _ in range(TRIES):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError("the receiver did not start")


def _sent(ledger: Ledger, port: int, people: People) -> float:
    stop = threading.Event()
    sinks = webhooks.open_sinks(ledger, local_rules(port))
    worker = threading.Thread(
        target=work, args=(ledger, lambda: people, sinks), kwargs={"holder": "bench", "stop": stop}
    )
    with ledger.transaction() as tx:
        plan_id = planning.plan(tx, request(Action.VERIFY, sinks=("webhook:bench",)), ALICE, people).plan_id
    worker.start()
    try:
        started = time.perf_counter()
        waves.apply(ledger, plan_id, ALICE, people)
        while True:
            with ledger.reading() as reading:
                state = plans.get(reading, plan_id).state
            if state is PlanState.COMPLETED:
                return time.perf_counter() - started
            if state is not PlanState.EXECUTING:
                raise RuntimeError(f"{plan_id} is {state}")
            time.sleep(0.02)
    finally:
        stop.set()
        worker.join()
        for sink in sinks:
            sink.close()
