"""Whether forecasts that are well formed deserve to be read."""
