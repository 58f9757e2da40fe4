"""Start, follow, repeat and compare runs."""
