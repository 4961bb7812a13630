"""The past again, knowing only what had arrived: what would have been stopped, when, and what that is worth."""

from sim.replay.job import Plan, replay_bans, replay_truth
from sim.replay.prospect import ProspectReport
from sim.replay.report import ReplayReport

__all__ = ["Plan", "ProspectReport", "ReplayReport", "replay_bans", "replay_truth"]
