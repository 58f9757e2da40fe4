"""Measure the concurrency that a model sustains."""
