"""Staying with a run to its end, and how it stands meanwhile."""
