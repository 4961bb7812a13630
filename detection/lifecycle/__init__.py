"""Detectors of a home: files that people (or programs on their behalf) add without touching this package.

Each is checked, backtested, runs in shadow and is promoted by a named person; none of them is ever run in the process
of a run, nor with more than it needs to see.
"""
