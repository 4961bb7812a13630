"""An adversary that reacts: the simulator, stepped, against detection."""

from sim.adversary.contest import contest

__all__ = ["contest"]
