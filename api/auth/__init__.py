"""Who asks, what they may, and what they see of it."""
