"""Figures of speed, memory, quality and safety, measured by command and kept with what they were measured on."""
