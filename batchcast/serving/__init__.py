"""Forecasts between the weekly runs, and the proof that batch and endpoint say the same."""
