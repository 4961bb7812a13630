"""The questions: SQL stages of detection, each one file with a header."""

from queries.catalogue import Query, load, names

__all__ = ["Query", "load", "names"]
