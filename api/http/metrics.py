"""What Prometheus is told: how many requests, how long they took, how many rows came in."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The figures of one application; labels are route patterns, of which there are few."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.in_flight = Gauge(
            "ringfence_requests_in_flight", "Requests that are being answered.", registry=self.registry
        )
        self._seconds = Histogram(
            "ringfence_request_seconds",
            "Time to answer a request.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._requests = Counter(
            "ringfence_requests", "Requests by answer.", ("method", "route", "status"), registry=self.registry
        )
        self.events = Counter(
            "ringfence_events", "Rows of events by what became of them.", ("became",), registry=self.registry
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        known = method if method in _METHODS else "other"
        self._seconds.labels(known, route).observe(seconds)
        self._requests.labels(known, route, str(status)).inc()

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        return generate_latest(self.registry)
