"""Thin steps that a workflow may take; each class names its task queue."""
