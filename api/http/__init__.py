"""What every request has in common, one concern a file."""
