"""The detectors: one file, one `DETECTOR`. See `detection.detector` for what each declares."""
