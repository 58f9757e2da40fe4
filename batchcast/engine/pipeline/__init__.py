"""Pipelines: a definition is read, resolved and executed, step by step, with the service's statuses."""
