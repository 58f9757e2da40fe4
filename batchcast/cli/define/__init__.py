"""Commands that define and check the pipeline."""
