"""What is in the campaign of `tests.unit.campaigns`."""

RING = "cl_e3dbylnkv6"
"""A cluster of the campaign with 26 members, 25 of them actionable."""
ACTIONABLE = 25
