"""Deciding about a home: its ledger, its people, its run, and what becomes of effects."""
