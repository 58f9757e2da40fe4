"""Check a pipeline definition without running it."""
