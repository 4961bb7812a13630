"""What went wrong with a Neo4j server, in words that a person can act on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from graph.errors import RingfenceError

OLDEST = (5, 26)

_MEMORY = ("MemoryPoolOutOfMemory", "OutOfMemoryError", "TransactionOutOfMemory")
_TIME = ("TransactionTimedOut", "LockClientStopped", "LockAcquisitionTimeout", "TransactionTerminated")
_AWAY = ("DatabaseUnavailable", "General.DatabaseUnavailable", "NotALeader", "ForbiddenOnReadOnlyDatabase")


@dataclass(frozen=True)
class Server:
    """Which server and database were asked, and as whom."""

    uri: str
    user: str
    database: str


def timed_out(code: str | None) -> bool:
    """Whether a transaction ended because it took too long."""
    return any(name in (code or "") for name in _TIME)


def explained(server: Server, code: str | None, message: str) -> RingfenceError:
    """An error of the driver (no code) or of the server. The password is in none of them."""
    code = code or ""
    if ".Security." in code:
        return _refused(server, code, message)
    if "DatabaseNotFound" in code:
        return RingfenceError(
            f"the Neo4j server {server.uri} has no database {server.database!r}",
            "Correct NEO4J_DATABASE; the Community Edition has one, called neo4j.",
        )
    if any(name in code for name in _AWAY) or not code:
        return RingfenceError(
            f"the Neo4j server {server.uri} does not answer: {_short(message)}",
            "Start it (make neo4j starts one), or correct NEO4J_URI.",
        )
    if any(name in code for name in _MEMORY):
        return RingfenceError(
            f"the Neo4j server {server.uri} has too little memory: {_short(message)}",
            "Give it more: server.memory.heap.max_size and dbms.memory.transaction.total.max in neo4j.conf.",
        )
    if timed_out(code):
        return RingfenceError("the question took longer than it may", "Ask for less, or allow more time.")
    return RingfenceError(f"Neo4j says: {_short(message)}", _remedy(code))


def _remedy(code: str) -> str:
    if ".Statement." in code:
        return "Correct the query."
    return "See the server's log (logs/neo4j.log, logs/debug.log)."


def _refused(server: Server, code: str, message: str) -> RingfenceError:
    if "Forbidden" in code:
        return RingfenceError(
            f"{server.user} may not do that in {server.uri}: {_short(message)}",
            "Name a user who may write and define indexes with NEO4J_USER and NEO4J_PASSWORD.",
        )
    if "RateLimit" in code:
        return RingfenceError(
            f"the Neo4j server {server.uri} was given a wrong password too often",
            "Wait some seconds, then correct NEO4J_USER and NEO4J_PASSWORD.",
        )
    return RingfenceError(
        f"the Neo4j server {server.uri} does not accept the password of {server.user}",
        "Correct NEO4J_USER and NEO4J_PASSWORD.",
    )


def check_version(agent: str) -> None:
    """Raise RingfenceError for a server that is too old; `agent` is like `Neo4j/5.26.30`."""
    found = re.match(r"\D*(\d+)\.(\d+)", agent)
    if found and (int(found[1]), int(found[2])) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise RingfenceError(
            f"{agent} is too old: {wanted} or newer is needed", "Upgrade the Neo4j server.", exit_code=1
        )


def _short(message: str) -> str:
    """The first line, at most 300 characters."""
    return message.strip().split("\n", 1)[0][:300]
