"""Clusters as pictures for paper: SVG written by hand, without scripts, references or anything that changes."""
