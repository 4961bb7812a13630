"""Why something is not done: a closed catalogue of codes, each with what scripts and HTTP clients see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graph.errors import RingfenceError

CATALOGUE: Mapping[str, tuple[int, int]] = {
    "forbidden": (1, 403),
    "not_found": (2, 404),
    "bad_selector": (2, 422),
    "bad_request": (2, 422),
    "nothing_to_do": (3, 409),
    "awaiting_approval": (4, 409),
    "stale": (5, 409),
    "paused": (6, 409),
    "wrong_state": (1, 409),
    "expired": (1, 409),
    "digest_mismatch": (1, 409),
    "own_plan": (1, 403),
    "not_a_person": (1, 403),
    "already_decided": (1, 409),
    "wrong_count": (2, 422),
    "cap": (1, 409),
    "budget": (1, 409),
    "breaker": (1, 409),
    "unfit_run": (1, 409),
    "kill_switch": (6, 409),
    "second_reason": (2, 422),
    "not_undoable": (2, 409),
    "approved_it": (1, 403),
    "key_reused": (1, 422),
    "still_running": (1, 409),
    "lease_lost": (1, 409),
    "ledger_unavailable": (1, 503),
    "ledger_unfit": (1, 500),
    "audit_broken": (1, 500),
    "unauthenticated": (1, 401),
    "taken": (2, 409),
    "weak_password": (2, 422),
    "bad_url": (2, 422),
}
"""Code to (exit code of a script, HTTP status)."""


class Refusal(RingfenceError):  # noqa: N818  # a refusal is the answer, not an accident
    """Not done, and why: `code` from the catalogue, `extra` as plain values (a stale plan's difference)."""

    def __init__(
        self, code: str, message: str, remedy: str = "", *, extra: Mapping[str, Any] | None = None
    ) -> None:
        exit_code, http_status = CATALOGUE[code]
        super().__init__(message, remedy, exit_code=exit_code)
        self.code = code
        self.http_status = http_status
        self.extra = dict(extra or {})
