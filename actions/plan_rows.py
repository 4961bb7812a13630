"""Rows of plans and members as they are written: the same shape for plans that act and for those that restore."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from actions.model import ORGANIZATION, Action, ItemState, Part, PlanRequest, PlanState, Principal
from actions.selection import described
from actions.settings import ActionSettings


def blank(
    plan_id: str, action: Action, principal: Principal, reason: str, now: datetime, settings: ActionSettings
) -> dict[str, Any]:
    """A plan's row before its members passed by."""
    return {
        "plan_id": plan_id,
        "kind": action.kind,
        "action": action,
        "state": PlanState.PLANNED,
        "subject_kind": ORGANIZATION,
        "creator": principal.id,
        "creator_kind": principal.kind,
        "created_at": now,
        "reason": reason,
        "second_reason": "",
        "selector": {"kind": "undo"},
        "members_sha256": "",
        "digest": "",
        "size": 0,
        "spared": 0,
        "params": {},
        "public_reason": "restored",
        "policy_version": settings.version,
        "sinks": [],
        "duration": None,
        "permanent": False,
        "controls": {},
        "needs": "nothing",
        "facts": {},
        "automatic": principal.kind == "policy",
        "expires_at": now + timedelta(hours=settings.lasting.approval_hours),
        "wave": 0,
        "waves": [],
        "paused_reason": "",
        "difference": {},
        "undoes": {},
    }


def requested(request: PlanRequest) -> dict[str, Any]:
    """What a request says of its plan."""
    return {
        "subject_kind": request.entity_type,
        "second_reason": request.second_reason,
        "selector": described(request.selector),
        "params": dict(request.params),
        "public_reason": request.public_reason,
        "sinks": sorted(request.sinks or ()),
        "duration": request.duration,
        "permanent": request.permanent,
        "controls": {"wanted": request.controls},
    }


def member(
    plan_id: str, subject_id: int, *, draw: int, prior_mask: int, prior_generation: int, effect_id: str | None
) -> dict[str, Any]:
    """A member's row; without an effect it is spared."""
    return {
        "plan_id": plan_id,
        "subject_id": subject_id,
        "part": Part.SPARED if effect_id is None else Part.ACT,
        "draw": draw,
        "wave": 1,
        "state": ItemState.SKIPPED if effect_id is None else ItemState.PENDING,
        "reason": "",
        "prior_mask": prior_mask,
        "prior_generation": prior_generation,
        "effect_id": effect_id,
        "member_risk": 0.0,
    }
