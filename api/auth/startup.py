"""What has to be true before anybody but this machine's owner may connect."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from graph.errors import RingfenceError
from graph.home import pepper_file

APPROVERS = 2
LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Serving:
    """How `ringfence serve` was asked to serve. Secrets are named by file, never given."""

    host: str = "127.0.0.1"
    port: int = 8321
    names: tuple[str, ...] = ()
    """Host names under which browsers and scripts reach it, besides this machine's own."""
    certificate: Path | None = None
    key: Path | None = None
    proxies: tuple[str, ...] = ()
    """Addresses of the proxies whose `X-Forwarded-*` headers are believed."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def local(self) -> bool:
        """Whether only this machine can connect."""
        return loopback(self.host)

    @property
    def secure(self) -> bool:
        """Whether browsers come over TLS."""
        return self.certificate is not None or bool(self.proxies)

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The Host headers that are answered."""
        own = LOCAL_NAMES if self.local else ()
        return frozenset(name.lower() for name in (*own, *self.names))


def loopback(host: str) -> bool:
    """Whether a bind address is this machine only; names are not resolved, but for `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check(serving: Serving, approvers: int) -> None:
    """Raises RingfenceError (exit 2) that lists in one line all that production lacks."""
    if serving.local:
        return
    missing = list(_missing(serving, approvers))
    if missing:
        raise RingfenceError(
            f"refusing to serve on {serving.host}: it lacks {'; '.join(missing)}",
            "Serve on 127.0.0.1 (the default), or set these up: ringfence serve --help.",
            exit_code=2,
        )


def _missing(serving: Serving, approvers: int) -> list[str]:
    given = serving.environment
    missing = []
    if not serving.secure or (serving.certificate is not None and serving.key is None):
        missing.append("TLS (--tls-certificate and --tls-key) or a trusted proxy (--trusted-proxy)")
    if not serving.names:
        missing.append("the names it is reached under (--allow-host)")
    if not given.get("RINGFENCE_OIDC_ISSUER") and not _file(given.get("RINGFENCE_ADMIN_PASSWORD_FILE")):
        missing.append("RINGFENCE_OIDC_ISSUER or RINGFENCE_ADMIN_PASSWORD_FILE")
    if not _file(given.get("RINGFENCE_PEPPER_FILE") or str(pepper_file())):
        missing.append("a pepper (RINGFENCE_PEPPER_FILE)")
    if not _file(given.get("RINGFENCE_AUDIT_KEY_FILE")):
        missing.append("an audit key (RINGFENCE_AUDIT_KEY_FILE)")
    if approvers < APPROVERS:
        missing.append("two approvers")
    return missing


def _file(name: str | None) -> bool:
    return bool(name) and Path(str(name)).is_file() and Path(str(name)).stat().st_size > 0
