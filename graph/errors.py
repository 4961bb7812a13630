"""The one kind of error that reaches a person: what is wrong, and what to do next."""

from __future__ import annotations


class RingfenceError(Exception):
    """Something a person can act on.

    `message` says what is wrong, `remedy` what to do next, `exit_code` what a script sees
    (1 failed, 2 misused, 3 nothing to do, 7 partial: see the command line's contract).
    """

    def __init__(self, message: str, remedy: str = "", *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message
