"""A browser sends cookies by itself, so a cookie alone does not show that this site asked."""

from __future__ import annotations

from starlette.requests import Request

from api.http.problems import Problem

HEADER = "x-ringfence-csrf"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = ("same-origin", "none")


def check(request: Request) -> None:
    """Refuse a changing request with a cookie that another site may have caused.

    `Sec-Fetch-Site` decides where a browser gives it, else `Origin`; a request with neither (curl with a cookie jar)
    shows by a header of its own, which no form and no foreign script can set, that it means it.
    """
    if request.method in SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        ours = site in _OURS
    elif (origin := request.headers.get("origin")) is not None:
        ours = origin == f"{request.url.scheme}://{request.headers.get('host', '')}"
    else:
        ours = request.headers.get(HEADER) is not None
    if not ours:
        raise Problem(
            "csrf",
            "a request with a cookie has to come from this site",
            "Send the header X-Ringfence-CSRF: 1, or use a token instead of the cookie.",
        )
