"""Passwords: Argon2id at rest, a length that makes guessing futile, and the same time spent on strangers."""

from __future__ import annotations

import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from actions.refusals import Refusal

SHORTEST = 12
"""Characters. Above what is guessed at a rate that sign-in allows (NIST SP 800-63B asks for 8, OWASP for 12)."""
LONGEST = 256
AT_ONCE = 2
"""Each needs 64 MiB: many at once must not use the memory up."""

_hasher = PasswordHasher()  # the library's defaults are RFC 9106's second recommendation: t=3, 64 MiB, p=4
_room = threading.BoundedSemaphore(AT_ONCE)
_nobodys: list[str] = []


def hashed(password: str, *known: str) -> str:
    """The text that is kept. Raises Refusal for one that is too short, too long or made of `known` words."""
    plain = _normal(password)
    if not SHORTEST <= len(plain) <= LONGEST:
        raise Refusal(
            "weak_password",
            f"a password has {SHORTEST} to {LONGEST} characters",
            "Use a sentence, or a password manager.",
        )
    letters = set(plain.casefold())
    if len(letters) < 5 or any(word and word.casefold() in plain.casefold() for word in known):
        raise Refusal("weak_password", "this password is easily guessed", "Use several unrelated words.")
    with _room:
        return _hasher.hash(plain)


def matches(kept: str | None, password: str) -> bool:
    """Whether it is the password; for nobody's (None) it takes as long to say no."""
    given = _normal(password)[: LONGEST + 1]
    with _room:
        try:
            return _hasher.verify(kept or _nobody(), given) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def outdated(kept: str) -> bool:
    """Whether it was hashed with less effort than new ones are."""
    return _hasher.check_needs_rehash(kept)


def rehashed(password: str) -> str:
    """A password that is known to be right, hashed anew."""
    with _room:
        return _hasher.hash(_normal(password))


def _nobody() -> str:
    if not _nobodys:
        _nobodys.append(_hasher.hash("the password of nobody at all"))
    return _nobodys[0]


def _normal(password: str) -> str:
    """The same password from every keyboard: NFKC; what cannot be encoded matches nothing."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace").decode()
