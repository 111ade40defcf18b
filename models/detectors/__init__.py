"""The detectors: a file each, all of one contract."""
