"""Forecasts of single items."""
