"""Everything on one machine without a container engine."""
