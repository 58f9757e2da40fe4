"""The contract of a model: what it takes and what it gives."""
