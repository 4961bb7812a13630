"""The verdict at the door: what to do with somebody who signs up, tries, pays or infers, in milliseconds.

It knows restrictions in force (the ledger), what the rings of the current run use, and events at most a second old. It
never asks the graph store. Where a part is missing it says so, and lets in: `fail_open`.
"""
