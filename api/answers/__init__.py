"""Answers to questions about a run, as plain values: what commands print, and routes will return."""
