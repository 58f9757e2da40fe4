"""Publish forecasts: data first, the pointer last."""
