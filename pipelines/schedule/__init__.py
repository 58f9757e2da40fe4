"""When a schedule starts a pipeline."""
