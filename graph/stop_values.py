"""Placeholders that stand for "nothing": they never get a key, so they never link."""

from __future__ import annotations

import re

_NOTHING = r"null (null) <null> \n none nil undefined unknown n/a #n/a nan"
EXACT_WORDS = frozenset(_NOTHING.split())
"""The few that are refused even as an organization's or a user's own id, which are otherwise taken as they come."""

_MORE = """
    (none) <none> (unknown) na - -- --- – — ? ?? . * 0 00 -1 empty missing unset unspecified undetermined
    unavailable anonymous redacted [redacted] [masked] [object] {} []
"""
_PHRASES = {"not set", "(not set)", "not available", "not provided", "not applicable", "[object object]"}
WORDS = EXACT_WORDS | set(_MORE.split()) | _PHRASES
"""Whole values, folded."""

ZEROS = r"^(?:[0:\-]+|[fF:\-]+)$"
"""An all-zero or all-ones device, UUID, MAC address or digest."""
_ZEROS = re.compile(ZEROS)
MIN_ZEROS = 6
"""From this length on ZEROS is a placeholder: `f` or `ff` may be somebody's code."""

_SENDERS = "null none nil undefined unknown n/a na nan noreply no-reply donotreply do-not-reply anonymous"
_MAIL_USERS = frozenset(_SENDERS.split())
_MAILBOXES = frozenset(
    f"{user}@{domain}"
    for user in ("test", "user", "example", "email", "me", "name", "your", "admin", "foo", "a")
    for domain in ("example.com", "example.org", "example.net", "test.com", "email.com", "domain.com")
)


def is_stop(folded: str) -> bool:
    """Whether a folded value of any kind is a placeholder."""
    return not folded or folded in WORDS or (len(folded) >= MIN_ZEROS and _ZEROS.match(folded) is not None)


def is_stop_mailbox(mailbox: str) -> bool:
    """Whether a canonical mailbox is nobody's (`noreply@…`, `test@example.com`)."""
    return mailbox.partition("@")[0] in _MAIL_USERS or mailbox in _MAILBOXES or is_stop(mailbox)
