"""The transactional control ledger: the only place that knows SQL about decisions."""

from actions.ledger import access_tables, desk_tables  # noqa: F401  # part of the metadata that migrations are compared with
from actions.ledger.ledger import Ledger, Reading, Tx

__all__ = ["Ledger", "Reading", "Tx"]
