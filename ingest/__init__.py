"""Ingest: how facts come in."""
