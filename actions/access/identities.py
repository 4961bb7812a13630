"""Whom the secrets of requests belong to, asked of the ledger: what the HTTP side needs to know who asks."""

from __future__ import annotations

from actions.access import sessions, tokens, users
from actions.ledger import Ledger
from actions.model import Principal
from actions.refusals import Refusal


class LedgerIdentities:
    """Tokens and sessions in the ledger: what one process ends, ends in all of them with the next request.

    It reads a database and hashes passwords: ask it in a thread.
    """

    def __init__(self, ledger: Ledger, *, local: bool = False) -> None:
        """`local`: only this machine can connect, so that its owner is let in."""
        self._ledger = ledger
        self._local = local

    def of_token(self, token: str) -> Principal | None:
        """The principal of a bearer token."""
        with self._ledger.reading() as reading:
            return tokens.of_secret(reading, token)

    def of_session(self, secret: str) -> Principal | None:
        """The principal of a session's cookie."""
        with self._ledger.reading() as reading:
            found = sessions.of_secret(reading, secret)
        return None if found is not None and found.kind == "local" and not self._local else found

    def open_session(self, one_time: str, replaces: str | None = None) -> str | None:
        """Exchange a one-time token, once, for the secret of a new session."""
        with self._ledger.transaction() as tx:
            return sessions.open_invited(tx, one_time, replaces=replaces)

    def sign_in(self, name: str, password: str, replaces: str | None = None) -> str:
        """The secret of a new session for a name and its password. Raises Refusal."""
        return sessions.sign_in(self._ledger, name, password, replaces=replaces)

    def sign_in_as(
        self, issuer: str, subject: str, email: str | None, *, verified: bool, replaces: str | None = None
    ) -> str:
        """The secret of a new session for whom a provider vouched for. Raises Refusal."""
        with self._ledger.transaction() as tx:
            return sessions.sign_in_as(tx, issuer, subject, email, verified=verified, replaces=replaces)

    def close_session(self, secret: str) -> None:
        """End a session."""
        with self._ledger.transaction() as tx:
            sessions.close(tx, secret)

    def invite_owner(self) -> str:
        """A one-time token for this machine's owner: what `serve` prints as an address. Raises Refusal."""
        if not self._local:
            raise Refusal("forbidden", "the owner of a machine signs in on that machine only", "Add a user.")
        with self._ledger.transaction() as tx:
            owner = users.owner(tx, single_operator=self._ledger.settings.single_operator)
            return sessions.invite(tx, owner.user_id, owner.principal)

    def approvers(self) -> int:
        """How many people may approve: production wants two."""
        with self._ledger.reading() as reading:
            return users.approvers(reading, local=self._local)
