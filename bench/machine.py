"""What a figure was measured on: without it a figure means nothing."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = (
    "apsw",
    "duckdb",
    "igraph",
    "networkx",
    "numpy",
    "orjson",
    "pandas",
    "polars",
    "pyarrow",
    "scikit-learn",
    "scipy",
)
BUSY = 0.5


def machine() -> dict[str, object]:
    """Processor, cores this process may use, memory in GiB, kernel, and the load before measuring."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Python and the libraries that do the work; those that are not installed are left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def busy_warning() -> str | None:
    """A sentence when something else uses the machine, because then times mean little."""
    used = psutil.cpu_percent(interval=0.5) / 100 * (os.cpu_count() or 1)
    return f"something else keeps {used:.1f} cores busy: times are too long" if used > BUSY else None


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
