"""The words: what things are and what follows from them; no I/O and no clock."""
