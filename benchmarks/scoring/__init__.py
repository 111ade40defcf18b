"""The measures by which figures are compared with published ones."""
