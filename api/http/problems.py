"""Problem documents (RFC 9457): what went wrong, a code for programs, and what to do next; never the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from actions.refusals import CATALOGUE as REFUSALS
from actions.refusals import Refusal
from graph.errors import RingfenceError

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:ringfence:problem:"
MOST_ERRORS = 20
"""Wrong fields that are listed; a body of two million wrong rows gets a short answer, too."""

LONGEST = 300
"""Characters of a sentence about a field."""

CODES: Mapping[str, tuple[int, str]] = {
    "bad_request": (400, "The request cannot be read"),
    "key_required": (400, "An idempotency key is missing"),
    "bad_cursor": (422, "This is no cursor of this list"),
    "invalid": (422, "The request is not valid"),
    "unauthenticated": (401, "Who asks is not known"),
    "forbidden": (403, "Not allowed"),
    "csrf": (403, "The request does not come from this site"),
    "bad_host": (421, "This host name is not served"),
    "not_found": (404, "There is no such thing"),
    "method_not_allowed": (405, "This cannot be done here"),
    "not_acceptable": (406, "No such form of it is offered"),
    "conflict": (409, "It cannot be done now"),
    "too_large": (413, "The body is too large"),
    "uri_too_long": (414, "The address is too long"),
    "unsupported_media_type": (415, "This media type is not read"),
    "headers_too_large": (431, "The headers are too large"),
    "too_many_requests": (429, "Too many requests"),
    "too_slow": (408, "The request came too slowly"),
    "failed": (500, "Ringfence failed"),
    "not_ready": (503, "Nothing has been published yet"),
    "busy": (503, "Too much is going on"),
    "unavailable": (503, "A part is not available"),
}
"""Code to (status, title), beside those of `actions.refusals`."""

_OF_STATUS = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}
_MISUSED, _NOTHING = 2, 3


class Problem(HTTPException):
    """An answer that is an error. `extra` members are added to the document, `headers` to the response.

    It is one of the framework's own exceptions because those pass where it reads a body; others become a 400.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        remedy: str = "",
        *,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status, self.title = CODES[code]
        super().__init__(self.status, detail, dict(headers or {}))
        self.code, self.remedy, self.extra = code, remedy, dict(extra or {})


def document(problem: Problem) -> dict[str, Any]:
    """The members of the problem document."""
    return {
        "type": f"{TYPE}{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "remedy": problem.remedy,
        **problem.extra,
    }


def response(problem: Problem) -> Response:
    """The problem as a response."""
    body = orjson.dumps(document(problem), default=str)
    return Response(body, problem.status, problem.headers, MEDIA_TYPE)


def not_found(what: str, remedy: str) -> Problem:
    """The answer about something that is not there."""
    return Problem("not_found", f"{_plain(what)} is not in the run that is shown", remedy)


def of_refusal(refusal: Refusal) -> Problem:
    """A refusal of `actions` as a problem of the same code."""
    problem = Problem("conflict", _plain(refusal.message), _plain(refusal.remedy), extra=refusal.extra)
    problem.code, problem.status = refusal.code, refusal.http_status
    problem.title = refusal.code.replace("_", " ").capitalize()
    return problem


def of_error(error: RingfenceError) -> Problem:
    """What a command would have said, as a problem."""
    if isinstance(error, Refusal):
        return of_refusal(error)
    code = {_MISUSED: "invalid", _NOTHING: "not_ready"}.get(error.exit_code, "unavailable")
    return Problem(code, _plain(error.message), _plain(error.remedy))


def of_unknown(error: RingfenceError) -> Problem:
    """What a command says where something that was named is not there."""
    if error.exit_code == _MISUSED:
        return of_error(error)
    return Problem("not_found", _plain(error.message), _plain(error.remedy))


def of_validation(errors: Sequence[Any]) -> Problem:
    """Which fields are wrong, and how; what they held is not repeated."""
    listed = [
        {
            "field": _plain(".".join(str(part) for part in each.get("loc", ()))),
            "problem": _plain(str(each.get("msg", "is not valid"))),
        }
        for each in errors[:MOST_ERRORS]
    ]
    more = f" (the first {MOST_ERRORS} of {len(errors)})" if len(errors) > MOST_ERRORS else ""
    detail = f"{len(errors)} field{'s are' if len(errors) > 1 else ' is'} not valid{more}"
    return Problem("invalid", detail, "Correct them, then send it again.", extra={"errors": listed})


def of_http(error: HTTPException) -> Problem:
    """What the framework raises by itself."""
    code = _OF_STATUS.get(error.status_code, "failed" if error.status_code >= 500 else "bad_request")
    remedy = {
        404: "See the paths in /v1/openapi.json.",
        405: "See the methods in /v1/openapi.json.",
        400: "Send well-formed UTF-8 JSON.",
    }
    problem = Problem(code, CODES[code][1], remedy.get(error.status_code, ""), headers=error.headers)
    problem.status = error.status_code
    return problem


def install(app: FastAPI) -> None:
    """Let every error of a route become a problem document."""

    async def on_problem(_: Request, error: Exception) -> Response:
        return response(error if isinstance(error, Problem) else _internal())

    async def on_error(_: Request, error: Exception) -> Response:
        return response(of_error(error) if isinstance(error, RingfenceError) else _internal())

    async def on_validation(_: Request, error: Exception) -> Response:
        listed = error.errors() if isinstance(error, RequestValidationError) else ()
        return response(of_validation(listed))

    async def on_http(_: Request, error: Exception) -> Response:
        return response(of_http(error) if isinstance(error, HTTPException) else _internal())

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RingfenceError, on_error)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)


def internal(request_id: str) -> Problem:
    """What a client sees of a fault of ours: nothing but where to find it in the logs."""
    problem = _internal()
    problem.extra["request_id"] = request_id
    return problem


def catalogue() -> dict[str, int]:
    """Every code that a problem may carry, with its status."""
    refusals = {code: status for code, (_, status) in REFUSALS.items()}
    return refusals | {code: status for code, (status, _) in CODES.items()}


def _internal() -> Problem:
    return Problem("failed", "This is a fault in Ringfence.", "The log has the details under the request id.")


def _plain(text: str) -> str:
    """One line that JSON can say, of a bounded length."""
    said = " ".join(text.encode("utf-8", "replace").decode().split())
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"
