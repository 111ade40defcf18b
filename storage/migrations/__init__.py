"""Schema changes, in order, run by `provision.py` as the schema's owner."""
