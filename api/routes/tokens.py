"""Tokens for scripts: scoped by roles, ended by time. A secret is shown once, and never kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Path

from actions.access import tokens
from api.auth.permissions import Permission
from api.http.guard import Routes
from api.routes.needs import After, CursorsOf, DeskOf, Limit
from api.schemas.base import Page
from api.schemas.plans import Why
from api.schemas.sessions import Rotating, TokenGiven, TokenIssued, TokenShown

routes = Routes("tokens")
TokenId = Annotated[
    str,
    Path(
        pattern=r"^tok_[0-9a-f-]{8,64}$",
        description="A token's id.",
        examples=["tok_0198c5a0-7e60-768e-a4ed-e7825bf3ac8b"],
    ),
]
ADMIN = Permission.ADMINISTER
REFUSED = ("not_a_person", "taken", "wrong_state", "bad_request")


@routes.reads("/tokens", ADMIN)
def list_tokens(desk: DeskOf, cursors: CursorsOf, after: After = None, limit: Limit = 50) -> Page[TokenShown]:
    """Tokens in the order in which they were made, ended ones too."""
    asked = ["tokens"]
    place = "" if after is None else cursors.read(asked, after)
    with desk.ledger.reading() as reading:
        found = tokens.listed(reading, after=place, limit=limit + 1)
    page, following = cursors.cut(asked, found, limit, lambda last: last.token_id)
    return Page(items=[TokenShown.of(each) for each in page], next=following)


@routes.changes("/tokens", ADMIN, status_code=201, problems=REFUSED)
def issue_token(desk: DeskOf, given: TokenGiven) -> TokenIssued:
    """Issue a token. Its name is used once, so that the audit always means the same script."""
    with desk.ledger.transaction() as tx:
        return TokenIssued.of(
            tokens.issue(
                tx,
                given.name,
                given.roles,
                desk.principal,
                purpose=given.purpose,
                life=timedelta(days=given.days),
            )
        )


@routes.changes("/tokens/{token_id}/rotate", ADMIN, status_code=201, problems=REFUSED)
def rotate_token(desk: DeskOf, token_id: TokenId, given: Rotating) -> TokenIssued:
    """A successor with the same name and roles; the old one works for a day more."""
    with desk.ledger.transaction() as tx:
        return TokenIssued.of(tokens.rotate(tx, token_id, desk.principal, life=timedelta(days=given.days)))


@routes.changes("/tokens/{token_id}/revoke", ADMIN, problems=REFUSED, once=True)
def revoke_token(desk: DeskOf, token_id: TokenId, given: Why) -> TokenShown:
    """End a token now."""
    with desk.ledger.transaction() as tx:
        return TokenShown.of(tokens.revoke(tx, token_id, desk.principal, reason=given.reason))
