"""How predictions are scored, a file each; the data and the labels come from outside."""
