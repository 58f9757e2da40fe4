"""Executions of a pipeline: records, steps, retries."""
