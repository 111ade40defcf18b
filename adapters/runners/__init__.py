"""A file per runner: what may touch a target."""
