"""Users that a process adds by itself, and passwords that come from files."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from pathlib import Path

from actions.access import passwords, users
from api.deciding.desk import Desk
from graph.errors import RingfenceError

PASSWORD_FILE = "RINGFENCE_ADMIN_PASSWORD_FILE"  # noqa: S105 - the name of a variable
LONGEST = 4_096


def first_admin(desk: Desk, environment: Mapping[str, str]) -> None:
    """Add `user:admin` with the password of `RINGFENCE_ADMIN_PASSWORD_FILE`, if it is set and no admin is there yet."""
    named = environment.get(PASSWORD_FILE)
    if not named:
        return
    kept = passwords.hashed(password_of(Path(named)))
    with desk.ledger.transaction() as tx:
        users.first_admin(tx, kept)


def password_from(file: Path | None, *, ask: bool) -> str | None:
    """A password from a file's first line or from whoever sits at the terminal, typed twice; never an argument.

    None where neither is meant. Raises RingfenceError (exit 2).
    """
    if file is not None and ask:
        raise RingfenceError("a password comes from one place", "Give one of the two options.", exit_code=2)
    if file is not None:
        return password_of(file)
    return _typed() if ask else None


def _typed() -> str:
    if not sys.stdin.isatty():
        raise RingfenceError(
            "there is no terminal to type a password at", "Use --password-file FILE.", exit_code=2
        )
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise RingfenceError("the two passwords differ", "Try again.", exit_code=2)
    return password


def password_of(file: Path) -> str:
    """The first line of a file. Raises RingfenceError (exit 2)."""
    try:
        with file.open(encoding="utf-8") as lines:
            return lines.readline(LONGEST).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RingfenceError(
            f"the password cannot be read from {file}", "Write it into a file, in one line.", exit_code=2
        ) from error
