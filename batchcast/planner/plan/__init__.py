"""The plan: inputs, warnings, tables and the page."""
