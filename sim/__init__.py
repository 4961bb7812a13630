"""The adversary: simulated campaigns with their truth, and the judgement of what was found."""
